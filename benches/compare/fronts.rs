//! Behind a real Apache: mod_proxy_fcgi, mod_fcgid and mod_cgid, eight clients.

use std::time::Duration;

use crate::Outcome;
use crate::apache::{Apache, Way};
use crate::http::{self, SLOW};
use crate::lab::{Lab, Program};
use crate::race::{Contestant, Series, race};
use crate::report::{Table, Target};

/// Processes of the servers that answer one request at a time: one for each client.
const WORKERS: usize = 8;

pub(crate) fn proxy_fcgi(lab: &Lab) -> Outcome<()> {
    let programs = [Program::Ours, Program::PhpFpm, Program::Libfcgi];
    let mut pairs = Vec::new();
    for program in programs {
        let server = lab.serve(program, WORKERS)?;
        let script = (program == Program::PhpFpm).then(|| lab.path("mail-auth.php"));
        let way = Way::ProxyFcgi(&server.address, script);
        let apache = Apache::start(lab, &format!("proxy-{}", pairs.len()), &way)?;
        pairs.push((program, server, apache));
    }
    let mut contestants = Vec::new();
    for (program, server, apache) in &pairs {
        contestants.push(behind(lab, *program, apache, Box::new(|| server.cpu())));
    }
    let series = race(&mut contestants, rounds(lab).0)?;
    let mut table = Table::new();
    if let [ours, php, c] = series.as_slice() {
        table.rate("mod_proxy_fcgi", ours, php, Target::AtLeast(1.2));
        table.cpu("mod_proxy_fcgi", ours, php, Target::Open);
        table.rate("mod_proxy_fcgi", ours, c, Target::Open);
        table.cpu("mod_proxy_fcgi", ours, c, Target::Open);
    }
    table.print("Behind mod_proxy_fcgi, 8 clients");
    stalls(&series);
    Ok(())
}

pub(crate) fn fcgid(lab: &Lab) -> Outcome<()> {
    let programs = [Program::Ours, Program::Libfcgi].map(|program| (program, lab.program(program)));
    let mut pairs = Vec::new();
    for (program, path) in &programs {
        let apache = Apache::start(lab, &format!("fcgid-{}", pairs.len()), &Way::Fcgid(path))?;
        pairs.push((*program, path, apache));
    }
    let mut contestants = Vec::new();
    for (program, path, apache) in &pairs {
        let cpu = || Ok(apache.cpu_of_program(path)?.0);
        contestants.push(behind(lab, *program, apache, Box::new(cpu)));
    }
    let series = race(&mut contestants, rounds(lab).0)?;
    let mut table = Table::new();
    if let [ours, c] = series.as_slice() {
        table.rate("mod_fcgid", ours, c, Target::AtLeast(0.97));
        table.cpu("mod_fcgid", ours, c, Target::Open);
    }
    table.print("Behind mod_fcgid with the shipped settings, 8 clients");
    stalls(&series);
    for (program, path, apache) in &pairs {
        let (_, running) = apache.cpu_of_program(path)?;
        println!("{}: {running} processes at the end", program.name());
    }
    Ok(())
}

pub(crate) fn cgid(lab: &Lab) -> Outcome<()> {
    let programs = [
        ("ours", lab.path("ours-cgi")),
        ("C, dynamic", lab.path("cgi")),
    ];
    let mut pairs = Vec::new();
    for (name, path) in &programs {
        pairs.push((
            *name,
            Apache::start(lab, &format!("cgid-{}", pairs.len()), &Way::Cgid(path))?,
        ));
    }
    let mut contestants = Vec::new();
    for (name, apache) in &pairs {
        let mut contestant = behind(lab, Program::Ours, apache, Box::new(|| apache.cpu()));
        contestant.name = name;
        contestants.push(contestant);
    }
    let series = race(&mut contestants, rounds(lab).0)?;
    let mut table = Table::new();
    if let [ours, c] = series.as_slice() {
        table.rate("mod_cgid", ours, c, Target::AtLeast(0.95));
        table.cpu("mod_cgid, Apache and all it starts", ours, c, Target::Open);
    }
    table.print("Behind mod_cgid, 8 clients");
    stalls(&series);
    Ok(())
}

type Cpu<'a> = Box<dyn Fn() -> Outcome<Duration> + 'a>;

fn behind<'a>(lab: &Lab, program: Program, apache: &'a Apache, cpu: Cpu<'a>) -> Contestant<'a> {
    let (_, time) = rounds(lab);
    Contestant {
        name: program.name(),
        load: Box::new(move || http::load(apache.address, time)),
        cpu,
    }
}

fn rounds(lab: &Lab) -> (usize, Duration) {
    lab.options.rounds(15, Duration::from_millis(1000))
}

/// Prints the longest waits: mod_fcgid sleeps a second where it has no process to give.
fn stalls(all: &[Series]) {
    println!();
    for series in all {
        println!(
            "{}: {} requests, {} of them ≥ {:.1} s, longest {:.0} ms",
            series.name,
            series.requests(),
            series.slow(),
            SLOW.as_secs_f64(),
            series.longest().as_secs_f64() * 1e3
        );
    }
}
