//! Points in time as databases write them. What names no zone is UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads seconds since 1970, or `2026-01-31`, `2026-01-31 23:59`, `2026-01-31T23:59:59.5Z`,
/// `… 23:59:59+02:00` (ISO 8601, RFC 3339). A date alone is its first moment.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return at(text.parse().ok()?);
    }
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, time.trim()),
        None => (text, "00:00"),
    };
    let days = days(date)?;
    let (time, offset) = split_zone(time)?;
    let seconds = seconds(time)?;
    at(days.checked_mul(86_400)?.checked_add(seconds)? - offset)
}

/// Seconds since 1970.
pub(super) fn at(seconds: i64) -> Option<SystemTime> {
    let span = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        UNIX_EPOCH.checked_sub(span)
    } else {
        UNIX_EPOCH.checked_add(span)
    }
}

/// Days since 1970 of `2026-01-31`, in the Gregorian calendar.
fn days(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4, 1..=9999)?;
    let month = number(parts.next()?, 2, 1..=12)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let day = number(parts.next()?, 2, 1..=last)?;
    if parts.next().is_some() {
        return None;
    }
    // Years are counted from March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(365 * year + leap_days + day_of_year - 719_468)
}

/// Seconds of `23:59` or `23:59:59`, whose fraction does not count. 24:00 and leap seconds are
/// read as what follows them.
fn seconds(time: &str) -> Option<i64> {
    let mut parts = time.split(':');
    let hour = number(parts.next()?, 2, 0..=24)?;
    let minute = number(parts.next()?, 2, 0..=59)?;
    let second = match parts.next() {
        None => 0,
        Some(second) => {
            let (whole, fraction) = second.split_once('.').unwrap_or((second, "0"));
            if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            number(whole, 2, 0..=60)?
        }
    };
    parts
        .next()
        .is_none()
        .then_some(hour * 3600 + minute * 60 + second)
}

/// Cuts the zone off; its offset in seconds.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time.trim_end(), 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(at);
    let (sign, zone) = zone.split_at(1);
    let (hours, minutes) = match zone.split_once(':') {
        Some(parts) => parts,
        None if zone.len() == 4 => zone.split_at_checked(2)?,
        None => (zone, "00"),
    };
    let offset = number(hours, 2, 0..=15)? * 3600 + number(minutes, 2, 0..=59)? * 60;
    Some((time.trim_end(), if sign == "-" { -offset } else { offset }))
}

/// A number of just so many digits.
fn number(text: &str, digits: usize, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let sound = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| sound)?;
    range.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_databases_write() {
        // The seconds are those of `date -u -d TEXT +%s`.
        for (text, seconds) in [
            ("0", 0),
            ("1769903999", 1_769_903_999),
            ("-1", -1),
            ("1970-01-01", 0),
            ("1969-12-31", -86_400),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2026-01-31", 1_769_817_600),
            ("2026-01-31 23:59", 1_769_903_940),
            ("2026-01-31 23:59:59", 1_769_903_999),
            ("2026-01-31T23:59:59Z", 1_769_903_999),
            ("2026-01-31 23:59:59.999999", 1_769_903_999),
            ("2026-01-31 23:59:59+00", 1_769_903_999),
            ("2026-01-31 23:59:59+02:00", 1_769_896_799),
            ("2026-01-31 23:59:59-0530", 1_769_923_799),
            ("9999-12-31 23:59:59", 253_402_300_799),
        ] {
            assert_eq!(parse(text), at(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "-",
            "never",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "0000-00-00",
            "2026-1-1",
            "26-01-01",
            "2026-01-01 25:00",
            "2026-01-01 12:60",
            "2026-01-01 12:00:00.",
            "2026-01-01 12:00:00 CET",
            "2026-01-01T12",
            "2026-01-01-01",
            "1e9",
            "99999999999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
