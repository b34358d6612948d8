//! Times as FAT has them.

use hadris_fat::FatDateTime;

use crate::tree::Timestamp;

/// A time before 1980 or after 2107.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a FAT filesystem cannot hold the time {seconds}; it holds {min} (1980-01-01) to {max} (2107-12-31) seconds from 1970",
    min = MIN,
    max = MAX
)]
pub struct TimeError {
    /// Seconds from 1970.
    pub seconds: i64,
}

/// 1980-01-01 00:00:00.
const MIN: i64 = 315_532_800;
/// 2107-12-31 23:59:59.
const MAX: i64 = 4_354_819_199;
const DAY: i64 = 86400;

/// `time` in UTC, rounded down to two seconds.
pub(super) fn fat_time(time: Timestamp) -> Result<FatDateTime, TimeError> {
    let seconds = time.seconds;
    if !(MIN..=MAX).contains(&seconds) {
        return Err(TimeError { seconds });
    }
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let second = seconds.rem_euclid(DAY);
    let small = |value: i64| u8::try_from(value).expect("parts of a date are below 60");
    Ok(FatDateTime::new(
        u16::try_from(year).expect("a year of four digits"),
        small(month),
        small(day),
        small(second / 3600),
        small(second / 60 % 60),
        small(second % 60),
    ))
}

/// Year, month from 1 and day from 1 of a day after 1970-01-01. Years that begin in March
/// have their leap day last, and 400 of them 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    const FROM_MARCH_OF_YEAR_0: i64 = 719_468;
    let days = days + FROM_MARCH_OF_YEAR_0;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(seconds: i64) -> (u16, u16) {
        let time = fat_time(Timestamp::from_seconds(seconds)).unwrap();
        (time.date, time.time)
    }

    #[test]
    fn times_are_packed_in_utc_and_rounded_down_to_two_seconds() {
        let date = |year: u16, month: u16, day: u16| (year - 1980) << 9 | month << 5 | day;
        assert_eq!(packed(MIN), (date(1980, 1, 1), 0));
        assert_eq!(packed(946_684_800), (date(2000, 1, 1), 0));
        // 2024-02-29 12:34:57
        let noon = (12 << 11) | (34 << 5) | (57 / 2);
        assert_eq!(packed(1_709_210_097), (date(2024, 2, 29), noon));
        // 2100 has no leap day.
        assert_eq!(packed(4_107_542_400), (date(2100, 3, 1), 0));
        assert_eq!(packed(MAX).0, date(2107, 12, 31));
    }

    #[test]
    fn a_time_that_fat_does_not_have_is_refused() {
        for seconds in [MIN - 1, MAX + 1, 0, -1] {
            assert!(fat_time(Timestamp::from_seconds(seconds)).is_err());
        }
    }
}
