//! Steim 1 and 2: differences of 4 to 32 bits in frames of 64 bytes (SEED 2.4, appendix B).
//!
//! ```text
//! frame   word 0: sixteen 2-bit codes │ words 1…15: differences (frame 0: word 1 = X0, word 2 = Xn)
//!
//! word ─ layout of its code ─► 8 differences, unused ones 0 ─► 8 running sums ─► out, of which `count` stay
//! ```
//!
//! Every word is taken apart in the same way, eight differences at once, whatever its layout: a table says how far
//! each is shifted. That needs no branch that noise could mislead, and vector registers do it in a few steps
//! (`steim/avx2.rs`). What is written beyond the differences of a word is overwritten by the next one.
//!
//! The first difference refers to the previous record and is ignored in favour of X0. Arithmetic wraps.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod layout;

use crate::DecodeError;
use crate::bytes::ByteOrder;
use layout::{LANES, Layout};

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

type Frame = [u8; FRAME_LENGTH];

/// Decodes up to `expected` samples from `payload` and appends them to `out`, also those before an error.
pub(crate) fn decode(
    scheme: Scheme,
    payload: &[u8],
    order: ByteOrder,
    expected: usize,
    out: &mut Vec<i32>,
) -> Result<Option<SteimMismatch>, DecodeError> {
    let (frames, _) = payload.as_chunks::<FRAME_LENGTH>();
    let Some(first) = frames.first() else { return Ok(None) };
    let forward = word(first, 1, order).cast_signed();
    let reverse = word(first, 2, order).cast_signed();
    let layouts = layout::table(scheme, order);
    // Sums begin with what the first difference turns into X0.
    let before = match first_difference(frames, layouts, order) {
        Some(difference) => forward.wrapping_sub(difference),
        None if expected == 1 => {
            out.push(forward);
            return Ok((forward != reverse).then_some(SteimMismatch { decoded: forward, promised: reverse }));
        }
        None => return Ok(None),
    };
    let start = out.len();
    out.resize(start + expected.min(frames.len() * DIFFERENCES_MAX), 0);
    let slots = out.get_mut(start..).unwrap_or_default();
    let summed = sum_frames(frames, layouts, order, before, slots);
    out.truncate(start + summed.count);
    if summed.undefined {
        return Err(DecodeError::SteimControl { frame: summed.frame });
    }
    let last = out.last().copied().filter(|_| summed.count == expected && expected > 0);
    Ok(last.filter(|decoded| *decoded != reverse).map(|decoded| SteimMismatch { decoded, promised: reverse }))
}

fn word(frame: &Frame, index: usize, order: ByteOrder) -> u32 {
    order.u32(frame.as_chunks::<4>().0.get(index).copied().unwrap_or_default())
}

/// The very first difference of a record.
fn first_difference(frames: &[Frame], layouts: &[Layout; 16], order: ByteOrder) -> Option<i32> {
    let words = frames.iter().enumerate().flat_map(|(index, frame)| {
        let codes = word(frame, 0, order);
        (first_word(index)..16).map(move |at| (codes >> (30 - 2 * at) & 3, frame, at))
    });
    let (code, frame, at) = words.into_iter().find(|(code, ..)| *code != 0)?;
    let value = word(frame, at, order);
    let [difference, ..] = layout::of(layouts, code, value).differences(value);
    Some(difference)
}

/// Words of a frame that come before its differences: the codes, and in the first frame X0 and Xn.
fn first_word(frame: usize) -> usize {
    if frame == 0 { 3 } else { 1 }
}

/// What became of the frames of a record.
#[derive(Debug, PartialEq, Eq)]
struct FrameSum {
    /// Samples written.
    count: usize,
    /// The frame it ended in.
    frame: usize,
    /// A code there stands for nothing.
    undefined: bool,
}

/// Running sums of all differences, starting at `before`, into `slots` until those are full.
fn sum_frames(
    frames: &[Frame],
    layouts: &[Layout; 16],
    order: ByteOrder,
    before: i32,
    slots: &mut [i32],
) -> FrameSum {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the only condition of the callee is a processor with AVX2, and the line above has asked it.
        #[allow(unsafe_code, reason = "no safe call leads to code compiled for a detected feature")]
        return unsafe { avx2::sum_frames(frames, layouts, order, before, slots) };
    }
    sum_frames_plain(frames, layouts, order, before, slots)
}

