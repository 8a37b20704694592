//! Leap seconds: what a record announces, which there have been, and what they do to time since 1970.
//!
//! ```text
//! UTC      23:59:59.5   23:59:60.0   23:59:60.5   00:00:00.0   00:00:00.5
//! stored   …59.5        …00.0        …00.5        …00.0        …00.5        (POSIX time: the leap second is folded
//!                                                                            onto the second after it)
//! ```
//!
//! Nanoseconds since 1970 have no second 60. A record that starts in one starts at the following full second; its
//! header keeps the 60 ([`Record::starts_in_leap_second`]). Where the sample after the last is due behind a leap second
//! that a record announces and that the table knows, the time of the last sample is one second less than counting samples
//! gives, and so the next record joins: also that of a last sample within the leap second, which libmseed lets overlap. An announcement alone, or the table alone, changes nothing: recorders often miss leap seconds.
//!
//! The table is that of IERS Bulletin C up to 2017; none has been announced since.

use crate::record::{FormatVersion, Record};
use crate::time::NANOS_PER_SECOND;

/// What a record announces (miniSEED 2: activity flags 4 and 5; miniSEED 3: `FDSN.Time.LeapSecond`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeapSecond {
    /// A second is inserted.
    Positive,
    /// A second is left out; this has not happened yet.
    Negative,
}

/// Seconds since 1970 at the end of each leap second, that is, the midnight after 23:59:60.
pub const LEAP_SECONDS_S: [i64; 27] = [
    78_796_800,
    94_694_400,
    126_230_400,
    157_766_400,
    189_302_400,
    220_924_800,
    252_460_800,
    283_996_800,
    315_532_800,
    362_793_600,
    394_329_600,
    425_865_600,
    489_024_000,
    567_993_600,
    631_152_000,
    662_688_000,
    709_948_800,
    741_484_800,
    773_020_800,
    820_454_400,
    867_715_200,
    915_148_800,
    1_136_073_600,
    1_230_768_000,
    1_341_100_800,
    1_435_708_800,
    1_483_228_800,
];

/// End of the first leap second after `from_ns` and not after `to_ns`, both and the result in nanoseconds since 1970.
pub fn leap_second_between(from_ns: i64, to_ns: i64) -> Option<i64> {
    let ends = LEAP_SECONDS_S.iter().map(|seconds| seconds * NANOS_PER_SECOND);
    ends.into_iter().find(|end| (from_ns.saturating_add(1)..=to_ns).contains(end))
}

/// Headers of miniSEED 2 round times down to a ten-thousandth of a second.
const ROUNDING_NS: i64 = 100_000;
const POSITIVE: u8 = 0x10;
const NEGATIVE: u8 = 0x20;

impl Record<'_> {
    /// The leap second the record announces.
    pub fn leap_second(&self) -> Option<LeapSecond> {
        match self.format_version {
            FormatVersion::Two if self.flags.activity & POSITIVE != 0 => Some(LeapSecond::Positive),
            FormatVersion::Two if self.flags.activity & NEGATIVE != 0 => Some(LeapSecond::Negative),
            FormatVersion::Two => None,
            FormatVersion::Three => announced_in(self.extra_headers),
        }
    }

    /// The header says second 60: `start_ns` is the following full second (and fraction).
    pub fn starts_in_leap_second(&self) -> bool {
        let at = match self.format_version {
            FormatVersion::Two => 26,
            FormatVersion::Three => 14,
        };
        self.bytes.get(at) == Some(&60)
    }

    /// Nanoseconds that counting samples gets wrong behind the last sample, which counting puts at `counted_ns`.
    pub(crate) fn leap_fold_ns(&self, counted_ns: i64) -> i64 {
        if self.leap_second() != Some(LeapSecond::Positive) {
            return 0;
        }
        let inserted = match self.starts_in_leap_second() {
            true => Some(self.start_ns.div_euclid(NANOS_PER_SECOND) * NANOS_PER_SECOND),
            false => leap_second_between(self.start_ns, counted_ns),
        };
        let due_ns = counted_ns.saturating_add(self.period_ns()).saturating_add(ROUNDING_NS);
        match inserted {
            Some(midnight) if due_ns >= midnight.saturating_add(NANOS_PER_SECOND) => NANOS_PER_SECOND,
            _ => 0,
        }
    }
}

/// `FDSN.Time.LeapSecond` of the extra headers, which are only searched: 1 or -1.
fn announced_in(extra_headers: &[u8]) -> Option<LeapSecond> {
    if extra_headers.is_empty() {
        return None;
    }
    let (_, value) = std::str::from_utf8(extra_headers).ok()?.split_once("\"LeapSecond\"")?;
    let value = value.trim_start().strip_prefix(':')?.trim_start();
    match value {
        _ if value.starts_with('1') => Some(LeapSecond::Positive),
        _ if value.starts_with("-1") => Some(LeapSecond::Negative),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leap_second_ends_at_a_midnight_of_january_or_july() {
        for seconds in LEAP_SECONDS_S {
            let day = crate::time::DayTime::from_nanos(seconds * NANOS_PER_SECOND).unwrap();
            assert_eq!((day.hour, day.minute, day.second), (0, 0, 0));
            assert!([1, 182, 183].contains(&day.day), "{day:?}");
        }
        assert!(LEAP_SECONDS_S.is_sorted());
    }

    #[test]
    fn a_leap_second_is_found_between_two_times() {
        let midnight = 1_483_228_800 * NANOS_PER_SECOND;
        assert_eq!(leap_second_between(midnight - 1, midnight), Some(midnight));
        assert_eq!(leap_second_between(midnight, midnight + 1), None);
        assert_eq!(leap_second_between(i64::MAX, i64::MAX), None);
    }
}
