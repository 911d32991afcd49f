//! The FastCGI server: threads that accept and serve, their limits, and the signals that stop or
//! reload the program.
//!
//! Each thread blocks in `accept`, serves that connection to its end and accepts again. The last
//! thread that leaves `accept` makes sure that another waits there. So the number of threads is
//! that of the most connections at once so far, plus a few.

use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use super::Limits;
use super::conn::{Connection, Violation};
use super::connection_limit::{ConnectionLimit, GRACE};
use super::delay_queue::{DelayQueue, DelayedAnswer};
use super::link::{self, AfterServing, Link, ServeMode};
use super::listener::{Listener, WebServers};
use super::log_rate_limit::LogRateLimit;
use super::slots::{Slot, Slots};
use super::wipe::wipe;
use crate::front::params::Peer;
use crate::front::{Application, Load};

mod stop;

/// The maximum number of threads that wait in `accept` on one listener. Each listener also gets
/// this many threads above the limit of connections, to evict connections or turn new ones away.
const SPARE_THREADS: usize = 4;
/// The stack size of a thread. Only touched pages cost memory. Name resolution in glibc takes 64
/// KiB; password hashes use the heap.
const STACK_BYTES: usize = 512 * 1024;
/// How long `accept` pauses when descriptors or memory are short.
const PAUSE: Duration = Duration::from_millis(100);
/// The time-out for the arrival of a request that is turned away in any case.
const TURN_AWAY_TIMEOUT: Duration = Duration::from_secs(1);
/// How often a stopping server checks its state.
const TICK: Duration = Duration::from_millis(5);

/// A FastCGI server that has not started.
#[derive(Debug)]
pub struct Server {
    /// The listeners; at least one.
    pub listeners: Vec<Listener>,
    /// Bounds of all listeners together.
    pub limits: Limits,
    /// If given, only these peers may connect (FastCGI 1.0, 3.2).
    pub web_servers: Option<WebServers>,
}

impl Server {
    /// Serves until SIGTERM, SIGINT or SIGUSR1, then finishes the requests in progress and returns:
    /// at once if there are none, after 6.5 seconds at the latest. SIGHUP reloads.
    ///
    /// Threads still wait in `accept` when it returns, so the caller must end the process. An error
    /// if there is no listener, no thread can be started or signals cannot be caught.
    pub fn run(self, app: impl Application + Send + Sync + 'static) -> io::Result<()> {
        if self.listeners.is_empty() {
            let what = "nothing to listen on";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        // Before the first accept, so that a signal cannot end the process during a request.
        let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT, SIGUSR1])?;
        let shared = Arc::new(Shared::new(self, app));
        shared.app.attach(Arc::clone(&shared.load));
        for shared_listener in 0..shared.listeners.len() {
            shared.spawn(shared_listener)?;
        }
        let releasing = Arc::clone(&shared);
        thread::Builder::new()
            .name("held".to_owned())
            .spawn(move || releasing.release())?;
        // Capacity 1: several signals during a reload cause one more reload.
        let (ask, asked) = sync_channel(1);
        let reloading = Arc::clone(&shared);
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || reloading.reload(asked))?;
        shared.app.started();
        let mut ending = None;
        for signal in signals.forever() {
            if signal != SIGHUP {
                ending = signal_name(signal);
                break;
            }
            let _ = ask.try_send(());
        }
        let signal = ending.unwrap_or("unknown");
        shared.app.stopping(signal);
        shared.stop();
        shared.app.stopped(signal);
        Ok(())
    }
}

/// A listener and how many threads wait in its `accept`.
struct SharedListener {
    listener: Listener,
    waiting: AtomicUsize,
}

struct Shared<A> {
    app: A,
    listeners: Vec<SharedListener>,
    limits: Limits,
    web_servers: Option<WebServers>,
    slots: Slots,
    connection_limit: ConnectionLimit,
    delayed: DelayQueue,
    threads: AtomicUsize,
    load: Arc<Load>,
    stopping: AtomicBool,
    broken: LogRateLimit,
    failing: LogRateLimit,
    crowded: LogRateLimit,
    strange: LogRateLimit,
}

