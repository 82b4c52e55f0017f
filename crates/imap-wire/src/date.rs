//! Dates of INTERNALDATE, APPEND and SEARCH.

use std::fmt;

use jiff::civil;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const SECONDS_A_DAY: i64 = 86_400;
const EPOCH: civil::Date = civil::date(1970, 1, 1);

/// A point in time with the zone it is to be shown in (`date-time`, RFC 9051 §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InternalDate {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub unix_seconds: i64,
    /// Minutes east of UTC; between -24 h and 24 h.
    pub offset_minutes: i16,
}

/// A day (`date`, RFC 9051 §9), in whatever zone the thing that is compared to it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    days: i32,
}

impl Date {
    /// Days since 1970-01-01.
    pub fn days_since_epoch(self) -> i32 {
        self.days
    }
    /// Its first second in UTC, in seconds since 1970-01-01.
    pub fn start_unix_seconds(self) -> i64 {
        i64::from(self.days) * SECONDS_A_DAY
    }
    /// The day of the calendar; `None` if there is no such day.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Self> {
        let date = civil::Date::new(year, month, day).ok()?;
        Some(Self { days: days(date) })
    }
    /// `1-Feb-1994`, `01-Feb-1994` (`date-text`, RFC 9051 §9).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = date_text(text)?;
        rest.is_empty().then_some(Self { days: days(date) })
    }
}

impl InternalDate {
    /// ` 1-Jul-2026 10:00:00 +0000` without the quotes (`date-time`, RFC 9051 §9); one digit without the space is
    /// taken too. Second 60 is taken for 59.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (date, rest) = date_text(text.strip_prefix(b" ").unwrap_or(text))?;
        let [b' ', h1, h2, b':', m1, m2, b':', s1, s2, b' ', sign, z1, z2, z3, z4] = *rest else {
            return None;
        };
        let [hour, minute, second] = [two(h1, h2)?, two(m1, m2)?, two(s1, s2)?];
        let [zone_hours, zone_minutes] = [two(z1, z2)?, two(z3, z4)?];
        if hour > 23 || minute > 59 || second > 60 || zone_hours > 23 || zone_minutes > 59 {
            return None;
        }
        let offset = zone_hours * 60 + zone_minutes;
        let offset_minutes = match sign {
            b'+' => offset,
            b'-' => -offset,
            _ => return None,
        };
        let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second.min(59));
        let unix_seconds = i64::from(days(date)) * SECONDS_A_DAY + of_day - i64::from(offset_minutes) * 60;
        Some(Self { unix_seconds, offset_minutes })
    }
}

impl fmt::Display for InternalDate {
    /// As in a reply, without the quotes: ` 1-Jul-2026 10:00:00 +0000`. Years outside of 0 to 9999 do not fit the
    /// grammar and are shown as the nearest one that does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset_minutes.clamp(-1439, 1439);
        let first = i64::from(days(civil::date(0, 1, 1))) * SECONDS_A_DAY;
        let last = i64::from(days(civil::Date::MAX) + 1) * SECONDS_A_DAY - 1;
        let local = self.unix_seconds.saturating_add(i64::from(offset) * 60).clamp(first, last);
        let day = local.div_euclid(SECONDS_A_DAY);
        let date = EPOCH.saturating_add(jiff::Span::new().days(day));
        let second = local.rem_euclid(SECONDS_A_DAY);
        let month = MONTHS[(date.month() - 1) as usize];
        let sign = if offset < 0 { '-' } else { '+' };
        let zone = offset.unsigned_abs();
        write!(f, "{:>2}-{month}-{:04} ", date.day(), date.year())?;
        write!(f, "{:02}:{:02}:{:02} ", second / 3600, second / 60 % 60, second % 60)?;
        write!(f, "{sign}{:02}{:02}", zone / 60, zone % 60)
    }
}

/// `d-Mon-yyyy`, `dd-Mon-yyyy`, and what follows.
fn date_text(text: &[u8]) -> Option<(civil::Date, &[u8])> {
    let dash = text.iter().position(|b| *b == b'-')?;
    let day = match text[..dash] {
        [d] => two(b'0', d)?,
        [d1, d2] => two(d1, d2)?,
        _ => return None,
    };
    let [m1, m2, m3, b'-', y1, y2, y3, y4, ref rest @ ..] = text[dash + 1..] else { return None };
    let month = MONTHS.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(&[m1, m2, m3]))?;
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    Some((civil::Date::new(year, month as i8 + 1, day as i8).ok()?, rest))
}

fn two(a: u8, b: u8) -> Option<i16> {
    (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i16::from(a - b'0') * 10 + i16::from(b - b'0'))
}

fn days(date: civil::Date) -> i32 {
    // A span in days is exact between civil dates, and years have four digits.
    date.since(EPOCH).map_or(0, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        let date = InternalDate::parse(b"17-Jul-1996 02:44:25 -0700").unwrap();
        assert_eq!(date, InternalDate { unix_seconds: 837_596_665, offset_minutes: -420 });
        assert_eq!(date.to_string(), "17-Jul-1996 02:44:25 -0700");
        let date = InternalDate::parse(b" 1-jul-2026 10:00:00 +0000").unwrap();
        assert_eq!(date.to_string(), " 1-Jul-2026 10:00:00 +0000");
        assert_eq!(InternalDate::parse(b"1-Jul-2026 10:00:00 +0000"), Some(date));
        assert_eq!(Date::parse(b"1-Feb-1994").unwrap().days_since_epoch(), 8797);
        assert_eq!(Date::parse(b"01-fEB-1994"), Date::new(1994, 2, 1));
    }

    #[test]
    fn days_that_are_none_are_refused() {
        for bad in ["30-Feb-2026", "0-Jan-2026", "1-Foo-2026", "1-Jan-26", "1-Jan-02026", "-1-Jan-2026", ""] {
            assert_eq!(Date::parse(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["24:00:00 +0000", "10:00:61 +0000", "10:00:00 +2400", "10:00:00 0000", "10:00:00 +00000"]
        {
            assert_eq!(InternalDate::parse(format!("01-Jan-2026 {bad}").as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_time_goes_there_and_back(unix_seconds in -60_000_000_000i64..250_000_000_000, offset in -1439i16..=1439) {
            let date = InternalDate { unix_seconds, offset_minutes: offset };
            prop_assert_eq!(InternalDate::parse(date.to_string().as_bytes()), Some(date));
        }
        #[test]
        fn writing_never_panics(unix_seconds: i64, offset_minutes: i16) {
            let text = InternalDate { unix_seconds, offset_minutes }.to_string();
            prop_assert_eq!(text.len(), 26);
        }
    }
}
