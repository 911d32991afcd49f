//! A server that systemd starts for a connection, while its configuration cannot be used.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use super::reload::ReloadingService;
use crate::front::pace::SendTime;
use crate::front::params::{Params, Peer};
use crate::front::{Application, Load, NoRequest};
use crate::sys::notify::Notify;

/// Answers with the temporary failure until the configuration can be used, and then ends the process: systemd starts
/// it again at the next connection, this time in its sandbox.
///
/// If it ended at once instead, systemd would start it for the same connection again and again, and after a few
/// times close the socket until an administrator starts it.
pub struct Waiting {
    service: ReloadingService,
    over: AtomicBool,
}

impl Waiting {
    /// Waits for the configuration at `path`, and logs what is wrong with it. It is served on
    /// `sockets`, and tells `notify` its state.
    pub fn for_configuration(path: &Path, sockets: Vec<String>, notify: Notify) -> Self {
        let service = ReloadingService::open_anyway(path, None);
        service.announce(sockets, notify);
        Self {
            service,
            over: AtomicBool::new(false),
        }
    }

    /// Ends the process once there is a configuration; the server finishes its requests first.
    fn end_if_usable(&self) {
        if self.service.current().is_none() || self.over.swap(true, Ordering::Relaxed) {
            return;
        }
        log::info!(
            "the configuration can be used now: this process ends, and the next request starts another"
        );
        // Without this signal it goes on, only without a sandbox.
        if let Err(error) = kill_process(getpid(), Signal::TERM) {
            log::error!("cannot end: {error}; restart the server: it runs without its sandbox");
        }
    }
}

impl Application for Waiting {
    fn attach(&self, load: Arc<Load>) {
        self.service.attach(load);
    }

    fn admits(&self, peer: Peer) -> bool {
        self.service.admits(peer)
    }

    fn respond(&self, peer: Peer, params: &Params<'_>, out: &mut Vec<u8>) -> SendTime {
        let send_time = self.service.respond(peer, params, out);
        self.end_if_usable();
        send_time
    }

    fn respond_without_request(&self, why: NoRequest, out: &mut Vec<u8>) {
        self.service.respond_without_request(why, out);
    }

    fn reload(&self) {
        self.service.reload();
        self.end_if_usable();
    }

    fn started(&self) {
        self.service.started();
    }

    fn stopping(&self, signal: &str) {
        self.service.stopping(signal);
    }

    fn stopped(&self, signal: &str) {
        self.service.stopped(signal);
    }
}
