//! Keeps what the process knows from leaving it by other ways than its answers.

use std::sync::Arc;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, setrlimit,
};
use rustix::thread::set_no_new_privs;

/// No core dumps, no reading of `/proc/PID/environ` (it holds the password under CGI) nor tracing
/// by others of the same user, no privileges by way of a setuid program, and no panic message that
/// prints a value.
///
/// And no end by SIGXFSZ, where a log has reached the limit of a file's size (setrlimit(2)).
///
/// Where the kernel refuses one of these, the program still answers.
pub fn process() {
    let _best_effort = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _best_effort = setrlimit(Resource::Core, none);
    let _best_effort = set_no_new_privs(true);
    let _best_effort = signal_hook::flag::register(Signal::XFSZ.as_raw(), Arc::default());
    std::panic::set_hook(Box::new(|panic| {
        // Not the message: the values in it can be a login or a password.
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        log::error!("this is a bug: panic at {place}");
    }));
}
