//! CGI without a web server: from exec to exit.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;
use crate::lab::{CONFIG, Lab, Level};
use crate::peers;
use crate::process::{pin, unpin};
use crate::race::{Ratio, median, quantile};
use crate::report::{Table, Target};
use crate::requests::{CASES, Case, Front, PASSWORD};

/// A program that ours is compared with.
struct Rival {
    name: &'static str,
    program: PathBuf,
    starts: usize,
    goal: Goal,
}

/// What is compared, and what it must reach.
enum Goal {
    /// Our time of a start is at most this multiple of the rival's.
    Time(f64),
    /// Our starts per second are at least this multiple of the rival's.
    Rate(f64),
}

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    let starts = |usual: usize| if lab.options.quick { usual / 6 } else { usual };
    let rivals = [
        Rival {
            name: "C, dynamic",
            program: lab.path("cgi"),
            starts: starts(600),
            goal: Goal::Time(2.2),
        },
        // Fewer starts, because each takes tens of milliseconds.
        Rival {
            name: "php-cgi",
            program: peers::php_cgi()?,
            starts: starts(120),
            goal: Goal::Rate(40.0),
        },
        // All stores and methods may make a start 1.3 times as long as the password file alone.
        Rival {
            name: "a build without features",
            program: lab.build_least()?,
            starts: starts(600),
            goal: Goal::Time(1.3),
        },
    ];
    pin(&lab.options.cpu.to_string())?;
    let mut table = Table::new();
    for level in Level::ALL {
        for rival in &rivals {
            let (ours, theirs) = race(lab, level, rival)?;
            let (quantity, ratio, target) = match rival.goal {
                Goal::Time(most) => (
                    "time of a start",
                    ratio(&ours, &theirs),
                    Target::AtMost(most),
                ),
                Goal::Rate(least) => ("starts/s", ratio(&theirs, &ours), Target::AtLeast(least)),
            };
            let what = format!("CGI, {}: {quantity} to {}", level.name(), rival.name);
            table.row(&what, &ratio, target, &times(&ours), &times(&theirs));
        }
    }
    table.print("CGI, exec to exit, on one CPU: median (fastest tenth)");
    unpin()
}

fn ratio(above: &[f64], below: &[f64]) -> Ratio {
    let pairs = above.iter().zip(below);
    Ratio::of(pairs.map(|(above, below)| above / below).collect())
}

/// The median, and the time that a tenth of all starts stays below: other work on the machine affects it less.
fn times(all: &[f64]) -> String {
    format!("{:.0} µs ({:.0})", median(all), quantile(all, 0.1))
}

/// The microseconds of each start, ours and the rival's in turns.
fn race(lab: &Lab, level: Level, rival: &Rival) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let ours = lab.path("ours-cgi");
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    // The first starts read the files from the disk.
    for (number, case) in CASES
        .iter()
        .cycle()
        .take(CASES.len() + rival.starts)
        .enumerate()
    {
        let (our_time, peer_time) = (
            once(lab, &ours, level, case)?,
            once(lab, &rival.program, level, case)?,
        );
        if number >= CASES.len() {
            our_times.push(our_time);
            peer_times.push(peer_time);
        }
    }
    Ok((our_times, peer_times))
}

/// Microseconds of one request.
fn once(lab: &Lab, program: &Path, level: Level, case: &Case) -> Outcome<f64> {
    let script = lab.path("mail-auth.php").display().to_string();
    let log = File::options()
        .create(true)
        .append(true)
        .open(lab.path("cgi.log"))?;
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(case.variables(Front::Apache, Some(PASSWORD), &script).0)
        .env(CONFIG, lab.config(level))
        // Without it, php-cgi runs no script (cgi.force_redirect in php.ini).
        .env("REDIRECT_STATUS", "200")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
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
