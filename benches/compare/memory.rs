//! Memory of our server in the course of a million requests.

use crate::Outcome;
use crate::lab::{Lab, Level, Program};
use crate::process::memory;
use crate::requests::{Connection, Front};
use crate::socket::Load;

/// Resident memory must stay below.
const LIMIT_KB: u64 = 8 * 1024;

/// More than this from the first look to the last counts as growing.
const GROWTH_KB: u64 = 256;

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    let looks: &[usize] = if lab.options.quick {
        &[1_000, 10_000, 50_000]
    } else {
        &[10_000, 100_000, 1_000_000]
    };
    let server = lab.serve(Program::Ours(Level::Warn), 1)?;
    let mut new = Load::new(lab, &server, Front::Apache, Connection::New)?;
    let mut kept = Load::new(lab, &server, Front::Apache, Connection::Kept)?;
    println!("\n### Memory, half of the requests on new connections, half on a kept one\n");
    println!("| requests | resident | peak |\n|---|---|---|");
    let mut asked = 0;
    let mut resident = Vec::new();
    for look in looks {
        while asked < *look {
            asked += new.once()? + kept.once()?;
        }
        let now = memory(server.pid(), "VmRSS")?;
        let peak = memory(server.pid(), "VmHWM")?;
        println!("| {asked} | {now} kB | {peak} kB |");
        resident.push(now);
    }
    let (first, last) = (
        resident.first().unwrap_or(&0),
        resident.last().unwrap_or(&0),
    );
    let flat = *last <= first + GROWTH_KB;
    let verdict = if flat && *last < LIMIT_KB {
        "reached"
    } else {
        "**missed**"
    };
    println!("\nTarget: below {LIMIT_KB} kB and not growing: {verdict}");
    Ok(())
}
