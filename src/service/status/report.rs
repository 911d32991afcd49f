//! The status as plain values, from which every form of the page is made.

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod example;
#[cfg(test)]
pub(super) use example::example;

/// The status of one process at one time. Times are seconds since 1970, durations are seconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Report {
    /// The time of the report.
    pub now: u64,
    /// The process.
    pub process: Process,
    /// The configuration.
    pub configuration: Configuration,
    /// What needs attention, one sentence each; empty if all is well.
    pub trouble: Vec<String>,
    /// The connections of the FastCGI server; `None` under CGI.
    pub connections: Option<Connections>,
    /// The queue of password hashes; `None` without a configuration.
    pub hashes: Option<Hashes>,
    /// The answers of this process.
    pub answers: Answers,
    /// The stores, in the order in which they are asked.
    pub stores: Vec<Store>,
    /// The hosts and their mail servers.
    pub hosts: Vec<Host>,
    /// The moves between hosts.
    pub moves: Vec<Move>,
    /// The counts of wrong passwords; `None` without `[throttle]`.
    pub throttle: Option<Throttle>,
}

/// The process that answers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Process {
    /// The version of the program.
    pub version: String,
    /// Its features.
    pub features: String,
    /// The number of the process.
    pub pid: u32,
    /// When it started.
    pub started: u64,
    /// Seconds since then.
    pub uptime: u64,
    /// Whether it answers one request only, as under CGI.
    pub one_request: bool,
    /// What the sandbox enforces.
    pub sandbox: String,
    /// Which processes the counts are of.
    pub counts: String,
}

/// The configuration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Configuration {
    /// The file.
    pub file: String,
    /// Whether a version of it answers requests.
    pub in_force: bool,
    /// When that version was loaded.
    pub loaded: Option<u64>,
    /// Why files cannot be loaded as they are now, with their places.
    pub problems: Vec<String>,
    /// The last problem, also if it has been repaired.
    pub last_error: Option<LastError>,
}

/// The last problem of a load.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct LastError {
    /// When it was found.
    pub at: u64,
    /// The file, the line and column, and what is wrong.
    pub what: String,
}

/// Connections.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Connections {
    /// Those in use.
    pub used: u64,
    /// The maximum.
    pub most: u64,
}

/// The queue of password hashes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Hashes {
    /// Hashes that are being computed.
    pub running: u64,
    /// Logins that wait for one.
    pub waiting: u64,
    /// The maximum at the same time.
    pub most: u64,
    /// Logins for which the time was over before a hash could be computed.
    pub timed_out: u64,
}

/// Numbers by kind of answer.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Kinds {
    /// Accepted logins.
    pub accepted: u64,
    /// Refused logins.
    pub refused: u64,
    /// Temporary failures.
    pub temporary: u64,
}

impl Kinds {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.accepted + self.refused + self.temporary
    }
}

impl From<[u64; 3]> for Kinds {
    fn from([accepted, refused, temporary]: [u64; 3]) -> Self {
        Self {
            accepted,
            refused,
            temporary,
        }
    }
}

/// Numbers by protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Protocols {
    /// IMAP.
    pub imap: u64,
    /// POP3.
    pub pop3: u64,
    /// SMTP.
    pub smtp: u64,
}

impl Protocols {
    /// All of them.
    pub fn all(&self) -> u64 {
        self.imap + self.pop3 + self.smtp
    }

    /// Each protocol with its number.
    pub fn each(&self) -> [(&'static str, u64); 3] {
        [
            ("imap", self.imap),
            ("pop3", self.pop3),
            ("smtp", self.smtp),
        ]
    }
}

impl From<[u64; 3]> for Protocols {
    fn from([imap, pop3, smtp]: [u64; 3]) -> Self {
        Self { imap, pop3, smtp }
    }
}

/// Answers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Answers {
    /// All of them.
    pub total: Kinds,
    /// Every cause of the log.
    pub causes: Vec<Cause>,
    /// Every method.
    pub methods: Vec<Method>,
    /// Accepted logins by host: those of the configuration, and `other` for hosts that only stores name.
    pub hosts: Vec<HostAnswers>,
    /// How long the decisions took, by kind of answer.
    pub durations: Vec<Duration>,
    /// The last hour, a minute each, the oldest first; the last one is not over.
    pub minutes: Vec<Minute>,
}

/// The decisions with one cause.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Cause {
    /// The word in the log.
    pub cause: String,
    /// The kind of answer: `accepted`, `refused` or `temporary`.
    pub answer: String,
    /// Their number.
    #[serde(flatten)]
    pub protocols: Protocols,
}

