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

    /// A UTC time of any year from 1 to 9999 as every time is written here, for those that a [`Timestamp`] does not hold.
    ///
    /// # Errors
    /// Where the text is no UTC time.
    pub fn rewritten(text: &str) -> Result<String, TimestampError> {
        let time = moment(text).filter(|time| YEARS.contains(&time.year()));
        time.map(|time| written(&time)).ok_or_else(|| TimestampError(text.to_owned()))
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
        f.write_str(&written(&DateTime::from_timestamp_nanos(self.0).naive_utc()))
    }
}

/// ISO 8601 with `Z` and three, six or nine decimals.
fn written(time: &NaiveDateTime) -> String {
    let pattern = match time.nanosecond() {
        n if n % 1_000_000 == 0 => "%Y-%m-%dT%H:%M:%S%.3fZ",
        n if n % 1_000 == 0 => "%Y-%m-%dT%H:%M:%S%.6fZ",
        _ => "%Y-%m-%dT%H:%M:%S%.9fZ",
    };
    time.format(pattern).to_string()
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads ISO 8601 dates and times; without an offset the time is UTC. `T` may be a space, a date alone is midnight,
    /// 24:00 that of the next day, and second 60 of a leap second the following full second; days of the year
    /// (`2016-366`, SEED's `2016,366,23:59:59`) are read too. Times that a [`Timestamp`] does not hold are refused: see
    /// [`Timestamp::bound`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nanos = moment(text).and_then(|time| time.and_utc().timestamp_nanos_opt());
        nanos.map(Self).ok_or_else(|| TimestampError(text.to_owned()))
    }
}

/// Years that a time may name.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// A UTC time as the calendar tells it.
///
/// ```text
/// 2016-12-31  2016/12/31  20161231T    the day by month
/// 2016-366    2016,366                 the day of the year
///        T, blanks or a comma          23:59:60.5  235960,5  24:00 or nothing
///                                      Z, UTC, +02:00, +0200, +02 or nothing
/// ```
fn moment(text: &str) -> Option<NaiveDateTime> {
    let (date, rest) = date(text.trim())?;
    let (time, rest) = match rest.strip_prefix(['T', 't', ',', ' ']) {
        Some(rest) if rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) => {
            time_of_day(rest.trim_start())?
        }
        _ => (TimeOfDay::default(), rest),
    };
    let minute = date.and_hms_opt(0, 0, 0)?
        + TimeDelta::minutes(i64::from(time.hour * 60 + time.minute) - offset_minutes(rest.trim_start())?);
    // A second is inserted at the end of a day only, and a day of 24 hours has nothing behind them.
    let leaps = time.second == 60;
    if !YEARS.contains(&minute.year()) || leaps && (minute.hour(), minute.minute()) != (23, 59) {
        return None;
    }
    minute.checked_add_signed(
        TimeDelta::seconds(i64::from(time.second)) + TimeDelta::nanoseconds(i64::from(time.nanos)),
    )
}

/// Digits at the begin of a text, `least` to `most` of them, as a number, and what follows.
fn digits(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(count).filter(|_| count >= least)?;
    Some((number.parse().ok()?, rest))
}

/// The day, and what follows it. Digits alone, without a divider or a time behind them, may be any number.
fn date(text: &str) -> Option<(NaiveDate, &str)> {
    let (year, rest) = digits(text, 4, 4)?;
    let year = i32::try_from(year).ok()?;
    let Some(divider) = rest.chars().next().filter(|c| matches!(c, '-' | '/' | ',')) else {
        let (month, rest) = digits(rest, 2, 2)?;
        let (day, rest) = digits(rest, 2, 2)?;
        let day = NaiveDate::from_ymd_opt(year, month, day)?;
        return rest.starts_with(['T', 't']).then_some((day, rest));
    };
    let days = rest.strip_prefix(divider)?;
    if let Some((day, rest)) = digits(days, 3, 3) {
        return Some((NaiveDate::from_yo_opt(year, day)?, rest));
    }
    let (month, rest) = digits(days, 1, 2)?;
    let (day, rest) = digits(rest.strip_prefix(divider).filter(|_| divider != ',')?, 1, 2)?;
    Some((NaiveDate::from_ymd_opt(year, month, day)?, rest))
}

/// As written: second 60 and hour 24 are still what they are.
#[derive(Clone, Copy, Debug, Default)]
struct TimeOfDay {
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
}

