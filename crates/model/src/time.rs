//! Moments in UTC, nanoseconds since 1970, without leap seconds (POSIX time).

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, Timelike};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// A moment: nanoseconds since 1970-01-01T00:00:00Z. Covers the years 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Text that is not a moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a UTC time such as 2014-08-24T00:01:08.92Z")]
pub struct TimestampError(pub String);

impl Timestamp {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything: the watermark of a finished stream.
    pub const MAX: Self = Self(i64::MAX);

    /// The bound of a search, as [`FromStr`] reads it; any UTC time of the years 1 to 9999 is one. What lies beyond all
    /// that a [`Timestamp`] holds is the first or the last moment of all, and so bounds nothing.
    ///
    /// # Errors
    /// Where the text is no UTC time.
    pub fn bound(text: &str) -> Result<Self, TimestampError> {
        let time = moment(text).ok_or_else(|| TimestampError(text.to_owned()))?;
        let beyond = if time.year() < 1970 { Self::MIN } else { Self::MAX };
        Ok(time.and_utc().timestamp_nanos_opt().map_or(beyond, Self))
    }

    /// The moment `nanos` nanoseconds after 1970.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The moment `micros` microseconds after 1970.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1000))
    }

    /// Nanoseconds since 1970.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Microseconds since 1970, rounded down: the precision of an Iceberg `timestamptz`.
    pub const fn micros(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds from `earlier` to `self`; negative where `self` comes first.
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / NANOS_PER_SECOND as f64
    }

    /// The moment `seconds` later (earlier where negative), rounded to a nanosecond, saturating.
    #[must_use]
    pub fn add_seconds(self, seconds: f64) -> Self {
        Self(self.0.saturating_add((seconds * NANOS_PER_SECOND as f64).round() as i64))
    }

    /// The moment `nanos` later, saturating.
    #[must_use]
    pub const fn add_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// Seconds since 1970 as a float: for display and plots, not for sample times.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }
}

impl fmt::Display for Timestamp {
    /// ISO 8601 with `Z` and three, six or nine decimals, as many as the value needs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_nanos(self.0);
        let nanos = self.0.rem_euclid(NANOS_PER_SECOND);
        let pattern = match nanos {
            n if n % 1_000_000 == 0 => "%Y-%m-%dT%H:%M:%S%.3fZ",
            n if n % 1_000 == 0 => "%Y-%m-%dT%H:%M:%S%.6fZ",
            _ => "%Y-%m-%dT%H:%M:%S%.9fZ",
        };
        write!(f, "{}", time.format(pattern))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads ISO 8601 dates and times; without an offset the time is UTC. `T` may be a space, a date alone is midnight,
    /// 24:00 that of the next day, and second 60 of a leap second the following full second. Times that a
    /// [`Timestamp`] does not hold are refused: see [`Timestamp::bound`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nanos = moment(text).and_then(|time| time.and_utc().timestamp_nanos_opt());
        nanos.map(Self).ok_or_else(|| TimestampError(text.to_owned()))
    }
}

/// Years that a time may name.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// A UTC time as the calendar tells it; a leap second keeps its second 60, as chrono counts it.
fn moment(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    let time = match DateTime::parse_from_rfc3339(text) {
        Ok(time) => time.naive_utc(),
        Err(_) => without_offset(text)?,
    };
    // A second is inserted at the end of a day only.
    let leaps = time.nanosecond() >= 1_000_000_000;
    let at_midnight = time.hour() == 23 && time.minute() == 59;
    (YEARS.contains(&time.year()) && (!leaps || at_midnight)).then_some(time)
}

fn without_offset(text: &str) -> Option<NaiveDateTime> {
    let bare = text.trim_end_matches(['Z', 'z']);
    if let Some(day) = bare.strip_suffix("24:00:00").or_else(|| bare.strip_suffix("24:00")) {
        let day = NaiveDate::parse_from_str(day.trim_end_matches(['T', 't', ' ']), "%Y-%m-%d").ok()?;
        return day.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::days(1));
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y/%m/%d %H:%M:%S%.f"]
        .iter()
        .find_map(|pattern| NaiveDateTime::parse_from_str(bare, pattern).ok())
        .or_else(|| NaiveDate::parse_from_str(bare, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0))
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_forms_that_clients_send() {
        for text in [
            "2014-08-24T00:01:08.92Z",
            "2014-08-24T00:01:08.920000",
            "2014-08-24 00:01:08.92",
            "2014-08-24T02:01:08.92+02:00",
        ] {
            assert_eq!(
                text.parse::<Timestamp>().map(Timestamp::nanos),
                Ok(1_408_838_468_920_000_000),
                "{text}"
            );
        }
        assert_eq!("1970-01-02".parse::<Timestamp>().map(Timestamp::micros), Ok(86_400_000_000));
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert!("9999-01-01T00:00:00Z".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_bound_may_be_any_utc_time() {
        let check =
            |text: &str, expected: Timestamp| assert_eq!(Timestamp::bound(text), Ok(expected), "{text}");
        for text in
            ["2599-12-31T23:59:59", "9999-12-31", "2262-04-12T00:00:00Z", "3000-01-01T00:00:00.000000"]
        {
            check(text, Timestamp::MAX);
        }
        for text in ["0001-01-01T00:00:00", "1600-01-01", "1677-09-21T00:12:43Z"] {
            check(text, Timestamp::MIN);
        }
        let midnight = Timestamp::from_nanos(1_483_228_800_000_000_000);
        for text in
            ["2016-12-31T23:59:60", "2016-12-31T23:59:60Z", "2016-12-31T24:00:00", "2016-12-31 23:59:60"]
        {
            check(text, midnight);
            assert_eq!(text.parse::<Timestamp>(), Ok(midnight), "{text}");
        }
        check("2016-12-31T23:59:60.25Z", midnight.add_nanos(250_000_000));
        check("2017-01-01T01:59:60+02:00", midnight);
        for text in [
            "",
            "2599",
            "2599-13-01",
            "2599-02-30T00:00:00",
            "0000-01-01",
            "10000-01-01",
            "2020-01-01T12:00:60",
        ] {
            assert!(Timestamp::bound(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same_moment(nanos in any::<i64>()) {
            let time = Timestamp::from_nanos(nanos);
            prop_assert_eq!(time.to_string().parse::<Timestamp>(), Ok(time));
        }
    }
}
