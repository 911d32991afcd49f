//! The status for monitoring: OpenMetrics 1.0, and the older text format of Prometheus.
//!
//! Labels have values of the configuration and of fixed lists alone: no value of a client makes a series.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use super::report::Report;

mod writer;

use writer::{Writer, single};

/// The content type of OpenMetrics.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The content type of the older format.
pub(super) const PROMETHEUS: &str = prometheus_text::CONTENT_TYPE;

/// The prefix of all names.
const PREFIX: &str = "nginx_mail_auth";

/// The status in OpenMetrics 1.0.
pub(super) fn open_metrics(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _written = text::encode(&mut out, &registry(report));
    out
}

/// The status in the text format of Prometheus 0.0.4. The last line is a comment there, and the mark of the end
/// in OpenMetrics.
pub(super) fn prometheus(report: &Report) -> String {
    let mut out = String::new();
    let _written = prometheus_text::encode(&mut out, &registry(report));
    out.push_str("# EOF\n");
    out
}

fn registry(report: &Report) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Metrics(report.clone())));
    registry
}

/// All metrics of a report.
#[derive(Debug)]
struct Metrics(Report);

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Writer(encoder);
        self.process(&mut out)?;
        self.answers(&mut out)?;
        self.stores(&mut out)?;
        self.mail_servers(&mut out)?;
        self.limits(&mut out)
    }
}

impl Metrics {
    fn process(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Report {
            process,
            configuration,
            trouble,
            ..
        } = &self.0;
        let version = vec![
            ("version", &*process.version),
            ("features", &*process.features),
        ];
        out.gauges(
            ("build_info", "Version and features of the program"),
            [(version, 1)],
        )?;
        out.times(
            ("start_time", "When this process started, since 1970"),
            single(process.started),
        )?;
        out.gauges(
            (
                "trouble",
                "Things that need attention: the sentences at the top of the status page",
            ),
            single(trouble.len() as u64),
        )?;
        out.gauges(
            ("config_in_force", "1 if a configuration answers requests"),
            single(configuration.in_force.into()),
        )?;
        out.gauges(
            (
                "config_problems",
                "Problems of files that cannot be loaded as they are now",
            ),
            single(configuration.problems.len() as u64),
        )?;
        out.times(
            (
                "config_loaded_time",
                "When the configuration in force was loaded, since 1970",
            ),
            configuration.loaded.map(|at| (Vec::new(), at)),
        )
    }

    fn answers(&self, out: &mut Writer<'_>) -> fmt::Result {
        let answers = &self.0.answers;
        out.counters(
            ("decisions", "Answers to nginx, by the cause in the log"),
            answers.causes.iter().flat_map(|it| {
                it.protocols.each().map(|(protocol, count)| {
                    let (cause, answer) = (&*it.cause, &*it.answer);
                    (
                        vec![("answer", answer), ("cause", cause), ("protocol", protocol)],
                        count,
                    )
                })
            }),
        )?;
        out.counters(
            ("method_decisions", "Answers to nginx, by Auth-Method"),
            answers.methods.iter().flat_map(|it| {
                let kinds = &it.answers;
                [
                    ("accepted", kinds.accepted),
                    ("refused", kinds.refused),
                    ("temporary", kinds.temporary),
                ]
                .map(|(answer, count)| (vec![("method", &*it.method), ("answer", answer)], count))
            }),
        )?;
        out.counters(
            (
                "host_logins",
                "Accepted logins, by host; other: hosts that only stores name",
            ),
            answers.hosts.iter().flat_map(|it| {
                it.protocols.each().map(|(protocol, count)| {
                    (vec![("host", &*it.host), ("protocol", protocol)], count)
                })
            }),
        )?;
        out.histograms(
            (
                "decision_duration",
                "From the arrival of a request to its decision",
            ),
            answers
                .durations
                .iter()
                .map(|it| (vec![("answer", &*it.answer)], &it.times)),
        )
    }

    fn stores(&self, out: &mut Writer<'_>) -> fmt::Result {
        let stores = &self.0.stores;
        out.counters(
            ("store_answers", "What each store answered about logins"),
            stores.iter().flat_map(|it| {
                [
                    ("yes", it.yes),
                    ("no", it.no),
                    ("unknown", it.unknown),
                    ("trouble", it.trouble),
                ]
                .map(|(answer, count)| (vec![("store", &*it.name), ("answer", answer)], count))
            }),
        )?;
        out.histograms(
            (
                "store_duration",
                "How long look-ups in each store and its checks of passwords took",
            ),
            stores
                .iter()
                .map(|it| (vec![("store", &*it.name)], &it.times)),
        )?;
        let circuits: Vec<_> = stores
            .iter()
            .filter_map(|it| Some((vec![("store", &*it.name)], it.circuit.as_ref()?)))
            .collect();
        let circuits = || circuits.iter().cloned();
        out.gauges(
            (
                "store_circuit_open",
                "1 if the store does not answer and is asked once a second",
            ),
            circuits().map(|(labels, circuit)| (labels, circuit.open.into())),
        )?;
        out.times(
            (
                "store_circuit_changed_time",
                "When the circuit last opened or closed, since 1970",
            ),
            circuits().filter_map(|(labels, circuit)| Some((labels, circuit.since?))),
        )?;
        out.gauges(
            (
                "store_waiting",
                "Questions that wait for an answer of the store",
            ),
            circuits().map(|(labels, circuit)| (labels, circuit.waiting)),
        )?;
        out.gauges(
            (
                "store_waiting_limit",
                "The maximum of questions that wait for the store",
            ),
            circuits().map(|(labels, circuit)| (labels, circuit.most)),
        )
    }