/// [`sum_frames`] for any processor.
fn sum_frames_plain(
    frames: &[Frame],
    layouts: &[Layout; 16],
    order: ByteOrder,
    before: i32,
    slots: &mut [i32],
) -> FrameSum {
    match order {
        ByteOrder::Big => sum_ordered::<true>(frames, layouts, before, slots),
        ByteOrder::Little => sum_ordered::<false>(frames, layouts, before, slots),
    }
}

#[inline(always)]
fn sum_ordered<const BIG: bool>(
    frames: &[Frame],
    layouts: &[Layout; 16],
    before: i32,
    slots: &mut [i32],
) -> FrameSum {
    let read = |bytes: [u8; 4]| if BIG { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    let mut last = before;
    let mut count = 0;
    for (frame, bytes) in frames.iter().enumerate() {
        let (words, _) = bytes.as_chunks::<4>();
        let skipped = first_word(frame);
        let mut codes = read(words.first().copied().unwrap_or_default()) << (2 * skipped);
        for bytes in words.get(skipped..).unwrap_or_default() {
            let value = read(*bytes);
            let layout = layout::of(layouts, codes >> 30, value);
            codes <<= 2;
            if layout.undefined {
                // Behind the last sample nothing matters.
                return FrameSum { count, frame, undefined: count < slots.len() };
            }
            let sums = running_sums(layout.differences(value), last);
            last = sums[LANES - 1];
            if let Some(Ok(lanes)) = slots.get_mut(count..count + LANES).map(<&mut [i32; LANES]>::try_from) {
                *lanes = sums;
                count += layout.count;
            } else {
                count += put_last(sums, layout.count, slots.get_mut(count..).unwrap_or_default());
                if count == slots.len() {
                    return FrameSum { count, frame, undefined: false };
                }
            }
        }
    }
    FrameSum { count, frame: frames.len(), undefined: false }
}

/// Puts the first `count` samples of a word into the last few slots, as far as they go; their number.
#[cold]
fn put_last(samples: [i32; LANES], count: usize, slots: &mut [i32]) -> usize {
    let fits = count.min(slots.len());
    slots.iter_mut().zip(samples).take(fits).for_each(|(slot, sample)| *slot = sample);
    fits
}

/// Sums of the first 1 to 8 differences, each plus `last`: three additions of shifted copies instead of eight in a row.
#[inline(always)]
fn running_sums(differences: [i32; LANES], last: i32) -> [i32; LANES] {
    let [a, b, c, d, e, f, g, _] = differences;
    let pairs = added(differences, [0, a, b, c, d, e, f, g]);
    let [a, b, c, d, e, f, ..] = pairs;
    let fours = added(pairs, [0, 0, a, b, c, d, e, f]);
    let [a, b, c, d, ..] = fours;
    added(added(fours, [0, 0, 0, 0, a, b, c, d]), [last; LANES])
}

#[inline(always)]
fn added(a: [i32; LANES], b: [i32; LANES]) -> [i32; LANES] {
    let mut sums = a;
    sums.iter_mut().zip(b).for_each(|(sum, b)| *sum = sum.wrapping_add(b));
    sums
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Both ways to sum must agree on any frames, also where codes are undefined and slots run out.
        #[test]
        fn wide_registers_give_the_same_samples_as_plain_code(
            words in prop::collection::vec(any::<u32>(), 16..100),
            before in any::<i32>(),
            length in 0..400_usize,
            two in any::<bool>(),
            big in any::<bool>(),
        ) {
            prop_assume!(std::arch::is_x86_feature_detected!("avx2"));
            let scheme = if two { Scheme::Two } else { Scheme::One };
            let order = if big { ByteOrder::Big } else { ByteOrder::Little };
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let frames = bytes.as_chunks().0;
            let (mut plain, mut wide) = (vec![0; length], vec![0; length]);
            let layouts = layout::table(scheme, order);
            let summed_plain = sum_frames_plain(frames, layouts, order, before, &mut plain);
            let summed_wide = sum_frames(frames, layouts, order, before, &mut wide);
            prop_assert_eq!(summed_plain, summed_wide);
            prop_assert_eq!(plain, wide);
        }
    }
}
