//! What needs the attention of an administrator: the first lines of the page, and the exit status of the
//! command.

use super::report::{Host, Report, Server};

/// One sentence for each thing.
pub(super) fn of(report: &Report) -> Vec<String> {
    let mut trouble = Vec::new();
    let configuration = &report.configuration;
    if !configuration.in_force {
        trouble.push(
            "no configuration is in force: every login gets the temporary failure".to_owned(),
        );
    }
    if let Some(first) = configuration.problems.first() {
        let more = match configuration.problems.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        trouble.push(format!("a changed file cannot be loaded: {first}{more}"));
    }
    for store in &report.stores {
        if store.circuit.as_ref().is_some_and(|circuit| circuit.open) {
            let name = &store.name;
            trouble.push(format!(
                "store {name} does not answer: it is asked once a second"
            ));
        }
    }
    for host in report.hosts.iter().filter(|host| !host.moving) {
        for protocol in ["imap", "pop3", "smtp"] {
            if is_down(host, protocol) {
                let name = &host.name;
                trouble.push(format!("host {name}: no mail server is up ({protocol})"));
            }
        }
        let mut servers = host
            .servers
            .iter()
            .filter(|server| server.role != "drained");
        let unresolved = |server: &Server| server.unresolved.is_some();
        if servers.clone().next().is_some() && servers.all(unresolved) {
            trouble.push(format!("host {}: its address is unknown", host.name));
        }
    }
    let throttle = report.throttle.as_ref();
    if let Some(why) = throttle.and_then(|throttle| throttle.unreachable.as_ref()) {
        trouble.push(format!(
            "the counts of wrong passwords cannot be read: {why}"
        ));
    }
    if let Some(connections) = &report.connections
        && connections.used >= connections.most
    {
        trouble.push(format!("all {} connections are in use", connections.most));
    }
    trouble
}

/// Whether every server of a host that gets users is known to be down for a protocol.
fn is_down(host: &Host, protocol: &str) -> bool {
    let down = |server: &Server| {
        let mut probes = server.probes.iter();
        probes.any(|probe| probe.protocol == protocol && probe.up == Some(false))
    };
    let mut servers = host
        .servers
        .iter()
        .filter(|server| server.role != "drained")
        .peekable();
    servers.peek().is_some() && servers.all(down)
}