/// The decisions about one method.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Method {
    /// nginx's word for it.
    pub method: String,
    /// Their number.
    #[serde(flatten)]
    pub answers: Kinds,
}

/// The accepted logins of one host.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct HostAnswers {
    /// The host's name in the configuration.
    pub host: String,
    /// Their number.
    #[serde(flatten)]
    pub protocols: Protocols,
}

/// How long decisions took.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Duration {
    /// The kind of answer.
    pub answer: String,
    /// The times.
    #[serde(flatten)]
    pub times: Times,
}

/// A histogram.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Times {
    /// The number of events.
    pub count: u64,
    /// The sum of their durations.
    pub sum: f64,
    /// The number of events in each bucket.
    pub buckets: Vec<Bucket>,
}

/// A bucket of a histogram.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Bucket {
    /// The longest duration in it; `None` for the last one, which has no bound.
    pub most: Option<f64>,
    /// The number of events in it.
    pub count: u64,
}

impl Times {
    /// The average in milliseconds; 0 without an event.
    pub fn mean_ms(&self) -> f64 {
        match self.count {
            0 => 0.0,
            count => self.sum * 1000.0 / count as f64,
        }
    }

    /// The bound of the bucket in which this share of the events ends, in milliseconds; `None` if it has no
    /// bound, or without an event.
    pub fn bound_ms(&self, share: f64) -> Option<f64> {
        let wanted = self.count as f64 * share;
        let mut seen = 0.0;
        let bucket = self.buckets.iter().find(|bucket| {
            seen += bucket.count as f64;
            self.count > 0 && seen >= wanted
        });
        Some(bucket?.most? * 1000.0)
    }
}

/// The decisions of one minute.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Minute {
    /// Their number.
    #[serde(flatten)]
    pub answers: Kinds,
    /// The average of their durations, in milliseconds.
    pub mean_ms: f64,
}

/// A store.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Store {
    /// Its name.
    pub name: String,
    /// Logins that it was asked about.
    pub asked: u64,
    /// Logins that it accepted.
    pub yes: u64,
    /// Logins that it knows and refused.
    pub no: u64,
    /// Logins that it does not know.
    pub unknown: u64,
    /// Logins about which it could not answer.
    pub trouble: u64,
    /// Its circuit breaker; `None` if it asks no server.
    pub circuit: Option<Circuit>,
    /// How long its look-ups and checks took.
    pub times: Times,
}

/// A circuit breaker.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Circuit {
    /// Whether it is open.
    pub open: bool,
    /// When it last opened or closed.
    pub since: Option<u64>,
    /// The questions that wait.
    pub waiting: u64,
    /// The maximum of them.
    pub most: u64,
}

/// A host.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Whether all its users get the temporary failure because they are being moved.
    pub moving: bool,
    /// Its mail servers.
    pub servers: Vec<Server>,
}

/// A mail server.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Server {
    /// Its address or name as configured.
    pub target: String,
    /// `main`, `backup` or `drained`.
    pub role: String,
    /// Its share of the users.
    pub weight: u64,
    /// Its address, if it is known.
    pub address: Option<String>,
    /// Why its address is unknown.
    pub unresolved: Option<String>,
    /// The results of probes.
    pub probes: Vec<Probe>,
}

/// The result of the probes of one protocol.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Probe {
    /// The protocol.
    pub protocol: String,
    /// The port.
    pub port: u16,
    /// Whether it is up; `None` if that is not known yet.
    pub up: Option<bool>,
    /// Since when.
    pub since: u64,
    /// Why it is down.
    pub why: Option<String>,
}

/// A move.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Move {
    /// Its name.
    pub name: String,
    /// The old host.
    pub old: String,
    /// The new host.
    pub new: String,
    /// Percent of the users who have moved.
    pub moved: u8,
    /// Percent up to which users are being moved.
    pub moving: u8,
}

/// The counts of wrong passwords.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Throttle {
    /// Where they are.
    pub state: String,
    /// Why they cannot be read.
    pub unreachable: Option<String>,
    /// The number of refused networks.
    pub networks: u64,
    /// The number of refused logins.
    pub logins: u64,
    /// The number of logins that are refused from one network.
    pub pairs: u64,
    /// Refused networks, at most 100.
    pub refused_networks: Vec<Refused>,
    /// Refused logins, at most 200; `None` if they were not asked for.
    pub refused_logins: Option<Vec<Refused>>,
}

/// What is refused.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Refused {
    /// The network.
    pub network: Option<String>,
    /// The login; bytes that cannot be shown are replaced.
    pub login: Option<String>,
    /// Wrong passwords.
    pub failures: u32,
    /// Until when.
    pub until: u64,
}
