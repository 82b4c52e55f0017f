//! The Date field, RFC 5322 §3.3 with the obsolete forms of §4.3, and what mailers write instead.

use crate::header::is_blank;

/// Octets of the field that are looked at; a date has some thirty, the rest is comments.
const DATE_OCTETS_MAX: usize = 256;

const MONTHS: [&[u8]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// A date and time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Date {
    /// Days since 1970-01-01.
    pub(crate) day: i32,
    /// Seconds since midnight; 0 if there is no valid time (RFC 5256 §2.2).
    pub(crate) second_of_day: u32,
    /// Seconds east of UTC; 0 if there is no valid zone.
    pub(crate) zone: i32,
}

impl Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn unix_seconds(self) -> i64 {
        i64::from(self.day) * 86_400 + i64::from(self.second_of_day) - i64::from(self.zone)
    }

    /// `None` if the field has no valid day, month and year.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text = without_comments(&value[..value.len().min(DATE_OCTETS_MAX)]);
        let (mut day, mut month, mut year, mut time, mut zone) = (None, None, None, None, None);
        let words = text.split(|byte| is_blank(*byte) || *byte == b',').filter(|word| !word.is_empty());
        for word in words.flat_map(split_dashes) {
            if word.contains(&b':') {
                time = time.or_else(|| parse_time(word));
            } else if word.first().is_some_and(u8::is_ascii_digit) {
                match number(word) {
                    Some(number) if day.is_none() && (1..=31).contains(&number) => day = Some(number),
                    Some(number) => year = year.or(Some(full_year(number, word.len()))),
                    None => {}
                }
            } else if month.is_none() && month_number(word).is_some() {
                month = month_number(word);
            } else {
                zone = zone.or_else(|| parse_zone(word));
            }
        }
        let (day, month, year) = (day?, month?, year?);
        (day <= days_in_month(year, month)).then(|| Self {
            day: days_from_civil(year, month, day),
            second_of_day: time.unwrap_or(0),
            zone: zone.unwrap_or(0),
        })
    }
}

fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut depth = 0_usize;
    let mut text = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(*byte),
            _ => {}
        }
    }
    text
}

/// `24-Nov-2026` is three words; a zone such as `-0500` is one.
fn split_dashes(word: &[u8]) -> impl Iterator<Item = &[u8]> {
    let dashed = word.first().is_some_and(u8::is_ascii_digit) && !word.contains(&b':');
    word.split(move |byte| dashed && *byte == b'-').filter(|word| !word.is_empty())
}

fn number(word: &[u8]) -> Option<u32> {
    if word.len() > 4 { None } else { std::str::from_utf8(word).ok()?.parse().ok() }
}

/// RFC 5322 §4.3: two digits are 1950 to 2049, three count from 1900.
fn full_year(number: u32, digits: usize) -> u32 {
    match digits {
        1 | 2 if number < 50 => 2000 + number,
        1..=3 => 1900 + number,
        _ => number,
    }
}

fn month_number(word: &[u8]) -> Option<u32> {
    let name = word.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().position(|month| *month == name).map(|at| at as u32 + 1)
}

fn parse_time(word: &[u8]) -> Option<u32> {
    let mut numbers = word.split(|byte| *byte == b':').map(number);
    let (hour, minute) = (numbers.next()??, numbers.next()??);
    let second = numbers.next().unwrap_or(Some(0))?;
    // RFC 5322 §3.3: 60 is a leap second.
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3600 + minute * 60 + second)
}

/// RFC 5322 §4.3: the North American names; every other one says nothing.
fn parse_zone(word: &[u8]) -> Option<i32> {
    if let [sign @ (b'+' | b'-'), digits @ ..] = word
        && digits.len() == 4
    {
        let number = number(digits)? as i32;
        let seconds = number / 100 * 3600 + number % 100 * 60;
        return Some(if *sign == b'-' { -seconds } else { seconds });
    }
    let hours = match word.to_ascii_lowercase().as_slice() {
        b"ut" | b"gmt" | b"utc" | b"z" => 0,
        b"edt" => -4,
        b"est" | b"cdt" => -5,
        b"cst" | b"mdt" => -6,
        b"mst" | b"pdt" => -7,
        b"pst" => -8,
        b"jst" => 9,
        _ => return None,
    };
    Some(hours * 3600)
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so that the leap day is last.
fn days_from_civil(year: u32, month: u32, day: u32) -> i32 {
    let (year, month, day) = (year as i32, month as i32, day as i32);
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(value: &str) -> Option<i64> {
        Date::parse(value.as_bytes()).map(Date::unix_seconds)
    }

    #[test]
    fn dates_of_rfc_5322() {
        assert_eq!(seconds("Fri, 21 Nov 1997 09:55:06 -0600"), Some(880_127_706));
        assert_eq!(seconds("Tue, 1 Jul 2003 10:52:37 +0200"), Some(1_057_049_557));
        // Appendix A.5, A.6.2
        let folded = "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)";
        assert_eq!(seconds(folded), Some(-27_723_480));
        assert_eq!(seconds("21 Nov 97 09:55:06 GMT"), Some(880_106_106));
    }

    #[test]
    fn dates_as_mailers_write_them() {
        let same = seconds("Tue, 24 Nov 2026 05:27:09 +0000");
        for value in [
            "Tue Nov 24 05:27:09 2026",
            "24-Nov-2026 05:27:09 Z",
            "Tue, 24 Nov 26 00:27:09 EST",
            "Tue, 24 November 2026 05:27:09",
            "tue,24 NOV 2026 14:27:09 +0900 (JST)",
            "Tue, 24 Nov 126 05:27:09 X",
        ] {
            assert_eq!(seconds(value), same, "{value}");
        }
    }

    #[test]
    fn the_day_is_that_of_the_date_as_written() {
        let date = Date::parse(b"1 Mar 2024 00:30:00 +0900").unwrap();
        assert_eq!(date.day, 19_783);
        assert_eq!(date.unix_seconds(), 19_783 * 86_400 + 1_800 - 9 * 3_600);
        assert_eq!(Date::parse(b"31 Dec 1969").unwrap().unix_seconds(), -86_400);
        assert_eq!(Date::parse(b"29 Feb 2000 25:00:00").unwrap().unix_seconds(), 951_782_400);
    }

    #[test]
    fn what_is_no_date() {
        for value in [
            "",
            "yesterday",
            "30 Feb 2024",
            "29 Feb 2100",
            "0 Jan 2024",
            "1 Foo 2024",
            "1 Jan",
            "99999 Jan 1",
        ] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
