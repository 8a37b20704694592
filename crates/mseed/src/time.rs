//! Calendar of miniSEED headers: year, day of year and time of day to nanoseconds since 1970 and back.
//!
//! POSIX time has no second 60: a record that starts in a leap second starts at the following full second.

pub(crate) const NANOS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Years that a header may name; nanoseconds since 1970 in 64 bits hold all of them.
const YEARS: std::ops::RangeInclusive<u16> = 1900..=2100;

/// A moment as headers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DayTime {
    pub(crate) year: u16,
    /// 1 for the first of January.
    pub(crate) day: u16,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    /// 60 in a leap second.
    pub(crate) second: u8,
    /// May be one full second: some writers round up that far.
    pub(crate) nanosecond: u32,
}

impl DayTime {
    /// Nanoseconds since 1970; `None` where a field is out of range.
    pub(crate) fn to_nanos(self) -> Option<i64> {
        let legal = is_year_and_day(self.year, self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second <= 60
            && i64::from(self.nanosecond) <= NANOS_PER_SECOND;
        if !legal {
            return None;
        }
        let days = days_before_year(i64::from(self.year)) + i64::from(self.day) - 1;
        let seconds = days * SECONDS_PER_DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second);
        Some(seconds * NANOS_PER_SECOND + i64::from(self.nanosecond))
    }

    /// The moment `nanos` nanoseconds after 1970; `None` outside the years 1900 to 2100.
    pub(crate) fn from_nanos(nanos: i64) -> Option<Self> {
        let seconds = nanos.div_euclid(NANOS_PER_SECOND);
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        // The mean Gregorian year gives the year or the one after it.
        let guess = 1970 + days * 400 / 146_097;
        let year = if days_before_year(guess) > days {
            guess - 1
        } else if days_before_year(guess + 1) <= days {
            guess + 1
        } else {
            guess
        };
        let year_number = u16::try_from(year).ok().filter(|year| YEARS.contains(year))?;
        Some(Self {
            year: year_number,
            day: u16::try_from(days - days_before_year(year) + 1).ok()?,
            hour: u8::try_from(of_day / 3600).ok()?,
            minute: u8::try_from(of_day / 60 % 60).ok()?,
            second: u8::try_from(of_day % 60).ok()?,
            nanosecond: u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).ok()?,
        })
    }
}

/// Year 1900 to 2100 and a day that year has.
pub(crate) fn is_year_and_day(year: u16, day: u16) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    YEARS.contains(&year) && (1..=365 + u16::from(leap)).contains(&day)
}

/// Days from 1970-01-01 to the first of January of `year` in the Gregorian calendar.
fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 719_162
}

/// Time of sample `index` counted from `start_ns`; `rate` is in Hz, or minus the period in seconds where negative.
pub(crate) fn sample_time_ns(start_ns: i64, index: u64, rate: f64) -> i64 {
    if index == 0 || rate == 0.0 {
        return start_ns;
    }
    let seconds = if rate > 0.0 { index as f64 / rate } else { index as f64 * -rate };
    start_ns.saturating_add((seconds * NANOS_PER_SECOND as f64 + 0.5) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u16, day: u16, second: u8) -> Option<i64> {
        DayTime { year, day, hour: 23, minute: 59, second, nanosecond: 5 }.to_nanos()
    }

    #[test]
    fn days_of_year_become_nanoseconds_and_back() {
        assert_eq!(at(1970, 1, 59), Some(86_399_000_000_005));
        assert_eq!(at(1969, 365, 59), Some(-1_000_000_000 + 5));
        assert_eq!(at(2016, 366, 60), Some(1_483_228_800_000_000_005));
        assert_eq!(at(2015, 366, 0), None);
        assert_eq!(at(1800, 1, 0), None);
        for day in (-25_000..47_000).step_by(61) {
            let nanos = day * SECONDS_PER_DAY * NANOS_PER_SECOND + 123_456_789;
            assert_eq!(DayTime::from_nanos(nanos).and_then(DayTime::to_nanos), Some(nanos));
        }
    }
}
