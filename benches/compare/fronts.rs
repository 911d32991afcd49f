//! Behind a real Apache: mod_proxy_fcgi, mod_fcgid and mod_cgid, eight clients.

use std::time::Duration;

use crate::Outcome;
use crate::apache::{Apache, Way};
use crate::http::{self, SLOW};
use crate::lab::{Lab, Level, Program};
use crate::race::{Contestant, Series, race, race_anew};
use crate::report::{Table, Target};
use crate::wire::Address;

/// Processes of the servers that answer one request at a time: one for each client.
const WORKERS: usize = 8;

/// How often servers are started anew.
const STARTS: usize = 3;

pub(crate) fn proxy_fcgi(lab: &Lab) -> Outcome<()> {
    let series = race_anew(STARTS, || proxy_fcgi_once(lab))?;
    let mut table = Table::new();
    // To PHP-FPM, then to C.
    let targets = [Target::AtLeast(1.2), Target::Open];
    rows(&mut table, "mod_proxy_fcgi", &series, &targets);
    table.print("Behind mod_proxy_fcgi, 8 clients");
    stalls(&series);
    Ok(())
}

fn proxy_fcgi_once(lab: &Lab) -> Outcome<Vec<Series>> {
    let mut pairs = Vec::new();
    let ours = Level::ALL.map(Program::Ours);
    for program in ours.into_iter().chain([Program::PhpFpm, Program::Libfcgi]) {
        let server = lab.serve(program, WORKERS)?;
        let script = (program == Program::PhpFpm).then(|| lab.path("mail-auth.php"));
        let Address::Unix(socket) = &server.address else {
            return Err(
                "the snippet for mod_proxy_fcgi wants a Unix socket: leave --tcp out".into(),
            );
        };
        let apache = Apache::start(lab, &Way::ProxyFcgi(socket, script))?;
        pairs.push((program, server, apache));
    }
    let mut contestants = Vec::new();
    for (program, server, apache) in &pairs {
        contestants.push(behind(
            lab,
            program.name(),
            apache,
            Box::new(|| server.cpu()),
        ));
    }
    race(&mut contestants, rounds(lab).0)
}

pub(crate) fn fcgid(lab: &Lab) -> Outcome<()> {
    let series = race_anew(STARTS, || fcgid_once(lab))?;
    let mut table = Table::new();
    rows(&mut table, "mod_fcgid", &series, &[Target::AtLeast(0.97)]);
    table.print("Behind mod_fcgid with the shipped settings, 8 clients");
    stalls(&series);
    Ok(())
}

fn fcgid_once(lab: &Lab) -> Outcome<Vec<Series>> {
    let mut pairs = Vec::new();
    let ours = Level::ALL.map(Program::Ours);
    for program in ours.into_iter().chain([Program::Libfcgi]) {
        let path = lab.program(program);
        let config = lab.config(program.level());
        let apache = Apache::start(lab, &Way::Fcgid(&path, &config))?;
        // What the snippet tells the administrator to do, so that the pool is whole.
        http::burst(apache.address)?;
        pairs.push((program, path, apache));
    }
    let mut contestants = Vec::new();
    for (program, path, apache) in &pairs {
        let cpu = || apache.cpu_of_program(path);
        contestants.push(behind(lab, program.name(), apache, Box::new(cpu)));
    }
    race(&mut contestants, rounds(lab).0)
}

pub(crate) fn cgid(lab: &Lab) -> Outcome<()> {
    let series = race_anew(STARTS, || cgid_once(lab))?;
    let mut table = Table::new();
    let what = "mod_cgid, Apache and all that it starts";
    rows(&mut table, what, &series, &[Target::Open]);
    table.print("Behind mod_cgid, 8 clients");
    stalls(&series);
    Ok(())
}

fn cgid_once(lab: &Lab) -> Outcome<Vec<Series>> {
    let mut pairs = Vec::new();
    for (name, file, level) in [
        (Program::Ours(Level::Warn).name(), "ours-cgi", Level::Warn),
        (Program::Ours(Level::Info).name(), "ours-cgi", Level::Info),
        ("C, dynamic", "cgi", Level::Warn),
    ] {
        let way = Way::Cgid(&lab.path(file), &lab.config(level));
        pairs.push((name, Apache::start(lab, &way)?));
    }
    let mut contestants = Vec::new();
    for (name, apache) in &pairs {
        contestants.push(behind(lab, name, apache, Box::new(|| apache.cpu())));
    }
    race(&mut contestants, rounds(lab).0)
}

/// Compares ours, the first of `series`, at each log level with each peer. The targets are of the requests per
/// second, one for each peer.
fn rows(table: &mut Table, what: &str, series: &[Series], targets: &[Target]) {
    let (ours, peers) = series.split_at(Level::ALL.len());
    for (ours, level) in ours.iter().zip(Level::ALL) {
        let what = format!("{what}, {}", level.name());
        for (peer, target) in peers.iter().zip(targets) {
            table.rate(&what, ours, peer, *target);
            table.cpu(&what, ours, peer, Target::Open);
        }
    }
}

type Cpu<'a> = Box<dyn Fn() -> Outcome<Duration> + 'a>;

fn behind<'a>(lab: &Lab, name: &'static str, apache: &'a Apache, cpu: Cpu<'a>) -> Contestant<'a> {
    let (_, time) = rounds(lab);
    Contestant {
        name,
        load: Box::new(move || http::load(apache.address, time)),
        cpu,
    }
}

fn rounds(lab: &Lab) -> (usize, Duration) {
    lab.options.rounds(7, Duration::from_millis(1000))
}

/// Prints the longest waits: mod_fcgid sleeps a second where it has no process to give.
fn stalls(all: &[Series]) {
    println!(
        "\n| waits | requests | of them ≥ {:.1} s | longest | first round: ≥ {0:.1} s | longest |",
        SLOW.as_secs_f64()
    );
    println!("|---|---|---|---|---|---|");
    for series in all {
        println!(
            "| {} | {} | {} | {:.0} ms | {} | {:.0} ms |",
            series.name,
            series.requests(),
            series.slow(),
            series.longest().as_secs_f64() * 1e3,
            series.first.slow,
            series.first.longest.as_secs_f64() * 1e3
        );
    }
}
