//! Parses the limits of accounts and app passwords, as password files and databases store them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::login::Network;
use crate::login::Protocol;

/// Parses a list such as `imap,smtp`; case and blanks around the words do not matter. An empty list is an
/// error.
pub(super) fn protocols(list: &str) -> Option<Vec<Protocol>> {
    let word = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
        "imap" => Some(Protocol::Imap),
        "pop3" => Some(Protocol::Pop3),
        "smtp" => Some(Protocol::Smtp),
        _ => None,
    };
    list.split(',').map(word).collect()
}

/// Parses a list of networks, `192.0.2.0/24,2001:db8::/32`. Dovecot's `local`, a client on a Unix socket, is
/// ignored.
pub(super) fn networks(list: &str) -> Option<Vec<Network>> {
    list.split(',')
        .map(str::trim)
        .filter(|network| *network != "local")
        .map(Network::parse)
        .collect()
}

/// The maximum length of the reason why a user is disabled.
const MAX_REASON_BYTES: usize = 200;

/// The words that only mean that a user is disabled.
const YES: [&str; 7] = ["1", "t", "true", "y", "yes", "on", "nologin"];

/// The reason that the value of `nologin` gives, for the log; `None` if it gives none.
pub(super) fn reason(value: &[u8]) -> Option<String> {
    let value = value.get(..MAX_REASON_BYTES).unwrap_or(value);
    let text = String::from_utf8_lossy(value.trim_ascii()).into_owned();
    let says_nothing = YES.iter().any(|yes| text.eq_ignore_ascii_case(yes));
    (!text.is_empty() && !says_nothing).then_some(text)
}

/// Parses a time of a directory, `20270131120000Z` (RFC 4517, 3.3.13, in UTC and to the second); other texts as
/// [`expiry`] does.
#[cfg(feature = "servers")]
pub(super) fn expiry_of_directory(text: &str) -> Result<Option<SystemTime>, BadExpiry> {
    let digits = text
        .trim()
        .strip_suffix('Z')
        .filter(|digits| digits.len() == 14 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(digits) = digits else {
        return expiry(text);
    };
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let (date, time) = (
        [part(0, 4), part(4, 6), part(6, 8)].join("-"),
        [part(8, 10), part(10, 12), part(12, 14)].join(":"),
    );
    expiry(&format!("{date}T{time}Z"))
}

/// The last second with a year of four digits, 9999-12-31T23:59:59Z. A later end means never.
pub(super) const LAST_SECOND: i64 = 253_402_300_799;
/// From this number on, a number cannot be seconds: as seconds it is the year 33658, as milliseconds
/// September 2001.
const NO_SECONDS: i64 = 1_000_000_000_000;

/// Why a text is not a valid time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadExpiry {
    /// Neither a date nor a number.
    NoDate,
    /// A number so large that it can only be milliseconds, or smaller parts of a second.
    NoSeconds,
}

impl BadExpiry {
    /// The problem of a field named `expires`.
    pub(super) fn of_field(self) -> &'static str {
        match self {
            Self::NoDate => {
                "expires is neither a date (2027-01-31), a date and time (2027-01-31T12:00:00Z) nor \
                 seconds since 1970"
            }
            Self::NoSeconds => {
                "expires is too large for seconds since 1970 and looks like milliseconds: divide it \
                 by 1000"
            }
        }
    }

    /// The problem after the name of a column.
    #[cfg(feature = "servers")]
    pub(super) fn words(self) -> &'static str {
        self.of_field().trim_start_matches("expires ")
    }
}

/// Parses the time when something ends: `2027-01-31` (the start of that day in UTC, as chage(1)), `2027-01-31
/// 12:00:00` and `2027-01-31T12:00:00` (UTC), `2027-01-31T12:00:00+01:00`, or seconds since 1970, whose
/// fraction is ignored.
///
/// `None` means never: `infinity` of PostgreSQL, and all dates beyond the supported range, such as
/// `9999-12-31`.
pub(super) fn expiry(text: &str) -> Result<Option<SystemTime>, BadExpiry> {
    let text = text.trim();
    if let Some(seconds) = seconds(text) {
        return seconds_since_1970(seconds?);
    }
    if text.eq_ignore_ascii_case("infinity") {
        return Ok(None);
    }
    if text.eq_ignore_ascii_case("-infinity") {
        return Ok(Some(UNIX_EPOCH));
    }
    match date(text) {
        Some(end) => Ok(Some(end.into())),
        None if lies_beyond(text) => Ok(None),
        None => Err(BadExpiry::NoDate),
    }
}

/// The whole part of a number; `None` if the text is not a number.
fn seconds(text: &str) -> Option<Result<i64, BadExpiry>> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    (is_number(digits) && is_number(fraction))
        .then(|| whole.parse().map_err(|_| BadExpiry::NoSeconds))
}

