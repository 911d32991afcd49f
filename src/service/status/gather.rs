//! Makes the report: reads every part once, and holds no lock that a login needs for longer than it takes to
//! copy some numbers.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::counts::{COUNTS, Kind};
use super::history::START;
use super::report::{
    Answers, Bucket, Cause, Circuit, Configuration, Connections, Duration, Hashes, Host,
    HostAnswers, LastError, Method, Minute, Move, Probe, Process, Refused, Report, Server, Store,
    Throttle, Times,
};
use crate::front::Load;
use crate::login::printable::Printable;
use crate::nginx::cause;
use crate::route::{Health, Role, ServerStanding, State};
use crate::service::Service;
use crate::sys::count::{BOUNDS, Histogram};

/// What the process knows of itself.
pub(in crate::service) struct Facts<'a> {
    /// The configuration file.
    pub(in crate::service) file: &'a Path,
    /// The version in force.
    pub(in crate::service) service: Option<&'a Service>,
    /// Why files cannot be loaded as they are now.
    pub(in crate::service) problems: Vec<String>,
    /// The last problem, and when it was found.
    pub(in crate::service) last_error: Option<(Instant, String)>,
    /// What the sandbox enforces.
    pub(in crate::service) sandbox: String,
    /// The load of the server; `None` for one request.
    pub(in crate::service) load: Option<&'a Load>,
}

/// Whether refused logins are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logins {
    Shown,
    Hidden,
}

/// Converts times to seconds since 1970.
struct Clock {
    now: Instant,
    unix: u64,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            now: Instant::now(),
            unix: since.unwrap_or_default().as_secs(),
        }
    }

    fn unix(&self, then: Instant) -> u64 {
        let ago = self.now.saturating_duration_since(then);
        self.unix.saturating_sub(ago.as_secs())
    }
}

/// The report of this process.
pub(super) fn report(facts: &Facts<'_>, logins: Logins) -> Report {
    let clock = Clock::new();
    let gate = facts.service.map(Service::gate);
    let mut report = Report {
        now: clock.unix,
        process: process(facts, &clock),
        configuration: configuration(facts, &clock),
        connections: facts.load.map(|load| Connections {
            used: load.connections() as u64,
            most: load.most() as u64,
        }),
        answers: answers(facts.service),
        hashes: gate.map(|gate| {
            let (running, waiting, most) = gate.chain.hashing().load();
            let busy = COUNTS
                .causes()
                .find(|(cause, _)| *cause == cause::Cause::Busy);
            Hashes {
                running: running as u64,
                waiting: waiting as u64,
                most: most.get() as u64,
                timed_out: busy.map_or(0, |(_, counts)| counts.iter().sum()),
            }
        }),
        ..Report::default()
    };
    if let Some(gate) = gate {
        report.stores = stores(gate.chain.sources(), &clock);
        let standing = gate.routes.standing();
        report.hosts = standing
            .map(|(host, servers)| Host {
                name: host.name.to_string(),
                moving: host.state == State::Moving,
                servers: servers.into_iter().map(|it| server(it, &clock)).collect(),
            })
            .collect();
        let table = gate.routes.table();
        report.moves = table
            .moves()
            .iter()
            .map(|users| Move {
                name: users.name.to_string(),
                old: table.host_of(users.old).name.to_string(),
                new: table.host_of(users.new).name.to_string(),
                moved: users.moved,
                moving: users.moving,
            })
            .collect();
        report.throttle = gate
            .throttle
            .as_ref()
            .map(|it| throttle(it, logins, &clock));
    }
    report.trouble = super::trouble::of(&report);
    report
}

fn process(facts: &Facts<'_>, clock: &Clock) -> Process {
    let pid = std::process::id();
    let started = clock.unix(*START);
    let counts = match facts.load {
        Some(_) => format!("the counts are of this process alone (pid {pid})"),
        None => {
            format!("this process (pid {pid}) answers this request alone: it has nothing to count")
        }
    };
    let features = match cfg!(feature = "servers") {
        true => "servers",
        false => "none",
    };
    Process {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: features.to_owned(),
        pid,
        started,
        uptime: clock.unix.saturating_sub(started),
        one_request: facts.load.is_none(),
        sandbox: facts.sandbox.clone(),
        counts,
    }
}

fn configuration(facts: &Facts<'_>, clock: &Clock) -> Configuration {
    Configuration {
        file: facts.file.display().to_string(),
        in_force: facts.service.is_some(),
        loaded: facts.service.map(|service| clock.unix(service.loaded)),
        problems: facts.problems.clone(),
        last_error: facts.last_error.as_ref().map(|(at, what)| LastError {
            at: clock.unix(*at),
            what: what.clone(),
        }),
    }
}

