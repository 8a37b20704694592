//! Steim 1 and 2: differences of 4 to 32 bits in frames of 64 bytes (SEED 2.4, appendix B).
//!
//! ```text
//! frame   word 0: sixteen 2-bit codes │ words 1…15: differences (frame 0: word 1 = X0, word 2 = Xn)
//! ```
//!
//! Every word is unpacked by the same straight code from a table of shifts: which layout comes next is
//! unpredictable, and a missed branch costs more than the shifts it saves. The first difference refers to the
//! previous record and is ignored in favour of X0. Arithmetic wraps.

use crate::DecodeError;
use crate::bytes::ByteOrder;

/// The last decoded sample differs from the one a Steim record promises (its Xn).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("last sample is {decoded} where the record promises {promised}")]
pub struct SteimMismatch {
    /// Last sample as decoded, counts.
    pub decoded: i32,
    /// Xn, counts.
    pub promised: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    One,
    Two,
}

pub(crate) const FRAME_LENGTH: usize = 64;

/// Differences a frame holds at most: 15 words of 7.
const DIFFERENCES_MAX: usize = 105;

/// How the differences lie in a word: `count` fields, each moved up by its shift and down by `down`.
#[derive(Clone, Copy)]
struct Layout {
    up: [u8; 7],
    down: u8,
    count: u8,
    /// The code stands for nothing.
    undefined: bool,
    /// Single bytes keep their order in memory whatever the word order.
    bytes: bool,
}

const NONE: Layout = Layout { up: [0; 7], down: 0, count: 0, undefined: false, bytes: false };
const UNDEFINED: Layout = Layout { undefined: true, ..NONE };

/// `count` fields of `bits` bits that end at the low end of the word.
const fn low(count: u8, bits: u8) -> Layout {
    let mut up = [0; 7];
    let mut rest: &mut [u8] = &mut up;
    let mut index = 0;
    while let Some((slot, more)) = rest.split_first_mut() {
        if index < count {
            *slot = 32 - bits * (count - index);
        }
        index += 1;
        rest = more;
    }
    Layout { up, down: 32 - bits, count, ..NONE }
}

const BYTES: Layout = Layout { bytes: true, ..low(4, 8) };
/// In little-endian words the half that comes first in memory is the low one.
const HALVES_SWAPPED: Layout = Layout { up: [16, 0, 0, 0, 0, 0, 0], ..low(2, 16) };

/// Layouts by 2-bit code (high) and the two top bits of the word (low).
type Table = [Layout; 16];

const fn steim1(halves: Layout) -> Table {
    let word = low(1, 32);
    [
        NONE, NONE, NONE, NONE, BYTES, BYTES, BYTES, BYTES, halves, halves, halves, halves, word, word, word,
        word,
    ]
}

static STEIM1_BIG: Table = steim1(low(2, 16));
static STEIM1_LITTLE: Table = steim1(HALVES_SWAPPED);
static STEIM2: Table = [
    NONE,
    NONE,
    NONE,
    NONE,
    BYTES,
    BYTES,
    BYTES,
    BYTES,
    UNDEFINED,
    low(1, 30),
    low(2, 15),
    low(3, 10),
    low(5, 6),
    low(6, 5),
    low(7, 4),
    UNDEFINED,
];

/// Decodes up to `expected` samples from `payload` and appends them to `out`, which must be empty.
pub(crate) fn decode(
    scheme: Scheme,
    payload: &[u8],
    order: ByteOrder,
    expected: usize,
    out: &mut Vec<i32>,
) -> Result<Option<SteimMismatch>, DecodeError> {
    let (frames, _) = payload.as_chunks::<FRAME_LENGTH>();
    out.reserve(expected.min(frames.len() * DIFFERENCES_MAX));
    match (scheme, order) {
        (Scheme::One, ByteOrder::Big) => decode_frames::<true>(&STEIM1_BIG, frames, expected, out),
        (Scheme::One, ByteOrder::Little) => decode_frames::<false>(&STEIM1_LITTLE, frames, expected, out),
        (Scheme::Two, ByteOrder::Big) => decode_frames::<true>(&STEIM2, frames, expected, out),
        (Scheme::Two, ByteOrder::Little) => decode_frames::<false>(&STEIM2, frames, expected, out),
    }
}

