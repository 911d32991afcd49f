//! Hardens the process, so that passwords in its memory do not leak.

use std::sync::Arc;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, setrlimit,
};
use rustix::thread::set_no_new_privs;

/// Disables core dumps, tracing and reading of `/proc/PID/environ` (it holds the password under
/// CGI) by other processes of the same user, privileges from setuid programs, and panic messages
/// that print a value.
///
/// Catches SIGXFSZ, so that a log file at its size limit does not end the process (setrlimit(2)).
///
/// If the kernel refuses one of these, the program still answers.
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
        // The message is not logged: its values can be a login or a password.
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        log::error!("this is a bug: panic at {place}");
    }));
}