fn seconds_since_1970(seconds: i64) -> Result<Option<SystemTime>, BadExpiry> {
    if seconds >= NO_SECONDS || seconds <= -NO_SECONDS {
        return Err(BadExpiry::NoSeconds);
    }
    if seconds > LAST_SECOND {
        return Ok(None);
    }
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let end = if seconds < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    };
    end.map(Some).ok_or(BadExpiry::NoSeconds)
}

fn date(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        Some(instant)
    } else if text.len() == "2027-01-31".len() {
        let day = text.parse::<Date>().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    } else {
        let moment = text.parse::<DateTime>().ok()?;
        Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }
}

/// Whether a date that cannot be represented has a year of 9999 or later. The rest of the date must be valid in
/// an earlier year with the same days.
fn lies_beyond(text: &str) -> bool {
    let Some((year, rest)) = text.split_once('-') else {
        return false;
    };
    let year = year.strip_prefix('+').unwrap_or(year);
    if !(4..=9).contains(&year.len()) || !year.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let earlier = |year: u32| format!("{}-{rest}", 2000 + year % 400);
    let beyond = year.parse().ok().filter(|year| *year >= 9999);
    beyond.is_some_and(|year| date(&earlier(year)).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        for (text, seconds) in [
            ("0", 0),
            ("1801440000", 1_801_440_000),
            ("1801440000.999999", 1_801_440_000),
            ("2027-02-01", 1_801_440_000),
            ("2027-02-01 00:00:00", 1_801_440_000),
            ("2027-02-01T00:00:00", 1_801_440_000),
            ("2027-02-01T00:00:00Z", 1_801_440_000),
            ("2027-02-01T01:00:00+01:00", 1_801_440_000),
            ("2027-02-01 02:00:00+02", 1_801_440_000),
            ("2027-02-01 00:00", 1_801_440_000),
            ("2027-02-01 00:00:00.5", 1_801_440_000),
            ("2028-02-29", 1_835_395_200),
        ] {
            let end = expiry(text)
                .unwrap()
                .map(|end| end.duration_since(UNIX_EPOCH));
            assert_eq!(end.unwrap().unwrap().as_secs(), seconds, "{text}");
        }
        assert_eq!(
            expiry("-1"),
            Ok(UNIX_EPOCH.checked_sub(Duration::from_secs(1)))
        );
        for bad in [
            "",
            "never",
            "2027-02-29",
            "2027-13-01",
            "31.1.2027",
            "1.",
            ".5",
            "1,5",
            "1e9",
            "2027-01-31T",
            "2027-01-31T25:00:00",
            "0000-00-00",
            "9999-02-29",
            "9999-13-01",
            "9998-02-29",
            "10000-01-32",
            "10000-01-01T25:00:00",
            "10000-01-01 soon",
            "-9999-12-31",
            "1234567890-01-01",
        ] {
            assert_eq!(expiry(bad), Err(BadExpiry::NoDate), "{bad}");
        }
    }

    #[test]
    fn a_date_beyond_all_dates_never_expires() {
        for never in [
            "9999-12-31",
            "9999-12-31 00:00:00",
            "9999-12-31 23:59:59.999999",
            "9999-12-31T23:59:59Z",
            "9999-12-31 23:59:59+00",
            "9999-12-31T23:59:59-12:00",
            "10000-01-01",
            "+10000-02-29",
            "294276-12-31 23:59:59+00",
            "infinity",
            "Infinity",
            " infinity ",
            "253402300800",
            "999999999999",
        ] {
            assert_eq!(expiry(never), Ok(None), "{never}");
        }
        for ends in ["9999-01-01", "9998-12-31", "253402300799", "-infinity"] {
            assert!(expiry(ends).unwrap().is_some(), "{ends}");
        }
    }

    #[test]
    fn milliseconds_are_no_seconds() {
        for large in [
            "1000000000000",
            "1801440000000",
            "1801440000000.5",
            "1801440000000000",
            "-1000000000000",
            "9223372036854775807",
            "99999999999999999999",
        ] {
            assert_eq!(expiry(large), Err(BadExpiry::NoSeconds), "{large}");
        }
        assert_eq!(
            BadExpiry::NoSeconds.of_field(),
            "expires is too large for seconds since 1970 and looks like milliseconds: divide it by 1000"
        );
    }

    #[test]
    fn lists() {
        assert_eq!(
            protocols("imap, SMTP"),
            Some(vec![Protocol::Imap, Protocol::Smtp])
        );
        for bad in ["", "imap,", "imap smtp", "http"] {
            assert_eq!(protocols(bad), None, "{bad}");
        }
        assert_eq!(networks("192.0.2.0/24, ::1,local").unwrap().len(), 2);
        for bad in ["", "192.0.2.0/24,", "localhost"] {
            assert_eq!(networks(bad), None, "{bad}");
        }
    }
}
