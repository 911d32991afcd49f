//! Serves one connection over its socket: reads, writes, time-outs.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::Limits;
use super::conn::{Connection, Event, Violation, Want};
use super::delay_queue::DelayedAnswer;
use super::slots::{Phase, Slot, Stay};
use super::wipe::wipe;
use crate::front::pace::SendTime;
use crate::front::params::Peer;
use crate::front::{Application, NoRequest};

/// The time-out for the end of STDIN after the answer.
const DRAIN: Duration = Duration::from_secs(1);

/// Whether the connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServeMode {
    /// It is served.
    Serve,
    /// It continues after a held answer.
    Resume,
    /// All permits are taken: its request is read and answered with [`NoRequest::Overloaded`].
    TurnAway,
}

/// The state in which a connection is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterServing {
    /// It must be closed.
    Close,
    /// `out` has an answer that must be sent at this time.
    Delay(Instant),
}

/// A connection, its socket and the phase that other threads see.
pub(super) struct Link<'a> {
    socket: &'a OwnedFd,
    peer: Peer,
    slot: &'a Slot,
    limits: &'a Limits,
    phase: Phase,
    since: Instant,
    /// Bytes have arrived.
    received: bool,
    /// SO_RCVTIMEO as it is set.
    timeout: Option<Duration>,
}

/// Sending has failed.
struct SendFailed;

enum Read {
    Bytes,
    End,
    TimedOut,
    Failed,
}

