//! What the kernel knows of processes: their descendants, CPU time, memory; and where they run.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// The unit of times in /proc/PID/stat: `USER_HZ`, 100 on every architecture of Debian.
const TICK: Duration = Duration::from_millis(10);

/// One line of /proc/PID/stat.
struct Stat {
    pid: u32,
    parent: u32,
    /// User and system time, also of children that ended and were waited for.
    cpu: Duration,
    own_cpu: Duration,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name before it, in parentheses, may hold anything (proc_pid_stat(5)).
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |number: usize| -> Option<u32> { fields.get(number - 3)?.parse().ok() };
        let own_cpu = TICK * (field(14)? + field(15)?);
        Some(Self {
            pid,
            parent: field(4)?,
            cpu: own_cpu + TICK * (field(16)? + field(17)?),
            own_cpu,
        })
    }
}

/// The process and all its descendants.
fn tree(root: u32) -> Outcome<Vec<Stat>> {
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|n| n.parse().ok());
        others.extend(pid.and_then(Stat::read));
    }
    let mut found: Vec<Stat> = Vec::new();
    let mut parents = vec![root];
    found.extend(
        others
            .iter()
            .position(|s| s.pid == root)
            .map(|i| others.swap_remove(i)),
    );
    while let Some(parent) = parents.pop() {
        let (children, rest): (Vec<Stat>, Vec<Stat>) =
            others.into_iter().partition(|stat| stat.parent == parent);
        parents.extend(children.iter().map(|child| child.pid));
        found.extend(children);
        others = rest;
    }
    if found.is_empty() {
        return Err(format!("process {root} is gone").into());
    }
    Ok(found)
}

/// CPU time of the process and all its descendants, those that have ended too.
pub(crate) fn cpu(root: u32) -> Outcome<Duration> {
    Ok(tree(root)?.iter().map(|stat| stat.cpu).sum())
}

/// CPU time of all threads that the process and its descendants have now, in nanoseconds
/// (/proc/PID/task/TID/schedstat).
pub(crate) fn exact_cpu(root: u32) -> Outcome<Duration> {
    let mut nanos = 0;
    for stat in tree(root)? {
        for thread in fs::read_dir(format!("/proc/{}/task", stat.pid))? {
            let line = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanos += line.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// CPU time of those descendants that run `program`, as long as they live.
pub(crate) fn cpu_of_program(root: u32, program: &Path) -> Outcome<Duration> {
    let runs = |stat: &Stat| {
        fs::read_link(format!("/proc/{}/exe", stat.pid)).is_ok_and(|exe| exe == program)
    };
    let all = tree(root)?;
    let running = all.iter().filter(|stat| runs(stat));
    Ok(running.map(|stat| stat.own_cpu).sum())
}

/// A size in kB out of /proc/PID/status, such as `VmRSS`.
pub(crate) fn memory(pid: u32, what: &str) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let size = line.and_then(|line| line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().ok());
    Ok(size.ok_or_else(|| format!("no {what} in /proc/{pid}/status"))?)
}

/// Keeps this process, and whatever it starts from now on, on these CPUs (a list as taskset(1)
/// takes it). Client and server on one CPU: else wake-ups between cores swamp the figures.
pub(crate) fn pin(cpus: &str) -> Outcome<()> {
    let done = Command::new("taskset")
        .args(["-pc", cpus, &std::process::id().to_string()])
        .output()?;
    if !done.status.success() {
        return Err(format!("taskset: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(())
}

/// Lets this process run on any CPU again.
pub(crate) fn unpin() -> Outcome<()> {
    pin("0-4095")
}

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// Waits for a condition.
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) -> Outcome<()> {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > PATIENCE {
            return Err(format!("waited in vain for {what}").into());
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Asks a child to end, and makes it end if it does not.
pub(crate) fn end(child: &mut Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _already_gone = kill_process(pid, Signal::TERM);
    }
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _already_gone = child.kill();
    let _already_gone = child.wait();
}