fn answers(service: Option<&Service>) -> Answers {
    let mut answers = Answers::default();
    for (cause, counts) in COUNTS.causes() {
        let kind = Kind::of(cause);
        let total = match kind {
            Kind::Accepted => &mut answers.total.accepted,
            Kind::Refused => &mut answers.total.refused,
            Kind::Temporary => &mut answers.total.temporary,
        };
        *total += counts.iter().sum::<u64>();
        answers.causes.push(Cause {
            cause: cause.word().to_owned(),
            answer: kind.word().to_owned(),
            protocols: counts.into(),
        });
    }
    answers.methods = COUNTS
        .methods()
        .map(|(method, counts)| Method {
            method: method.to_owned(),
            answers: counts.into(),
        })
        .collect();
    answers.durations = COUNTS
        .took()
        .map(|(kind, histogram)| Duration {
            answer: kind.word().to_owned(),
            times: times(histogram),
        })
        .collect();
    let minutes = COUNTS.history().read().into_iter();
    answers.minutes = minutes
        .map(|minute| {
            let count = minute.kinds.iter().sum::<u64>().max(1);
            Minute {
                answers: minute.kinds.into(),
                mean_ms: minute.micros as f64 / 1000.0 / count as f64,
            }
        })
        .collect();
    if let Some(service) = service {
        let hosts = service.gate().routes.table().hosts().iter();
        let mut known: Vec<_> = hosts
            .map(|host| HostAnswers {
                host: host.name.to_string(),
                protocols: service.hosts.of(&host.name).into(),
            })
            .collect();
        known.push(HostAnswers {
            host: "other".to_owned(),
            protocols: service.hosts.others().into(),
        });
        answers.hosts = known;
    }
    answers
}

fn times(histogram: &Histogram) -> Times {
    let (buckets, micros) = histogram.read();
    let bounds = BOUNDS
        .iter()
        .map(|bound| Some(*bound as f64 / 1e6))
        .chain([None]);
    let buckets = bounds.zip(buckets);
    Times {
        count: buckets.clone().map(|(_, count)| count).sum(),
        sum: micros as f64 / 1e6,
        buckets: buckets
            .map(|(most, count)| Bucket { most, count })
            .collect(),
    }
}

fn stores(sources: &[crate::auth::Source], clock: &Clock) -> Vec<Store> {
    let mut stores: Vec<Store> = Vec::new();
    for source in sources {
        let counts = &source.counts;
        let [yes, no, unknown, trouble] =
            [&counts.yes, &counts.no, &counts.unknown, &counts.trouble]
                .map(|counter| counter.get());
        // Names can be equal; on the page and in metrics they are not.
        let same = sources
            .iter()
            .take(stores.len())
            .filter(|it| it.name == source.name)
            .count();
        let name = match same {
            0 => source.name.clone(),
            same => format!("{} ({})", source.name, same + 1),
        };
        stores.push(Store {
            name,
            asked: yes + no + unknown + trouble,
            yes,
            no,
            unknown,
            trouble,
            circuit: source.bound.as_ref().map(|bound| {
                let circuit = bound.circuit();
                Circuit {
                    open: circuit.open,
                    since: circuit.since.map(|since| clock.unix(since)),
                    waiting: circuit.waiting as u64,
                    most: circuit.most.get() as u64,
                }
            }),
            times: times(&counts.took),
        });
    }
    stores
}

fn server(standing: ServerStanding<'_>, clock: &Clock) -> Server {
    let role = match standing.server.role {
        Role::Main => "main",
        Role::Backup => "backup",
        Role::Drained => "drained",
    };
    let (address, unresolved) = match standing.address {
        Some(Ok(address)) => (Some(address.to_string()), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let probes = standing.probed.into_iter().map(|probed| {
        let (up, why) = match probed.health {
            Health::Unknown => (None, None),
            Health::Alive => (Some(true), None),
            Health::Dead(why) => (Some(false), Some(why.to_string())),
        };
        Probe {
            protocol: probed.protocol.word().to_owned(),
            port: probed.port.get(),
            up,
            since: clock.unix(probed.since),
            why,
        }
    });
    Server {
        target: standing.server.target.to_string(),
        role: role.to_owned(),
        weight: standing.server.weight.get().into(),
        address,
        unresolved,
        probes: probes.collect(),
    }
}

fn throttle(throttle: &crate::throttle::Throttle, logins: Logins, clock: &Clock) -> Throttle {
    let mut report = Throttle {
        state: throttle.settings().place.to_string(),
        ..Throttle::default()
    };
    let refused = match throttle.refused() {
        Ok(refused) => refused,
        Err(why) => {
            report.unreachable = Some(why);
            return report;
        }
    };
    (report.networks, report.logins, report.pairs) =
        (refused.networks, refused.logins, refused.pairs);
    let (mut networks, mut others) = (Vec::new(), Vec::new());
    for refusing in &refused.some {
        let line = Refused {
            network: refusing.key.network().map(|network| network.to_string()),
            login: refusing
                .key
                .login()
                .map(|login| Printable(login).to_string()),
            failures: refusing.failures,
            until: clock.unix.saturating_add(refusing.left.as_secs()),
        };
        match line.login {
            None => networks.push(line),
            Some(_) => others.push(line),
        }
    }
    report.refused_networks = networks;
    report.refused_logins = (logins == Logins::Shown).then_some(others);
    report
}
