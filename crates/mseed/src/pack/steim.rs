//! Steim 1 and 2 frames: as many differences into each word as fit (SEED 2.4, appendix B).

use crate::steim::{FRAME_LENGTH, Scheme};

/// A layout: how many differences of how many bits, the 2-bit code of the word and its own two top bits.
struct Fit {
    count: usize,
    bits: u32,
    code: u32,
    top: u32,
}

const fn fit(count: usize, bits: u32, code: u32, top: u32) -> Fit {
    Fit { count, bits, code, top }
}

static STEIM1: [Fit; 3] = [fit(4, 8, 1, 0), fit(2, 16, 2, 0), fit(1, 32, 3, 0)];
static STEIM2: [Fit; 7] = [
    fit(7, 4, 3, 2),
    fit(6, 5, 3, 1),
    fit(5, 6, 3, 0),
    fit(4, 8, 1, 0),
    fit(3, 10, 2, 3),
    fit(2, 15, 2, 2),
    fit(1, 30, 2, 1),
];

/// Bits of the largest difference that a word holds.
pub(super) const fn difference_bits_max(scheme: Scheme) -> u32 {
    match scheme {
        Scheme::One => 32,
        Scheme::Two => 30,
    }
}

/// Encodes `samples`, whose `differences` to the sample before are given, into at most `frames_max` frames;
/// returns the frames and the samples they hold. The differences must fit the scheme.
pub(super) fn encode(
    scheme: Scheme,
    samples: &[i32],
    differences: &[i32],
    frames_max: usize,
) -> (Vec<u8>, usize) {
    let fits: &[Fit] = match scheme {
        Scheme::One => &STEIM1,
        Scheme::Two => &STEIM2,
    };
    let mut payload = Vec::new();
    let mut rest = differences;
    for frame in 0..frames_max {
        if rest.is_empty() {
            break;
        }
        let mut words = [0_u32; FRAME_LENGTH / 4];
        let mut codes = 0;
        let first_word = if frame == 0 { 3 } else { 1 };
        for (index, word) in words.iter_mut().enumerate().skip(first_word) {
            let Some((fit, taken, more)) = longest_fit(fits, rest) else { break };
            *word = packed(fit, taken);
            codes |= fit.code << (30 - 2 * index);
            rest = more;
        }
        words[0] = codes;
        payload.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    }
    let count = differences.len() - rest.len();
    let forward = samples.first().copied().unwrap_or_default();
    let reverse = count.checked_sub(1).and_then(|last| samples.get(last)).copied().unwrap_or_default();
    let constants = forward.to_be_bytes().into_iter().chain(reverse.to_be_bytes());
    payload.iter_mut().skip(4).zip(constants).for_each(|(slot, byte)| *slot = byte);
    (payload, count)
}

fn longest_fit<'a>(fits: &'static [Fit], rest: &'a [i32]) -> Option<(&'static Fit, &'a [i32], &'a [i32])> {
    fits.iter().find_map(|fit| {
        let (taken, more) = rest.split_at_checked(fit.count)?;
        let limit = 1_i64 << (fit.bits - 1);
        taken.iter().all(|value| (-limit..limit).contains(&i64::from(*value))).then_some((fit, taken, more))
    })
}

fn packed(fit: &Fit, differences: &[i32]) -> u32 {
    let mask = u32::MAX >> (32 - fit.bits);
    let fields = differences
        .iter()
        .fold(0_u64, |word, difference| (word << fit.bits) | u64::from(difference.cast_unsigned() & mask));
    (fit.top << 30) | (fields as u32)
}
