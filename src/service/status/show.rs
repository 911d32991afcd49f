//! How values are written for people: on the page and in a terminal.

use std::fmt::{self, Display};

use jiff::Timestamp;

use super::report::{Probe, Refused, Server};

/// Seconds since 1970, as a time of day in UTC.
pub(super) struct Time(pub(super) u64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0).unwrap_or(i64::MAX);
        match Timestamp::from_second(seconds) {
            Ok(time) => time.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

/// A number of seconds: `3 d 4 h`, `5 min 6 s`.
pub(super) struct Span(pub(super) u64);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        match seconds {
            0..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86_400 => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} d {} h", seconds / 86_400, seconds / 3600 % 24),
        }
    }
}

/// Milliseconds with as many digits as matter.
pub(super) struct Millis(pub(super) f64);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms if ms < 10.0 => write!(f, "{ms:.2} ms"),
            ms if ms < 1000.0 => write!(f, "{ms:.0} ms"),
            ms => write!(f, "{:.1} s", ms / 1000.0),
        }
    }
}

/// The bound below which most durations are: `1 ms`, `over 10 s`, `-` without any.
pub(super) struct Bound(pub(super) u64, pub(super) Option<f64>);

impl Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (0, _) => f.write_str("-"),
            (_, Some(ms)) => Millis(ms).fmt(f),
            (_, None) => f.write_str("over 10 s"),
        }
    }
}

/// A number that a template has as a value or as a reference.
pub(super) trait Number {
    /// The number.
    fn number(&self) -> u64;
}

impl Number for u64 {
    fn number(&self) -> u64 {
        *self
    }
}

impl<N: Number> Number for &N {
    fn number(&self) -> u64 {
        (*self).number()
    }
}

/// [`Time`] for a template.
pub(super) fn time(at: impl Number) -> Time {
    Time(at.number())
}

/// [`Span`] for a template.
pub(super) fn span(seconds: impl Number) -> Span {
    Span(seconds.number())
}

/// [`Bound`] for a template.
pub(super) fn bound(count: impl Number, most: Option<f64>) -> Bound {
    Bound(count.number(), most)
}

impl Server {
    /// The state of the server in a word.
    pub(super) fn state(&self) -> &str {
        let known = |up| self.probes.iter().any(|probe| probe.up == Some(up));
        match () {
            () if self.role == "drained" => "drained",
            () if self.unresolved.is_some() => "no address",
            () if known(false) => "down",
            () if known(true) => "up",
            () => "not probed",
        }
    }
}

impl Probe {
    /// The result in words.
    pub(super) fn words(&self) -> String {
        let Self { protocol, port, .. } = self;
        match (self.up, &self.why) {
            (None, _) => format!("{protocol} {port}: not known yet"),
            (Some(true), _) => format!("{protocol} {port}: up since {}", Time(self.since)),
            (Some(false), why) => {
                let why = why.as_deref().unwrap_or_default();
                format!("{protocol} {port}: down since {}: {why}", Time(self.since))
            }
        }
    }
}

impl Refused {
    /// What is refused, in words.
    pub(super) fn what(&self) -> String {
        match (&self.login, &self.network) {
            (Some(login), Some(network)) => format!("{login} from {network}"),
            (Some(login), None) => format!("{login} from anywhere"),
            (None, network) => network.clone().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_exact_enough() {
        for (seconds, shown) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (3599, "59 min 59 s"),
            (3600, "1 h 0 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(Span(seconds).to_string(), shown);
        }
        for (ms, shown) in [
            (0.0, "0.00 ms"),
            (0.25, "0.25 ms"),
            (99.6, "100 ms"),
            (2500.0, "2.5 s"),
        ] {
            assert_eq!(Millis(ms).to_string(), shown);
        }
        assert_eq!(Bound(0, None).to_string(), "-");
        assert_eq!(Bound(1, None).to_string(), "over 10 s");
        assert_eq!(Bound(1, Some(5.0)).to_string(), "5.00 ms");
        assert_eq!(Time(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Time(u64::MAX).to_string(), u64::MAX.to_string());
    }
}