fn decode_frames<const BIG: bool>(
    table: &Table,
    frames: &[[u8; FRAME_LENGTH]],
    expected: usize,
    out: &mut Vec<i32>,
) -> Result<Option<SteimMismatch>, DecodeError> {
    let Some(first) = frames.first() else { return Ok(None) };
    let word = |frame: &[u8; FRAME_LENGTH], at: usize| {
        let bytes = frame.as_chunks::<4>().0.get(at).copied().unwrap_or_default();
        if BIG { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) }
    };
    let (forward, reverse) = (word(first, 1), word(first, 2));
    // One slot of eight behind the most a frame can hold: each word writes seven sums, whatever it has.
    let mut sums = [0_i32; DIFFERENCES_MAX + 7];
    let mut last = 0_i32;
    for (index, frame) in frames.iter().enumerate() {
        if out.len() >= expected {
            break;
        }
        let skipped_words = if index == 0 { 3 } else { 1 };
        let (mut count, legal) = sum_frame::<BIG>(table, frame, skipped_words, last, &mut sums);
        if !legal {
            return Err(DecodeError::SteimControl { frame: index });
        }
        if index == 0 {
            // Sums started from zero; X0 takes the place of the first difference.
            let base = forward.wrapping_sub(if count == 0 { 0 } else { sums[0] });
            sums.iter_mut().take(count.max(1)).for_each(|sum| *sum = sum.wrapping_add(base));
            if count == 0 {
                sums[0] = forward;
                count = 1;
            }
        }
        let taken = count.min(expected - out.len());
        if let Some(samples) = sums.get(..taken) {
            out.extend_from_slice(samples);
        }
        last = out.last().copied().unwrap_or(forward);
    }
    let mismatch = SteimMismatch { decoded: last, promised: reverse };
    Ok((out.len() == expected && expected > 0 && last != reverse).then_some(mismatch))
}

/// Running sums of the differences of a frame, starting at `last`; their number, and whether all codes are defined.
#[inline]
fn sum_frame<const BIG: bool>(
    table: &Table,
    frame: &[u8; FRAME_LENGTH],
    skipped_words: usize,
    last: i32,
    sums: &mut [i32; DIFFERENCES_MAX + 7],
) -> (usize, bool) {
    let words = frame.as_chunks::<4>().0;
    let read = |bytes: [u8; 4]| if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    let codes = read(words.first().copied().unwrap_or_default());
    let mut codes = codes << (2 * skipped_words);
    let mut filled = 0_usize;
    let mut sum = last;
    let mut undefined = false;
    for bytes in words.iter().skip(skipped_words) {
        let mut value = read(*bytes);
        let code = ((codes >> 30) << 2) | (value >> 30);
        codes <<= 2;
        let Some(layout) = table.get((code & 15) as usize) else { continue };
        if !BIG && layout.bytes {
            value = value.swap_bytes();
        }
        undefined |= layout.undefined;
        let mut steps = [0_i32; 8];
        let mut step = 0_i32;
        let (body, up) = (&mut steps, &layout.up);
        for (slot, up) in body.iter_mut().skip(1).zip(up) {
            let difference = (value << (up & 31)).cast_signed() >> (layout.down & 31);
            step = step.wrapping_add(difference);
            *slot = step;
        }
        if let Some(slots) = sums.get_mut(filled..).and_then(|rest| rest.first_chunk_mut::<7>()) {
            for (slot, step) in slots.iter_mut().zip(steps.iter().skip(1)) {
                *slot = sum.wrapping_add(*step);
            }
        }
        filled += usize::from(layout.count);
        sum = sum.wrapping_add(steps.get(usize::from(layout.count)).copied().unwrap_or(0));
    }
    (filled, !undefined)
}