    fn mail_servers(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Report { hosts, moves, .. } = &self.0;
        let servers = || {
            hosts.iter().flat_map(|host| {
                let labels = |server| vec![("host", &*host.name), ("server", server)];
                host.servers.iter().map(move |it| (labels(&*it.target), it))
            })
        };
        let probes = || {
            servers().flat_map(|(labels, server)| {
                server.probes.iter().filter_map(move |it| {
                    let mut labels = labels.clone();
                    labels.push(("protocol", &*it.protocol));
                    Some((labels, it.up?, it.since))
                })
            })
        };
        out.gauges(
            (
                "mail_server_up",
                "1 if probes find the mail server alive, for hosts with several",
            ),
            probes().map(|(labels, up, _)| (labels, up.into())),
        )?;
        out.times(
            (
                "mail_server_changed_time",
                "When the mail server last went up or down, since 1970",
            ),
            probes().map(|(labels, _, since)| (labels, since)),
        )?;
        out.gauges(
            (
                "mail_server_resolved",
                "1 if the address of the mail server is known",
            ),
            servers()
                .filter(|(_, it)| it.address.is_some() || it.unresolved.is_some())
                .map(|(labels, it)| (labels, it.address.is_some().into())),
        )?;
        out.gauges(
            ("mail_server_drained", "1 if the mail server gets no users"),
            servers().map(|(labels, it)| (labels, (it.role == "drained").into())),
        )?;
        out.gauges(
            (
                "host_moving",
                "1 if all users of the host get the temporary failure: they are being moved",
            ),
            hosts
                .iter()
                .map(|it| (vec![("host", &*it.name)], it.moving.into())),
        )?;
        let of_move = |it: &super::report::Move| it.name.clone();
        let names: Vec<_> = moves.iter().map(of_move).collect();
        let labels = |name| vec![("move", name)];
        out.ratios(
            ("move_moved", "The share of users who have moved"),
            names
                .iter()
                .zip(moves)
                .map(|(name, it)| (labels(&**name), it.moved)),
        )?;
        out.ratios(
            (
                "move_moving",
                "The share of users who have moved or are being moved",
            ),
            names
                .iter()
                .zip(moves)
                .map(|(name, it)| (labels(&**name), it.moving)),
        )
    }

    fn limits(&self, out: &mut Writer<'_>) -> fmt::Result {
        let Report {
            hashes,
            connections,
            throttle,
            ..
        } = &self.0;
        let of_hashes = |value: fn(&super::report::Hashes) -> u64| {
            hashes.as_ref().map(|it| (Vec::new(), value(it)))
        };
        out.gauges(
            ("hashes_running", "Password hashes that are computed now"),
            of_hashes(|it| it.running),
        )?;
        out.gauges(
            ("hashes_waiting", "Logins that wait for a password hash"),
            of_hashes(|it| it.waiting),
        )?;
        out.gauges(
            ("hashes_limit", "The maximum of password hashes at once"),
            of_hashes(|it| it.most),
        )?;
        out.counters(
            (
                "hashes_timed_out",
                "Logins whose time was over before a hash could be computed",
            ),
            of_hashes(|it| it.timed_out),
        )?;
        let of_connections = |value: fn(&super::report::Connections) -> u64| {
            connections.as_ref().map(|it| (Vec::new(), value(it)))
        };
        out.gauges(
            ("connections", "FastCGI connections in use"),
            of_connections(|it| it.used),
        )?;
        out.gauges(
            ("connections_limit", "The maximum of FastCGI connections"),
            of_connections(|it| it.most),
        )?;
        out.gauges(
            (
                "throttle_reachable",
                "1 if the counts of wrong passwords can be read",
            ),
            throttle
                .as_ref()
                .map(|it| (Vec::new(), it.unreachable.is_none().into())),
        )?;
        let readable = throttle.iter().filter(|it| it.unreachable.is_none());
        out.gauges(
            (
                "throttle_refused",
                "Networks, logins, and logins from one network that are refused now",
            ),
            readable.flat_map(|it| {
                [
                    ("network", it.networks),
                    ("login", it.logins),
                    ("pair", it.pairs),
                ]
                .map(|(kind, count)| (vec![("kind", kind)], count))
            }),
        )
    }
}