impl<A: Application + Send + Sync + 'static> Shared<A> {
    fn new(server: Server, app: A) -> Self {
        let listeners = server.listeners.into_iter().map(|listener| SharedListener {
            listener,
            waiting: AtomicUsize::new(0),
        });
        Self {
            app,
            listeners: listeners.collect(),
            limits: server.limits,
            web_servers: server.web_servers,
            slots: Slots::default(),
            connection_limit: ConnectionLimit::new(server.limits.connections),
            delayed: DelayQueue::default(),
            threads: AtomicUsize::new(0),
            load: Arc::new(Load::new(server.limits.connections)),
            stopping: AtomicBool::new(false),
            broken: LogRateLimit::default(),
            failing: LogRateLimit::default(),
            crowded: LogRateLimit::default(),
            strange: LogRateLimit::default(),
        }
    }

    /// Starts a thread for a listener, if the bound allows one more.
    fn spawn(self: &Arc<Self>, shared_listener: usize) -> io::Result<()> {
        let Some(waiting) = self
            .listeners
            .get(shared_listener)
            .map(|shared_listener| &shared_listener.waiting)
        else {
            return Ok(());
        };
        waiting.fetch_add(1, SeqCst);
        let started = self.start(0, move |shared| shared.work(shared_listener));
        if !matches!(started, Ok(true)) {
            waiting.fetch_sub(1, SeqCst);
        }
        started.map(drop)
    }

    /// Starts a thread, unless there are more than the limit and `beyond`. Returns whether it did.
    fn start(
        self: &Arc<Self>,
        beyond: usize,
        work: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> io::Result<bool> {
        let bound = self.limits.connections + SPARE_THREADS * self.listeners.len() + beyond;
        if self.threads.fetch_add(1, SeqCst) >= bound {
            self.threads.fetch_sub(1, SeqCst);
            return Ok(false);
        }
        let shared = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("fcgi".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                work(&shared);
                shared.threads.fetch_sub(1, SeqCst);
            });
        if thread.is_err() {
            self.threads.fetch_sub(1, SeqCst);
        }
        thread.map(|_| true)
    }

    /// The loop of a thread: serves one connection after the other. It is counted as waiting
    /// already.
    fn work(self: &Arc<Self>, first: usize) {
        let slot = self.slots.add();
        let mut conn = Connection::new(self.limits);
        let mut out = Vec::with_capacity(1024);
        let mut next = Some(first);
        while let Some(index) = next
            && let Some(shared_listener) = self.listeners.get(index)
        {
            let accepted = shared_listener.listener.accept(|peer| self.admits(peer));
            if let Err(error) = &accepted {
                self.pause(*error);
            }
            let others = shared_listener.waiting.fetch_sub(1, SeqCst) - 1;
            if let Ok((socket, peer)) = accepted {
                self.load.accepted();
                if others == 0
                    && let Err(error) = self.spawn(index)
                {
                    self.failing
                        .warn(format_args!("cannot start a thread: {error}"));
                }
                let mut admission = ServeMode::Serve;
                if !self.connection_limit.take(&self.slots) {
                    let bound = self.limits.connections;
                    self.crowded.warn(format_args!(
                        "all {bound} connections are busy: refused a request"
                    ));
                    admission = ServeMode::TurnAway;
                }
                let peer = (Arc::new(socket), peer);
                self.attend(peer, &slot, &mut conn, &mut out, admission);
                conn.reset();
                wipe(&mut out);
                out.shrink_to(1024);
            }
            next = self.next_listener(index);
        }
        self.slots.remove(&slot);
    }

    /// Serves a connection, and releases its permit if it has one.
    fn attend(
        self: &Arc<Self>,
        (socket, peer): (Arc<OwnedFd>, Peer),
        slot: &Slot,
        conn: &mut Connection,
        out: &mut Vec<u8>,
        admission: ServeMode,
    ) {
        let serve = || self.serve((&socket, peer), slot, conn, out, admission);
        let left = catch_unwind(AssertUnwindSafe(serve)).unwrap_or_else(|_| {
            log::error!("this is a bug: a request panicked; its connection is closed");
            AfterServing::Close
        });
        // The connection is uncounted before it is closed: a peer that has seen the close may
        // connect again at once, and must find a free permit.
        if admission != ServeMode::TurnAway {
            self.connection_limit.leave();
        }
        if let AfterServing::Delay(due) = left {
            slot.clear();
            // Overwrites the request, which holds a password.
            conn.room();
            let delayed = Box::new(DelayedAnswer {
                socket,
                peer,
                conn: std::mem::replace(conn, Connection::new(self.limits)),
                out: std::mem::replace(out, Vec::with_capacity(1024)),
            });
            if let Err(mut too_many) = self.delayed.keep(due, delayed) {
                too_many.conn.finish();
                self.depart(too_many);
            }
        } else {
            self.load.closed();
            slot.clear();
        }
    }

    /// Sends the answers that are due.
    fn release(self: &Arc<Self>) {
        loop {
            let delayed = self.delayed.next();
            if catch_unwind(AssertUnwindSafe(|| self.depart(delayed))).is_err() {
                log::error!("this is a bug: sending a delayed answer panicked");
            }
        }
    }

    /// Sends a due answer. A connection that stays open continues in a thread.
    fn depart(self: &Arc<Self>, mut delayed: Box<DelayedAnswer>) {
        if self.stopping.load(SeqCst) {
            delayed.conn.finish();
        }
        match link::depart(&mut delayed) {
            Ok(true) => {}
            Ok(false) => match self.start(SPARE_THREADS, move |shared| shared.resume(*delayed)) {
                Ok(true) => return,
                // Like an evicted one.
                Ok(false) => {}
                Err(error) => self
                    .failing
                    .warn(format_args!("cannot start a thread: {error}")),
            },
            Err(broken) => self.complain(broken),
        }
        self.load.closed();
    }

    /// Continues with a connection whose answer was held.
    fn resume(self: &Arc<Self>, delayed: DelayedAnswer) {
        let DelayedAnswer {
            socket,
            peer,
            mut conn,
            mut out,
        } = delayed;
        let slot = self.slots.add();
        if self.connection_limit.take(&self.slots) {
            let peer = (socket, peer);
            self.attend(peer, &slot, &mut conn, &mut out, ServeMode::Resume);
        } else {
            self.load.closed();
        }
        self.slots.remove(&slot);
        conn.reset();
        wipe(&mut out);
    }

    /// The listener that a thread waits on after a connection; `None` if the thread must end.
    fn next_listener(&self, own: usize) -> Option<usize> {
        if self.listeners.len() > 1 {
            let deserted =
                |shared_listener: &SharedListener| shared_listener.waiting.load(SeqCst) == 0;
            if let Some(index) = self.listeners.iter().position(deserted) {
                self.listeners.get(index)?.waiting.fetch_add(1, SeqCst);
                return Some(index);
            }
        }
        let waiting = &self.listeners.get(own)?.waiting;
        if waiting.fetch_add(1, SeqCst) < SPARE_THREADS {
            return Some(own);
        }
        waiting.fetch_sub(1, SeqCst);
        None
    }

    fn serve(
        &self,
        (socket, peer): (&Arc<OwnedFd>, Peer),
        slot: &Slot,
        conn: &mut Connection,
        out: &mut Vec<u8>,
        admission: ServeMode,
    ) -> AfterServing {
        let mut limits = self.limits;
        if admission == ServeMode::TurnAway {
            limits.read_timeout = limits.read_timeout.min(TURN_AWAY_TIMEOUT);
        }
        let since = slot.fill(Arc::clone(socket));
        let mut link = Link::new((socket, peer), slot, &limits, since);
        if admission == ServeMode::Resume {
            link = link.resumed();
        }
        let served = link.serve(conn, out, &self.app, admission, &self.stopping);
        served.unwrap_or_else(|broken| {
            self.complain(broken);
            AfterServing::Close
        })
    }

    fn complain(&self, broken: Violation) {
        self.broken
            .warn(format_args!("closed a FastCGI connection: {broken}"));
    }

    /// Whether this peer may connect. Others are closed without an answer.
    fn admits(&self, peer: Peer) -> bool {
        let servers = self.web_servers.as_ref();
        let listed = servers.is_none_or(|servers| servers.contain(peer));
        let admitted = listed
            && catch_unwind(AssertUnwindSafe(|| self.app.admits(peer))).unwrap_or_else(|_| {
                log::error!("this is a bug: checking whether a peer may connect panicked");
                false
            });
        if !admitted {
            self.strange.warn(format_args!(
                "closed a connection from {peer}, which is not allowed"
            ));
        }
        admitted
    }

    /// Waits until `accept` may work again.
    fn pause(&self, error: Errno) {
        self.failing
            .warn(format_args!("cannot accept a connection: {error}"));
        // Frees a descriptor by evicting, as if a permit were needed: otherwise silent or slow
        // clients would block all others for as long as a request may take to arrive.
        self.slots.evict_one(GRACE);
        thread::sleep(PAUSE);
    }

    fn reload(&self, asked: Receiver<()>) {
        for () in asked {
            if catch_unwind(AssertUnwindSafe(|| self.app.reload())).is_err() {
                log::error!("this is a bug: reloading panicked");
            }
        }
    }
}