impl<'a> Link<'a> {
    /// `since` is the time of `accept`.
    pub(super) fn new(
        (socket, peer): (&'a OwnedFd, Peer),
        slot: &'a Slot,
        limits: &'a Limits,
        since: Instant,
    ) -> Self {
        Self {
            socket,
            peer,
            slot,
            limits,
            phase: Phase::Fresh,
            since,
            received: false,
            timeout: None,
        }
    }

    /// The same for a connection on which a request was answered already.
    pub(super) fn resumed(self) -> Self {
        Self {
            received: true,
            phase: Phase::Deciding,
            ..self
        }
    }

    /// Serves the connection to its end, or until an answer must be held. The error is the peer's
    /// violation of the protocol.
    pub(super) fn serve(
        mut self,
        conn: &mut Connection,
        out: &mut Vec<u8>,
        app: &impl Application,
        admission: ServeMode,
        stopping: &AtomicBool,
    ) -> Result<AfterServing, Violation> {
        loop {
            match conn.next(out) {
                Event::Answer => {
                    let stay = self.enter(Phase::Deciding);
                    let turned = admission == ServeMode::TurnAway;
                    if stay == Stay::Evicted || turned || stopping.load(Relaxed) {
                        conn.finish();
                    }
                    let mut send_time = SendTime::AtOnce;
                    conn.answer(out, |request, out| match request {
                        Ok(_) if turned => app.respond_without_request(NoRequest::Overloaded, out),
                        Ok(params) => send_time = app.respond(self.peer, params, out),
                        Err(why) => app.respond_without_request(why, out),
                    });
                    match send_time {
                        SendTime::Held { .. } => {
                            return Ok(send_time
                                .due()
                                .map_or(AfterServing::Close, AfterServing::Delay));
                        }
                        SendTime::AtOnce | SendTime::NextStep { .. } => send_time.wait(),
                    }
                    // Reallocating would leave a copy of the content.
                    if out.len() > out.capacity() / 2 && self.send(out).is_err() {
                        return Ok(AfterServing::Close);
                    }
                }
                Event::More(want) => {
                    if self.send(out).is_err() {
                        return Ok(AfterServing::Close);
                    }
                    self.wait_for(want);
                    match self.read(conn.room()) {
                        Read::Bytes => {}
                        Read::TimedOut if conn.give_up(NoRequest::TooSlow) => {}
                        Read::End if self.slot.stay() == Stay::Evicted => {
                            if !conn.give_up(NoRequest::TooSlow) {
                                return Ok(AfterServing::Close);
                            }
                        }
                        Read::End if conn.give_up(NoRequest::Aborted) => {}
                        Read::End | Read::TimedOut | Read::Failed => {
                            return Ok(AfterServing::Close);
                        }
                    }
                }
                // If the peer has closed, this ends the connection as well.
                Event::Over => {
                    let _ = self.send(out);
                    return Ok(AfterServing::Close);
                }
                Event::Violation(broken) => {
                    let _ = self.send(out);
                    return Err(broken);
                }
            }
        }
    }

    fn enter(&mut self, phase: Phase) -> Stay {
        let (since, stay) = self.slot.enter(phase);
        self.phase = phase;
        self.since = since;
        stay
    }

    /// Enters the phase of waiting for these bytes.
    fn wait_for(&mut self, want: Want) {
        let phase = match want {
            Want::Request if !self.received => Phase::Fresh,
            Want::Request => Phase::Idle,
            Want::Rest => Phase::Reading,
            Want::End => Phase::Draining,
        };
        if phase == self.phase {
            return;
        }
        let (before, accepted) = (self.phase, self.since);
        self.enter(phase);
        if before == Phase::Fresh && phase == Phase::Reading {
            self.since = accepted;
        }
        if phase == Phase::Draining {
            // The web server sees that the answer is complete. Closing with unread STDIN would
            // reset the connection of a peer that is still writing.
            let _ = shutdown(self.socket, Shutdown::Write);
        }
    }

    fn read(&mut self, room: &mut Vec<u8>) -> Read {
        let total = match self.phase {
            Phase::Draining => DRAIN,
            Phase::Idle => self.limits.idle_timeout,
            Phase::Fresh | Phase::Reading | Phase::Deciding | Phase::Sending => {
                self.limits.read_timeout
            }
        };
        // A request is usually there before its connection is accepted.
        let mut flags = match self.phase {
            Phase::Fresh => RecvFlags::DONTWAIT,
            _ => RecvFlags::empty(),
        };
        loop {
            if flags.is_empty() {
                let left = match self.phase {
                    // Rounded time-outs, so that consecutive requests need no system call for it.
                    Phase::Idle => total,
                    _ => total.saturating_sub(self.since.elapsed()),
                };
                if left.is_zero() {
                    return Read::TimedOut;
                }
                if self.timeout != Some(left) {
                    if set_socket_timeout(self.socket, Timeout::Recv, Some(left)).is_err() {
                        return Read::Failed;
                    }
                    self.timeout = Some(left);
                }
            }
            match recv(self.socket, spare_capacity(room), flags) {
                Ok((_, 0)) => return Read::End,
                Ok(_) => {
                    self.received = true;
                    return Read::Bytes;
                }
                Err(Errno::AGAIN) if flags.is_empty() => {
                    if self.phase == Phase::Idle || self.since.elapsed() >= total {
                        return Read::TimedOut;
                    }
                }
                Err(Errno::AGAIN) => flags = RecvFlags::empty(),
                Err(Errno::INTR) => {}
                Err(_) => return Read::Failed,
            }
        }
    }

    /// Sends all of `out`; the peer has as long as a request may take to arrive.
    fn send(&mut self, out: &mut Vec<u8>) -> Result<(), SendFailed> {
        let mut rest = out.as_slice();
        let mut deadline = None;
        while !rest.is_empty() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(self.socket, rest, flags) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let deadline = *deadline.get_or_insert_with(|| {
                        self.enter(Phase::Sending);
                        self.since + self.limits.read_timeout
                    });
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(SendFailed);
                    }
                    let left = Timespec::try_from(left).map_err(|_| SendFailed)?;
                    let mut sockets = [PollFd::new(self.socket, PollFlags::OUT)];
                    match poll(&mut sockets, Some(&left)) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(_) => return Err(SendFailed),
                    }
                }
                Err(_) => return Err(SendFailed),
            }
        }
        // An answer may hold a password.
        wipe(out);
        Ok(())
    }
}

/// Sends a due answer, as far as that does not block. True if its connection only needs to be
/// closed. The error is the peer's violation of the protocol.
pub(super) fn depart(delayed: &mut DelayedAnswer) -> Result<bool, Violation> {
    let DelayedAnswer {
        socket, conn, out, ..
    } = delayed;
    while !out.is_empty() {
        match send(&*socket, out, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(sent) => drop(out.drain(..sent)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(false),
            Err(_) => return Ok(true),
        }
    }
    let mut event = conn.next(out);
    if event == Event::More(Want::End) {
        // It has usually arrived by now.
        match recv(&*socket, spare_capacity(conn.room()), RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Ok(true),
            Ok(_) => event = conn.next(out),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Ok(true),
        }
    }
    match event {
        Event::Over => Ok(out.is_empty()),
        Event::Violation(broken) => Err(broken),
        Event::Answer | Event::More(_) => Ok(false),
    }
}
