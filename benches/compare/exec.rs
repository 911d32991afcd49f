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
    pin(&lab.options.cpu.to_string())?;
    let starts = if lab.options.quick { 100 } else { 600 };
    let (ours, peer) = (lab.path("ours-cgi"), lab.path("cgi"));
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    for case in CASES.iter().cycle().take(starts) {
        our_times.push(once(lab, &ours, case)?);
        peer_times.push(once(lab, &peer, case)?);
    }
    // The first starts read the files from the disk.
    let warm = |times: &[f64]| {
        times
            .iter()
            .skip(CASES.len())
            .copied()
            .collect::<Vec<f64>>()
    };
    let (our_times, peer_times) = (warm(&our_times), warm(&peer_times));
    let pairs = our_times.iter().zip(&peer_times);
    let ratio = Ratio::of(pairs.map(|(ours, peer)| peer / ours).collect());
    let mut table = Table::new();
    table.row(
        "CGI: starts/s to C, dynamic",
        &ratio,
        Target::AtLeast(0.95),
        &format!("{:.0} µs", median(&our_times)),
        &format!("{:.0} µs", median(&peer_times)),
    );
    table.print("CGI, exec to exit, on one CPU");
    unpin()
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