/// Hours and minutes at least; digits beyond a nanosecond are cut off.
fn time_of_day(text: &str) -> Option<(TimeOfDay, &str)> {
    const NANO_DIGITS: usize = 9;
    let mut time = TimeOfDay::default();
    let (hour, rest) = digits(text, 2, 2)?;
    let divider = if rest.starts_with(':') { ":" } else { "" };
    let (minute, rest) = digits(rest.strip_prefix(divider)?, 2, 2)?;
    (time.hour, time.minute) = (hour, minute);
    let mut end = rest;
    if let Some((second, rest)) = rest.strip_prefix(divider).and_then(|rest| digits(rest, 2, 2)) {
        (time.second, end) = (second, rest);
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (kept, _) = digits(fraction, 1, NANO_DIGITS)?;
            time.nanos = kept * 10_u32.pow(NANO_DIGITS.saturating_sub(count) as u32);
            end = fraction.get(count..)?;
        }
    }
    let is_midnight = time.hour == 24 && (time.minute, time.second, time.nanos) == (0, 0, 0);
    let holds = (time.hour < 24 || is_midnight) && time.minute < 60 && time.second <= 60;
    holds.then_some((time, end))
}

/// Minutes that the clock of a text is ahead of UTC.
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "" | "Z" | "z" | "UTC" | "GMT") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, rest) = digits(text.strip_prefix(['+', '-'])?, 2, 2)?;
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    let (minutes, rest) = if rest.is_empty() { (0, "") } else { digits(minutes, 2, 2)? };
    (rest.is_empty() && hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 60 + minutes))
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
    fn days_of_the_year_offsets_and_long_fractions_are_read() {
        let noon = Timestamp::from_nanos(1_483_185_600_000_000_000);
        for text in [
            "2016-366T12:00:00Z",
            "2016,366,12:00:00.0000",
            "2016/12/31 12:00",
            "20161231T120000Z",
            "20161231T120000.000Z",
            "2016-12-31T14:00:00+0200",
            "2016-12-31T14:00+02",
            "2016-12-31 06:30:00 -05:30",
            "2016-12-31T12:00:00,0",
            "2016-12-31 12:00:00 UTC",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Ok(noon), "{text}");
        }
        let midnight = noon.add_nanos(-43_200_000_000_000);
        for text in ["2016-366", "2016-12-31", "2016-12-31Z", "2016-12-31-00:00", "2016-12-30T24:00:00.000Z"]
        {
            assert_eq!(text.parse::<Timestamp>(), Ok(midnight), "{text}");
        }
        assert_eq!("2016-12-31+02:00".parse::<Timestamp>(), Ok(midnight.add_nanos(-7_200_000_000_000)));
        let fraction = |text: &str| text.parse::<Timestamp>().map(|time| time.nanos() - midnight.nanos());
        assert_eq!(fraction("2016-12-31T00:00:00.1234567899999"), Ok(123_456_789));
        assert_eq!(fraction("2016-12-31T00:00:00.000000001"), Ok(1));
        assert_eq!(fraction("2016-366T23:59:60.5"), Ok(86_400_500_000_000));
        for text in [
            "2015-366",
            "2016-367",
            "2016-000",
            "20161231",
            "2016366",
            "2016-12",
            "2016--12-31",
            "2016-12/31",
            "2016-12-31T",
            "2016-12-31T12",
            "2016-12-31T12:",
            "2016-12-31T12:00:",
            "2016-12-31T12:0000",
            "2016-12-31T12:00:00.",
            "2016-12-31T12:00:00ZZ",
            "2016-12-31T12:00:00 02:00",
            "2016-12-31T12:00:00+24:00",
            "2016-12-31T12:00:00+02:0",
            "2016-12-31T24:00:01",
            "2016-12-31T23:59:61",
            "2016-12-31T23:59:60+01:00",
            "2016-12-31T12:00:00é",
            "+2016-12-31",
            "2016-12-31+00:00T12:00",
        ] {
            assert!(Timestamp::bound(text).is_err(), "{text}");
        }
        for (text, expected) in [
            ("2599-12-31T23:59:59", "2599-12-31T23:59:59.000Z"),
            ("9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999999Z"),
            ("0001-01-01", "0001-01-01T00:00:00.000Z"),
            ("2599-365T12:00:00+12:00", "2599-12-31T00:00:00.000Z"),
        ] {
            assert_eq!(Timestamp::rewritten(text).as_deref(), Ok(expected));
        }
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
