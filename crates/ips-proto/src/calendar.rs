//! Days to dates of the Gregorian calendar. Of our own because captures and certificates carry any number as their time, and a calendar
//! library ends at the year 9999.

/// Year, month and day of a day since 1970 (Hinnant, chrono-compatible low-level date algorithms: eras of 400 years from the first of
/// March of year 0).
pub fn date(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, day) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let m = (5 * of_year + 2) / 153;
    let month = if m < 10 { m + 3 } else { m - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * m + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::date;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dates_are_those_of_the_calendar(day in 0i64..60_000) {
            let (y, m, d) = date(day);
            let leap = |y: i64| y.rem_euclid(4) == 0 && (y.rem_euclid(100) != 0 || y.rem_euclid(400) == 0);
            let before: i64 = (1970..y).map(|y| if leap(y) { 366 } else { 365 }).sum();
            let months = [31, if leap(y) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            prop_assert_eq!(before + months[..m as usize - 1].iter().sum::<i64>() + d - 1, day);
        }
    }
}
