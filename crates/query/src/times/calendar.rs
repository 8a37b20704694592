//! Days since 1970 and dates of the proleptic Gregorian calendar, for any year. Method: H. Hinnant, "chrono-compatible
//! low-level date algorithms", which counts in eras of 400 years that begin with March.

/// Days of an era, and before 1970-01-01 since 0000-03-01.
const ERA_DAYS: i128 = 146_097;
const EPOCH_DAYS: i128 = 719_468;

/// Year, month (1 to 12) and day (1 to 31) of a day.
pub(super) fn date_of(day: i128) -> (i128, i128, i128) {
    let shifted = day + EPOCH_DAYS;
    let (era, of_era) = (shifted.div_euclid(ERA_DAYS), shifted.rem_euclid(ERA_DAYS));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i128::from(month <= 2), month, date)
}

/// The day of a date; a day beyond the end of its month counts on into the next.
pub(super) fn day_of(year: i128, month: i128, date: i128) -> i128 {
    let year = year - i128::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * march_month + 2) / 5 + date - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + of_era - EPOCH_DAYS
}

/// Months since the year 0.
pub(super) fn month_index(day: i128) -> i128 {
    let (year, month, _) = date_of(day);
    year * 12 + month - 1
}

/// The first day of a month, counted since the year 0.
pub(super) fn first_of_month(index: i128) -> i128 {
    day_of(index.div_euclid(12), index.rem_euclid(12) + 1, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_days_agree() {
        for (day, date) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (11_016, (2000, 2, 29)),
            (19_782, (2024, 2, 29)),
            (-719_162, (1, 1, 1)),
            (-719_163, (0, 12, 31)),
            (2_932_896, (9999, 12, 31)),
            (-25_509, (1900, 2, 28)),
            (-25_508, (1900, 3, 1)),
        ] {
            assert_eq!(date_of(day), date);
            assert_eq!(day_of(date.0, date.1, date.2), day);
        }
        for day in (-800_000..3_000_000).step_by(97) {
            let (year, month, date) = date_of(day);
            assert_eq!(day_of(year, month, date), day);
            assert!(first_of_month(month_index(day)) <= day && day < first_of_month(month_index(day) + 1));
        }
    }
}
