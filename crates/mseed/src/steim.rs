//! Steim 1 and 2: differences of 4 to 32 bits in frames of 64 bytes (SEED 2.4, appendix B).
//!
//! ```text
//! frame   word 0: sixteen 2-bit codes │ words 1…15: differences (frame 0: word 1 = X0, word 2 = Xn)
//! ```
//!
//! Each layout is unrolled by its own constants. The first difference refers to the
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
        (Scheme::One, ByteOrder::Big) => decode_frames::<false, true>(frames, expected, out),
        (Scheme::One, ByteOrder::Little) => decode_frames::<false, false>(frames, expected, out),
        (Scheme::Two, ByteOrder::Big) => decode_frames::<true, true>(frames, expected, out),
        (Scheme::Two, ByteOrder::Little) => decode_frames::<true, false>(frames, expected, out),
    }
}

fn decode_frames<const TWO: bool, const BIG: bool>(
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
    let mut sums = [0_i32; DIFFERENCES_MAX];
    let mut last = 0_i32;
    for (index, frame) in frames.iter().enumerate() {
        if out.len() >= expected {
            break;
        }
        let skipped_words = if index == 0 { 3 } else { 1 };
        let (mut count, legal) = sum_frame::<TWO, BIG>(frame, skipped_words, last, &mut sums);
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
fn sum_frame<const TWO: bool, const BIG: bool>(
    frame: &[u8; FRAME_LENGTH],
    skipped_words: usize,
    last: i32,
    sums: &mut [i32; DIFFERENCES_MAX],
) -> (usize, bool) {
    let words = frame.as_chunks::<4>().0;
    let read = |bytes: [u8; 4]| if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    let mut codes = read(words.first().copied().unwrap_or_default()) << (2 * skipped_words);
    let mut sums = Sums { slots: sums, filled: 0, last };
    for bytes in words.iter().skip(skipped_words) {
        let value = read(*bytes);
        let code = codes >> 30;
        codes <<= 2;
        match (code, value >> 30) {
            (0, _) => {}
            // Single bytes keep their order in memory whatever the word order.
            (1, _) => sums.add::<4, 8>(u32::from_be_bytes(*bytes)),
            // In little-endian words the half that comes first in memory is the low one.
            (2, _) if !TWO => sums.add::<2, 16>(if BIG { value } else { value.rotate_left(16) }),
            (3, _) if !TWO => sums.add::<1, 32>(value),
            (2, 1) => sums.add::<1, 30>(value),
            (2, 2) => sums.add::<2, 15>(value),
            (2, 3) => sums.add::<3, 10>(value),
            (3, 0) => sums.add::<5, 6>(value),
            (3, 1) => sums.add::<6, 5>(value),
            (3, 2) => sums.add::<7, 4>(value),
            _ => return (sums.filled, false),
        }
    }
    (sums.filled, true)
}

/// Running sums of one frame.
struct Sums<'a> {
    slots: &'a mut [i32; DIFFERENCES_MAX],
    filled: usize,
    last: i32,
}

impl Sums<'_> {
    /// Adds the `COUNT` differences of `BITS` bits that end at the low end of `word`.
    #[inline(always)]
    fn add<const COUNT: usize, const BITS: usize>(&mut self, word: u32) {
        let Some(slots) = self.slots.get_mut(self.filled..).and_then(|rest| rest.first_chunk_mut::<COUNT>())
        else {
            return;
        };
        for (index, slot) in slots.iter_mut().enumerate() {
            let difference = (word << (32 - BITS * (COUNT - index))).cast_signed() >> (32 - BITS);
            self.last = self.last.wrapping_add(difference);
            *slot = self.last;
        }
        self.filled += COUNT;
    }
}
