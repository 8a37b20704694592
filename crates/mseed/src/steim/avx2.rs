//! The sums of `steim.rs` in registers of eight lanes, for x86-64 processors with AVX2.
//!
//! ```text
//! word ─ broadcast ─ shift left, shift right (by lane) ─► 8 differences
//!      ─ add itself moved by 1, by 2, by 4 lanes ─► 8 sums ─ add the last sum ─► 8 samples
//! ```
//!
//! Same results as the plain code, which a property test compares; measured 2.3 to 2.9 times as fast on real and on
//! noisy records. All instructions used are safe to call where the processor has AVX2; the one caller checks that.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_extract_epi32, _mm256_permute2x128_si256, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi32, _mm256_setr_epi32, _mm256_shuffle_epi32, _mm256_slli_si256, _mm256_sllv_epi32,
    _mm256_srav_epi32,
};

use super::layout::{self, LANES, Layout};
use super::{Frame, FrameSum, first_word, put_last};
use crate::bytes::ByteOrder;

#[target_feature(enable = "avx2")]
pub(super) fn sum_frames(
    frames: &[Frame],
    layouts: &[Layout; 16],
    order: ByteOrder,
    before: i32,
    slots: &mut [i32],
) -> FrameSum {
    let mut last = _mm256_set1_epi32(before);
    let mut count = 0;
    for (frame, bytes) in frames.iter().enumerate() {
        let words = words(bytes, order);
        let skipped = first_word(frame);
        let mut codes = words[0] << (2 * skipped);
        for value in words.get(skipped..).unwrap_or_default() {
            let layout = layout::of(layouts, codes >> 30, *value);
            codes <<= 2;
            if layout.undefined {
                // Behind the last sample nothing matters.
                return FrameSum { count, frame, undefined: count < slots.len() };
            }
            let sums = running_sums(differences(layout, *value));
            let samples = _mm256_add_epi32(sums, last);
            last = _mm256_add_epi32(last, _mm256_permutevar8x32_epi32(sums, _mm256_set1_epi32(7)));
            if let Some(Ok(lanes)) = slots.get_mut(count..count + LANES).map(<&mut [i32; LANES]>::try_from) {
                *lanes = unpacked(samples);
                count += layout.count;
            } else {
                count +=
                    put_last(unpacked(samples), layout.count, slots.get_mut(count..).unwrap_or_default());
                if count == slots.len() {
                    return FrameSum { count, frame, undefined: false };
                }
            }
        }
    }
    FrameSum { count, frame: frames.len(), undefined: false }
}

#[target_feature(enable = "avx2")]
#[inline]
fn words(frame: &Frame, order: ByteOrder) -> [u32; 16] {
    let mut words = [0; 16];
    words
        .iter_mut()
        .zip(frame.as_chunks::<4>().0)
        .for_each(|(word, bytes)| *word = u32::from_ne_bytes(*bytes));
    match order {
        ByteOrder::Big => words.map(u32::from_be),
        ByteOrder::Little => words.map(u32::from_le),
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn differences(layout: &Layout, word: u32) -> __m256i {
    let word = _mm256_set1_epi32(word.cast_signed());
    _mm256_srav_epi32(_mm256_sllv_epi32(word, packed(&layout.left)), packed(&layout.right))
}

/// Each lane plus all lanes before it.
#[target_feature(enable = "avx2")]
#[inline]
fn running_sums(lanes: __m256i) -> __m256i {
    // Moves by bytes stay within each half of the register; the sum of the lower half then goes to the upper one.
    let pairs = _mm256_add_epi32(lanes, _mm256_slli_si256::<4>(lanes));
    let halves = _mm256_add_epi32(pairs, _mm256_slli_si256::<8>(pairs));
    let lower_above = _mm256_permute2x128_si256::<0x08>(halves, halves);
    _mm256_add_epi32(halves, _mm256_shuffle_epi32::<0xff>(lower_above))
}

#[target_feature(enable = "avx2")]
#[inline]
fn packed(lanes: &[u32; LANES]) -> __m256i {
    let [a, b, c, d, e, f, g, h] = lanes.map(u32::cast_signed);
    _mm256_setr_epi32(a, b, c, d, e, f, g, h)
}

#[target_feature(enable = "avx2")]
#[inline]
fn unpacked(lanes: __m256i) -> [i32; LANES] {
    [
        _mm256_extract_epi32::<0>(lanes),
        _mm256_extract_epi32::<1>(lanes),
        _mm256_extract_epi32::<2>(lanes),
        _mm256_extract_epi32::<3>(lanes),
        _mm256_extract_epi32::<4>(lanes),
        _mm256_extract_epi32::<5>(lanes),
        _mm256_extract_epi32::<6>(lanes),
        _mm256_extract_epi32::<7>(lanes),
    ]
}
