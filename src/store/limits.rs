//! The limits of accounts and app passwords, as password files and databases write them.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use super::Network;
use crate::request::Protocol;

/// Reads a list such as `imap,smtp`; case and blanks around the words do not matter. An empty list
/// is none.
pub(super) fn protocols(list: &str) -> Option<Vec<Protocol>> {
    let word = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
        "imap" => Some(Protocol::Imap),
        "pop3" => Some(Protocol::Pop3),
        "smtp" => Some(Protocol::Smtp),
        _ => None,
    };
    list.split(',').map(word).collect()
}

/// Reads a list of networks, `192.0.2.0/24,2001:db8::/32`. Dovecot's `local`, a client on a Unix
/// socket, is none of them.
pub(super) fn networks(list: &str) -> Option<Vec<Network>> {
    list.split(',')
        .map(str::trim)
        .filter(|network| *network != "local")
        .map(Network::parse)
        .collect()
}

/// Reads when something ends: `2027-01-31` (as that day begins in UTC; chage(1) means the same),
/// `2027-01-31 12:00:00` and
/// `2027-01-31T12:00:00` (UTC), `2027-01-31T12:00:00+01:00`, or seconds since 1970.
pub(super) fn expiry(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let end = if let Ok(seconds) = text.parse::<i64>() {
        Timestamp::from_second(seconds).ok()?
    } else if let Ok(instant) = text.parse::<Timestamp>() {
        instant
    } else if text.len() == "2027-01-31".len() {
        let day = text.parse::<Date>().ok()?;
        day.to_zoned(TimeZone::UTC).ok()?.timestamp()
    } else {
        let moment = text.parse::<DateTime>().ok()?;
        moment.to_zoned(TimeZone::UTC).ok()?.timestamp()
    };
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn ends() {
        for (text, seconds) in [
            ("0", 0),
            ("1801440000", 1_801_440_000),
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
            let whole = expiry(text).map(|end| end.duration_since(UNIX_EPOCH).unwrap().as_secs());
            assert_eq!(whole, Some(seconds), "{text}");
        }
        assert_eq!(expiry("-1"), UNIX_EPOCH.checked_sub(Duration::from_secs(1)));
        for bad in [
            "",
            "never",
            "2027-02-29",
            "2027-13-01",
            "31.1.2027",
            "99999999999999999999",
            "2027-01-31T",
            "2027-01-31T25:00:00",
        ] {
            assert_eq!(expiry(bad), None, "{bad}");
        }
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
