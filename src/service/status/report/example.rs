//! A report for the tests.

use super::*;

/// A report in which every list has an entry, and every text is filled.
pub(in crate::service::status) fn example() -> Report {
    let text = || "x".to_owned();
    let times = || Times {
        count: 1,
        sum: 0.001,
        buckets: vec![Bucket {
            most: Some(0.001),
            count: 1,
        }],
    };
    let refused = || Refused {
        network: Some(text()),
        login: Some(text()),
        failures: 1,
        until: 1,
    };
    let probe = |up| Probe {
        protocol: "imap".to_owned(),
        up,
        why: Some(text()),
        ..Probe::default()
    };
    let one = Protocols {
        imap: 1,
        pop3: 1,
        smtp: 1,
    };
    Report {
        configuration: Configuration {
            problems: vec![text()],
            last_error: Some(LastError::default()),
            ..Configuration::default()
        },
        trouble: vec![text()],
        connections: Some(Connections::default()),
        hashes: Some(Hashes::default()),
        answers: Answers {
            causes: vec![Cause {
                protocols: one,
                ..Cause::default()
            }],
            methods: vec![Method {
                answers: [1, 1, 1].into(),
                ..Method::default()
            }],
            hosts: vec![HostAnswers {
                protocols: one,
                ..HostAnswers::default()
            }],
            durations: vec![Duration {
                answer: text(),
                times: times(),
            }],
            minutes: vec![Minute::default()],
            ..Answers::default()
        },
        stores: vec![Store {
            circuit: Some(Circuit {
                open: true,
                since: Some(1),
                ..Circuit::default()
            }),
            times: times(),
            ..Store::default()
        }],
        hosts: vec![Host {
            servers: vec![Server {
                address: Some(text()),
                unresolved: Some(text()),
                probes: vec![probe(Some(true)), probe(Some(false)), probe(None)],
                ..Server::default()
            }],
            ..Host::default()
        }],
        moves: vec![Move::default()],
        throttle: Some(Throttle {
            unreachable: Some(text()),
            refused_networks: vec![refused()],
            refused_logins: Some(vec![refused()]),
            ..Throttle::default()
        }),
        ..Report::default()
    }
}
