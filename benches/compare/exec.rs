//! CGI without a web server: from exec to exit.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;
use crate::lab::{CONFIG, Lab};
use crate::process::{pin, unpin};
use crate::race::{Ratio, median};
use crate::report::{Table, Target};
use crate::requests::{CASES, Case, PASSWORD};

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    let (ours, peer) = (lab.path("ours-cgi"), lab.path("cgi"));
    let least = lab.build_least()?;
    pin(&lab.options.cpu.to_string())?;
    let mut table = Table::new();
    for (what, peer, target) in [
        ("CGI: starts/s to C, dynamic", peer, 0.95),
        // All stores and methods may make a start 1.3 times as long as the password file alone.
        ("CGI: starts/s to a build without features", least, 0.77),
    ] {
        let (ratio, our_time, peer_time) = race(lab, &ours, &peer)?;
        table.row(
            what,
            &ratio,
            Target::AtLeast(target),
            &format!("{our_time:.0} µs"),
            &format!("{peer_time:.0} µs"),
        );
    }
    table.print("CGI, exec to exit, on one CPU");
    unpin()
}

/// Both in turns: the ratio, and the median time of each.
fn race(lab: &Lab, ours: &PathBuf, peer: &PathBuf) -> Outcome<(Ratio, f64, f64)> {
    let starts = if lab.options.quick { 100 } else { 600 };
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for case in CASES.iter().cycle().take(starts) {
        our_times.push(once(lab, ours, case)?);
        peer_times.push(once(lab, peer, case)?);
    }
    // The first starts read the files from the disk.
    our_times.drain(..CASES.len());
    peer_times.drain(..CASES.len());
    let pairs = our_times.iter().zip(&peer_times);
    let ratio = Ratio::of(pairs.map(|(ours, peer)| peer / ours).collect());
    Ok((ratio, median(&our_times), median(&peer_times)))
}

/// Microseconds of one request.
fn once(lab: &Lab, program: &PathBuf, case: &Case) -> Outcome<f64> {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(case.variables(Some(PASSWORD), "").0)
        .env(CONFIG, lab.path("auth.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn()?;
    let mut answer = Vec::new();
    if let Some(output) = &mut child.stdout {
        output.read_to_end(&mut answer)?;
    }
    let status = child.wait()?;
    let time = start.elapsed().as_secs_f64() * 1e6;
    if !status.success() {
        return Err(format!("{}: {status}", program.display()).into());
    }
    case.check(&answer)?;
    Ok(time)
}
