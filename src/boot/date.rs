//! Times as menus show them, in UTC.

use crate::tree::Timestamp;

const SECONDS_OF_DAY: i64 = 86_400;

/// As `2000-01-31`.
pub(super) fn day(time: Timestamp) -> String {
    let (year, month, day) = civil(time.seconds.div_euclid(SECONDS_OF_DAY));
    format!("{year:04}-{month:02}-{day:02}")
}

/// As `2000-01-31 23:59`.
pub(super) fn minute(time: Timestamp) -> String {
    let minutes = time.seconds.rem_euclid(SECONDS_OF_DAY) / 60;
    format!("{} {:02}:{:02}", day(time), minutes / 60, minutes % 60)
}

/// Year, month and day of the Gregorian calendar, `days` after 1970-01-01.
///
/// Years begin in March here, so that the day that some of them have more is their last, and
/// months have 31, 30, 31, 30 and 31 days over and over: 153 in five.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = days + 719_468; // from 0000-03-01
    let era = days.div_euclid(DAYS_OF_400_YEARS);
    let day = days.rem_euclid(DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153; // from March
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (400 * era + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `date --utc --date=@SECONDS` says.
    #[test]
    fn days_and_minutes_are_those_of_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00"),
            (-1, "1969-12-31 23:59"),
            (946_684_800, "2000-01-01 00:00"),
            (951_782_399, "2000-02-28 23:59"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_735_689_599, "2024-12-31 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
            (15_032_385_535, "2446-05-10 22:38"),
        ] {
            assert_eq!(minute(Timestamp::from_seconds(seconds)), expected);
        }
    }
}
