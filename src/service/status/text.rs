//! The status as text, for a terminal.

use std::fmt::{self, Display, Formatter};

use super::report::{Report, Times};
use super::show::{Bound, Millis, Span, Time};

/// A report as text. Rows with a count of zero are left out.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.process(f)?;
        self.answers(f)?;
        self.stores(f)?;
        self.mail_servers(f)?;
        self.limits(f)
    }
}

/// One line with a name and a value.
fn line(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    let name = match name.is_empty() {
        true => String::new(),
        false => format!("{name}:"),
    };
    let line = format!("{name:<21} {value}");
    writeln!(f, "{}", line.trim_end())
}

/// `mean 1.20 ms, 95 % within 2.50 ms`.
fn in_short(times: &Times) -> String {
    let (mean, bound) = (
        Millis(times.mean_ms()),
        Bound(times.count, times.bound_ms(0.95)),
    );
    match times.count {
        0 => String::new(),
        _ => format!(", mean {mean}, 95 % within {bound}"),
    }
}

impl Report {
    fn process(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            process,
            configuration,
            ..
        } = self;
        match self.trouble.is_empty() {
            true => line(f, "state", "no trouble")?,
            false => self
                .trouble
                .iter()
                .try_for_each(|it| line(f, "trouble", it))?,
        }
        line(
            f,
            "version",
            format_args!("{} (features: {})", process.version, process.features),
        )?;
        line(f, "process", process.pid)?;
        line(f, "started", Time(process.started))?;
        line(f, "uptime", Span(process.uptime))?;
        line(f, "sandbox", &process.sandbox)?;
        line(f, "configuration", &configuration.file)?;
        match configuration.loaded {
            Some(loaded) => line(f, "loaded", Time(loaded))?,
            None => line(f, "loaded", "no: no configuration is in force")?,
        }
        for problem in &configuration.problems {
            line(f, "problem", problem)?;
        }
        if let Some(last) = &configuration.last_error {
            line(
                f,
                "last error",
                format_args!("{} {}", Time(last.at), last.what),
            )?;
        }
        line(f, "counts", &process.counts)
    }

    fn answers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let answers = &self.answers;
        writeln!(f)?;
        line(f, "accepted", answers.total.accepted)?;
        line(f, "refused", answers.total.refused)?;
        line(f, "temporary failures", answers.total.temporary)?;
        for it in answers.causes.iter().filter(|it| it.protocols.all() > 0) {
            let [imap, pop3, smtp] = it.protocols.each().map(|(_, count)| count);
            let counts = format_args!(
                "{} (imap {imap}, pop3 {pop3}, smtp {smtp})",
                it.protocols.all()
            );
            line(f, &format!("cause {}", it.cause), counts)?;
        }
        for it in answers.methods.iter().filter(|it| it.answers.all() > 0) {
            let counts = &it.answers;
            let (accepted, refused) = (counts.accepted, counts.refused);
            let counts = format_args!(
                "accepted {accepted}, refused {refused}, temporary {}",
                counts.temporary
            );
            line(f, &format!("method {}", it.method), counts)?;
        }
        for it in answers.hosts.iter().filter(|it| it.protocols.all() > 0) {
            line(f, &format!("accepted for {}", it.host), it.protocols.all())?;
        }
        for it in answers.durations.iter().filter(|it| it.times.count > 0) {
            let times = format!("{}{}", it.times.count, in_short(&it.times));
            line(f, &format!("time of {}", it.answer), times)?;
        }
        Ok(())
    }

    fn stores(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for it in &self.stores {
            writeln!(f)?;
            let counts = format_args!(
                "asked {}, yes {}, no {}, unknown {}, trouble {}{}",
                it.asked,
                it.yes,
                it.no,
                it.unknown,
                it.trouble,
                in_short(&it.times)
            );
            line(f, &format!("store {}", it.name), counts)?;
            if let Some(circuit) = &it.circuit {
                let state = match circuit.open {
                    true => "open: asked once a second",
                    false => "closed",
                };
                let since = circuit
                    .since
                    .map_or_else(String::new, |at| format!(" since {}", Time(at)));
                let (waiting, most) = (circuit.waiting, circuit.most);
                line(
                    f,
                    "  circuit",
                    format_args!("{state}{since}; {waiting} of {most} questions wait"),
                )?;
            }
        }
        Ok(())
    }

    fn mail_servers(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for host in &self.hosts {
            let state = match host.moving {
                true => "being moved: temporary failures",
                false => "",
            };
            line(f, &format!("host {}", host.name), state)?;
            for server in &host.servers {
                let why = server
                    .unresolved
                    .as_ref()
                    .map_or_else(String::new, |why| format!(": {why}"));
                let name = format!("  {}", server.target);
                line(
                    f,
                    &name,
                    format_args!("{}, {}{why}", server.role, server.state()),
                )?;
                for probe in &server.probes {
                    line(f, "", probe.words())?;
                }
            }
        }
        for it in &self.moves {
            let (old, new, moved, moving) = (&it.old, &it.new, it.moved, it.moving);
            let state =
                format_args!("{old} to {new}: {moved} % moved, up to {moving} % being moved");
            line(f, &format!("move {}", it.name), state)?;
        }
        Ok(())
    }

    fn limits(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        if let Some(it) = &self.hashes {
            let counts = format_args!(
                "{} of {} running, {} waiting, {} timed out",
                it.running, it.most, it.waiting, it.timed_out
            );
            line(f, "hashes", counts)?;
        }
        if let Some(it) = &self.connections {
            line(f, "connections", format_args!("{} of {}", it.used, it.most))?;
        }
        let Some(throttle) = &self.throttle else {
            return line(f, "throttle", "off");
        };
        if let Some(why) = &throttle.unreachable {
            return line(
                f,
                "throttle",
                format_args!("{}, cannot be read: {why}", throttle.state),
            );
        }
        line(f, "throttle", &throttle.state)?;
        let counts = format_args!(
            "{} networks, {} logins, {} logins from one network",
            throttle.networks, throttle.logins, throttle.pairs
        );
        line(f, "refused now", counts)?;
        let logins = throttle.refused_logins.iter().flatten();
        for it in throttle.refused_networks.iter().chain(logins) {
            let (failures, until) = (it.failures, Time(it.until));
            line(
                f,
                "  until",
                format_args!("{until} {} ({failures} wrong passwords)", it.what()),
            )?;
        }
        Ok(())
    }
}
