//! Moments as calendar texts: `YYYY-MM-DD, HH:MM:SS` and the format directives of `time.strftime`. All in UTC.

use alloc::format;
use alloc::string::String;

/// A moment split into its calendar parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Year of the proleptic Gregorian calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 is Monday.
    pub weekday: u8,
    /// 1 to 366.
    pub year_day: u16,
}

const DAY_NAMES: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];
const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const SECONDS_PER_DAY: i64 = 86_400;

/// The moments that have a calendar form: the years 0 to 9999, in seconds since 1970.
const FIRST_SECOND: i64 = -62_167_219_200;
const LAST_SECOND: i64 = 253_402_300_799;

impl Calendar {
    /// Splits seconds since 1970-01-01, 00:00:00 UTC. A moment outside the years 0 to 9999 becomes the nearest one inside.
    pub fn from_unix(seconds: i64) -> Self {
        let seconds = seconds.clamp(FIRST_SECOND, LAST_SECOND);
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        Self {
            year,
            month,
            day,
            hour: (second_of_day / 3600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
            weekday: (days + 3).rem_euclid(7) as u8,
            year_day: (days - days_from_civil(year, 1, 1) + 1) as u16,
        }
    }

    /// Seconds since 1970, or `None` when a part is out of its range.
    pub fn to_unix(&self) -> Option<i64> {
        let valid = (0..=9999).contains(&self.year)
            && (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60;
        valid.then(|| {
            days_from_civil(self.year, self.month, self.day) * SECONDS_PER_DAY
                + i64::from(self.hour) * 3600
                + i64::from(self.minute) * 60
                + i64::from(self.second)
        })
    }

    /// The system's own form of a moment: `2026-11-22, 05:32:46`.
    pub fn to_text(&self) -> String {
        format!(
            "{:04}-{:02}-{:02}, {:02}:{:02}:{:02}",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        )
    }

    /// Replaces each `%` directive; an unknown one stays as it is written.
    pub fn format(&self, pattern: &str) -> String {
        let mut text = String::with_capacity(pattern.len() + 16);
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some(directive) => text.push_str(&self.directive(directive)),
                None => text.push('%'),
            }
        }
        text
    }

    fn directive(&self, directive: char) -> String {
        let day_name = DAY_NAMES[usize::from(self.weekday) % 7];
        let month_name = MONTH_NAMES[usize::from(self.month.saturating_sub(1)) % 12];
        let half_day_hour = (self.hour + 11) % 12 + 1;
        match directive {
            'Y' => format!("{:04}", self.year),
            'y' => format!("{:02}", self.year % 100),
            'm' => format!("{:02}", self.month),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{half_day_hour:02}"),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.into(),
            'j' => format!("{:03}", self.year_day),
            'A' => day_name.into(),
            'a' => day_name[..3].into(),
            'B' => month_name.into(),
            'b' | 'h' => month_name[..3].into(),
            'w' => format!("{}", (self.weekday + 1) % 7),
            'u' => format!("{}", self.weekday + 1),
            'F' => self.format("%Y-%m-%d"),
            'T' => self.format("%H:%M:%S"),
            'R' => self.format("%H:%M"),
            'D' => self.format("%m/%d/%y"),
            'c' => self.format("%a %b %e %H:%M:%S %Y"),
            'x' => self.format("%m/%d/%y"),
            'X' => self.format("%H:%M:%S"),
            'Z' => "UTC".into(),
            'z' => "+0000".into(),
            's' => format!("{}", self.to_unix().unwrap_or(0)),
            'n' => "\n".into(),
            't' => "\t".into(),
            '%' => "%".into(),
            other => format!("%{other}"),
        }
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date; years are counted from March, so that the leap day is a year's last.
fn days_from_civil(year: i64, month: u8, day: u8) -> i64 {
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    } as u8;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_have_their_texts() {
        assert_eq!(Calendar::from_unix(0).to_text(), "1970-01-01, 00:00:00");
        assert_eq!(
            Calendar::from_unix(951_782_399).to_text(),
            "2000-02-28, 23:59:59"
        );
        assert_eq!(
            Calendar::from_unix(951_782_400).to_text(),
            "2000-02-29, 00:00:00"
        );
        assert_eq!(Calendar::from_unix(-1).to_text(), "1969-12-31, 23:59:59");
        assert_eq!(
            Calendar::from_unix(1_795_325_566).format("%a %F %T %j %I%p"),
            "Sun 2026-11-22 05:32:46 326 05AM"
        );
    }

    #[test]
    fn moments_beyond_the_calendar_are_clamped() {
        assert_eq!(
            Calendar::from_unix(i64::MAX).to_text(),
            "9999-12-31, 23:59:59"
        );
        assert_eq!(
            Calendar::from_unix(i64::MIN).to_text(),
            "0000-01-01, 00:00:00"
        );
    }

    #[test]
    fn an_unknown_directive_stays() {
        assert_eq!(Calendar::from_unix(0).format("%Q 100%% %"), "%Q 100% %");
    }

    #[test]
    fn impossible_dates_have_no_moment() {
        let date = Calendar {
            month: 2,
            day: 30,
            ..Calendar::from_unix(0)
        };
        assert_eq!(date.to_unix(), None);
    }

    proptest! {
        #[test]
        fn splitting_and_joining_is_the_identity(seconds in FIRST_SECOND..=LAST_SECOND) {
            prop_assert_eq!(Calendar::from_unix(seconds).to_unix(), Some(seconds));
        }
    }
}
