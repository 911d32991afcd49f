//! The state machine of one FastCGI connection: bytes in, events and bytes out. No I/O, no clock.
//!
//! All rules about the order of records are here (FastCGI 1.0, 3 to 6). The driver appends the
//! bytes that it read to [`Connection::room`], calls [`Connection::next`] until that needs more
//! bytes, and sends the content of `out`. One request is active at a time: requests are not
//! multiplexed.

use std::ops::Range;

use super::Limits;
use super::record::{self, Begin, EndStatus, Header, RecordKind};
use super::wipe::{wipe, wipe_content};
use crate::front::NoRequest;
use crate::front::params::Params;

/// The memory of a silent connection in bytes. An ordinary request is 1 to 3 KiB.
const BUFFER: usize = 8 * 1024;
/// How much the buffer grows at a time when a request is larger.
const GROWTH: usize = 32 * 1024;
/// How many bytes are read and discarded: of PARAMS beyond the limit before the answer, of STDIN
/// after it.
const WASTE: usize = 1024 * 1024;

/// State and buffer of one connection.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    input: Vec<u8>,
    /// How many bytes of `input` are processed.
    taken: usize,
    /// The position of the active request's PARAMS in `input`: always before `taken`. Content of a
    /// later record is moved down over the headers between. So PARAMS are contiguous, without a
    /// copy if they came in one record.
    params: Range<usize>,
    /// The remaining bytes of the current record.
    rest: RecordRemainder,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
struct RecordRemainder {
    is_params: bool,
    content: usize,
    padding: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No request is active.
    Idle,
    /// PARAMS are arriving.
    Arriving(Active),
    /// The application must answer: a whole request has arrived, or a reason for an answer without
    /// one.
    Due(Active, Option<NoRequest>),
    /// The last request is answered; the end of its STDIN has not arrived.
    Draining { id: u16, wasted: usize },
    /// No further input is processed.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    id: u16,
    keep: bool,
    stdin_ended: bool,
    /// Bytes discarded because PARAMS are too long; if not zero, the request is too long.
    wasted: usize,
    too_large: bool,
}

/// The next step of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Call [`Connection::answer`].
    Answer,
    /// Send the content of `out`, then append more bytes.
    More(Want),
    /// Send the content of `out`, then close.
    Over,
    /// Close: the peer broke the protocol, so that the position or the meaning of the next record
    /// is unknown.
    Violation(Violation),
}

/// The part of a request that the missing bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A new request: the peer may take its time.
    Request,
    /// The rest of a request that has begun.
    Rest,
    /// The end of STDIN: the answer is complete, and nothing more is sent.
    End,
}

/// How a peer breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A record of another version than 1.
    Version,
    /// BEGIN_REQUEST with less than 8 bytes.
    ShortBegin,
    /// BEGIN_REQUEST for the request that is active already.
    ActiveId,
    /// A record that belongs to a request has the id 0.
    NullId,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Version => "a record is not of FastCGI version 1",
            Self::ShortBegin => "BEGIN_REQUEST is too short",
            Self::ActiveId => "BEGIN_REQUEST for a request that is active already",
            Self::NullId => "a request has the id 0",
        })
    }
}

impl Connection {
    /// A connection on which nothing has arrived.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            input: Vec::with_capacity(BUFFER),
            taken: 0,
            params: 0..0,
            rest: RecordRemainder::default(),
            state: State::Idle,
        }
    }

    /// Resets it to a new connection, and keeps the buffer.
    pub fn reset(&mut self) {
        // [`Connection::room`] has overwritten everything after the received bytes.
        wipe_content(&mut self.input);
        self.input.shrink_to(BUFFER);
        self.taken = 0;
        self.params = 0..0;
        self.rest = RecordRemainder::default();
        self.state = State::Idle;
    }

    /// The buffer that received bytes are appended to; the caller must not change its content. It
    /// has spare capacity: at most 32 KiB more than the received bytes that are still needed. The
    /// buffer outlives requests, and requests contain passwords, so bytes that are no longer needed
    /// are overwritten.
    pub fn room(&mut self) -> &mut Vec<u8> {
        let params = self.params.len();
        self.input.copy_within(self.params.clone(), 0);
        self.input.copy_within(self.taken.., params);
        let needed = params + self.input.len() - self.taken;
        if let Some(done) = self.input.get_mut(needed..) {
            done.fill(0);
        }
        self.input.truncate(needed);
        self.params = 0..params;
        self.taken = params;
        if self.input.is_empty() {
            self.input.shrink_to(BUFFER);
        } else if self.input.capacity() - self.input.len() < BUFFER / 2 {
            // Grown explicitly: a buffer that reallocates would leave its old content unwiped.
            let mut larger = Vec::with_capacity(self.input.len() + GROWTH);
            larger.extend_from_slice(&self.input);
            wipe(&mut self.input);
            self.input = larger;
        }
        &mut self.input
    }

    /// Processes the received bytes. Appends to `out` the answers of the protocol itself.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Event {
        loop {
            if let Some(event) = self.settled() {
                return event;
            }
            if !self.take_rest() {
                return Event::More(self.want());
            }
            match self.take_record(out) {
                Ok(true) => {}
                Ok(false) => return Event::More(self.want()),
                Err(broken) => {
                    self.state = State::Over;
                    return Event::Violation(broken);
                }
            }
        }
    }

    /// Answers the pending request: `respond` appends the CGI response, either to a request or to
    /// the reason why there is none. Does nothing if no request is pending.
    pub fn answer(
        &mut self,
        out: &mut Vec<u8>,
        respond: impl FnOnce(Result<&Params<'_>, NoRequest>, &mut Vec<u8>),
    ) {
        let State::Due(active, why) = self.state else {
            return;
        };
        record::write_answer(out, active.id, |out| {
            match why.map_or_else(|| self.decode(), Err) {
                Ok(params) => respond(Ok(&params), out),
                Err(why) => respond(Err(why), out),
            }
        });
        self.forget();
        self.state = after(active);
    }

    /// Ends a request that is still arriving: then an answer without a request is due, after which
    /// the connection is closed. False if no request has begun.
    pub fn give_up(&mut self, why: NoRequest) -> bool {
        let State::Arriving(active) = self.state else {
            return false;
        };
        self.due(active, Some(why));
        self.finish();
        true
    }

    /// Makes the current request the last one, even if the web server asked to keep the connection.
    pub fn finish(&mut self) {
        match &mut self.state {
            State::Arriving(active) | State::Due(active, _) => active.keep = false,
            State::Idle => self.state = State::Over,
            State::Draining { .. } | State::Over => {}
        }
    }

    fn settled(&self) -> Option<Event> {
        match self.state {
            State::Due(..) => Some(Event::Answer),
            State::Over => Some(Event::Over),
            State::Draining { wasted, .. } if wasted > WASTE => Some(Event::Over),
            State::Idle | State::Arriving(_) | State::Draining { .. } => None,
        }
    }

    fn want(&self) -> Want {
        match self.state {
            State::Draining { .. } => Want::End,
            State::Idle if self.between_records() => Want::Request,
            _ => Want::Rest,
        }
    }

    fn between_records(&self) -> bool {
        self.taken == self.input.len() && self.rest.content + self.rest.padding == 0
    }

    /// Skips content and padding of the current record; false if they have not arrived completely.
    fn take_rest(&mut self) -> bool {
        let content = self.rest.content.min(self.input.len() - self.taken);
        if self.rest.is_params {
            if self.params.end != self.taken {
                let arrived = self.taken..self.taken + content;
                self.input.copy_within(arrived, self.params.end);
            }
            self.params.end += content;
        }
        self.rest.content -= content;
        self.taken += content;
        if self.rest.content == 0 {
            let padding = self.rest.padding.min(self.input.len() - self.taken);
            self.rest.padding -= padding;
            self.taken += padding;
        }
        self.rest.content + self.rest.padding == 0
    }

    /// Reads a header, and the content of a record that is processed as a whole; false if they have
    /// not arrived.
    fn take_record(&mut self, out: &mut Vec<u8>) -> Result<bool, Violation> {
        let unread = self.input.get(self.taken..).unwrap_or_default();
        let Some((head, body)) = unread.split_first_chunk() else {
            return Ok(false);
        };
        let header = Header::decode(*head).ok_or(Violation::Version)?;
        let content = usize::from(header.content);
        let looked_at = match header.kind {
            RecordKind::Begin if content < Begin::LEN => return Err(Violation::ShortBegin),
            RecordKind::Begin => Begin::LEN,
            RecordKind::GetValues if header.id == 0 => content,
            _ => 0,
        };
        let Some(body) = body.get(..looked_at) else {
            return Ok(false);
        };
        let rest = RecordRemainder {
            is_params: false,
            content: content - looked_at,
            padding: header.padding.into(),
        };
        let taken = self.taken + Header::LEN + looked_at;
        if let State::Draining { id, wasted } = &mut self.state {
            *wasted += content;
            if (header.kind, header.id, content) == (RecordKind::Stdin, *id, 0) {
                self.state = State::Over;
            }
        } else if header.id == 0 {
            manage(header, body, self.limits.connections, out)?;
        } else if let (RecordKind::Begin, Some(body)) = (header.kind, body.first_chunk()) {
            self.begin(header.id, Begin::decode(*body), out)?;
        } else {
            self.rest = rest;
            self.taken = taken;
            self.stream(header);
            return Ok(true);
        }
        self.rest = rest;
        self.taken = taken;
        Ok(true)
    }

    fn begin(&mut self, id: u16, begin: Begin, out: &mut Vec<u8>) -> Result<(), Violation> {
        let active = Active {
            id,
            keep: begin.keep,
            stdin_ended: false,
            wasted: 0,
            too_large: false,
        };
        match self.state {
            State::Arriving(active) if active.id == id => return Err(Violation::ActiveId),
            State::Arriving(_) => record::write_end(out, id, EndStatus::CantMultiplex),
            _ if begin.role != Begin::RESPONDER => {
                record::write_end(out, id, EndStatus::UnknownRole);
                self.state = after(active);
            }
            _ => self.state = State::Arriving(active),
        }
        Ok(())
    }

    /// Processes a record of a request. Records for requests that are not active are ignored, and
    /// so are types that a Responder does not get.
    fn stream(&mut self, header: Header) {
        let State::Arriving(mut active) = self.state else {
            return;
        };
        if active.id != header.id {
            return;
        }
        let content = usize::from(header.content);
        match header.kind {
            RecordKind::Params if content == 0 => {
                let why = active.too_large.then_some(NoRequest::TooLarge);
                return self.due(active, why);
            }
            RecordKind::Params => {
                active.too_large |= self.params.len() + content > self.limits.params_bytes;
                if active.too_large {
                    active.wasted += content;
                    self.forget();
                } else {
                    self.rest.is_params = true;
                    if self.params.is_empty() {
                        self.params = self.taken..self.taken;
                    }
                }
            }
            RecordKind::Stdin => active.stdin_ended |= content == 0,
            RecordKind::Abort => return self.due(active, Some(NoRequest::Aborted)),
            _ => {}
        }
        self.state = State::Arriving(active);
        if active.wasted > WASTE {
            self.due(active, Some(NoRequest::TooLarge));
        }
    }

    fn due(&mut self, active: Active, why: Option<NoRequest>) {
        self.rest.is_params = false;
        self.state = State::Due(active, why);
    }

    /// Decodes PARAMS into pairs. Only the whole stream is decoded: a record may end within a pair.
    fn decode(&self) -> Result<Params<'_>, NoRequest> {
        let bytes = self.input.get(self.params.clone()).unwrap_or_default();
        let mut params = Params::bounded(self.limits.params_pairs);
        for pair in record::pairs(bytes) {
            let (name, value) = pair.map_err(|_| NoRequest::Malformed)?;
            params.push(name, value).map_err(|_| NoRequest::TooLarge)?;
        }
        Ok(params)
    }

    fn forget(&mut self) {
        self.params = self.taken..self.taken;
    }
}

/// The state after a request. The peer of a kept connection may send the rest of STDIN: records for
/// a request that is no longer active, which are ignored.
fn after(active: Active) -> State {
    if active.keep {
        State::Idle
    } else if active.stdin_ended {
        State::Over
    } else {
        State::Draining {
            id: active.id,
            wasted: 0,
        }
    }
}

/// Processes a management record.
fn manage(
    header: Header,
    content: &[u8],
    connections: usize,
    out: &mut Vec<u8>,
) -> Result<(), Violation> {
    match header.kind {
        RecordKind::GetValues => record::write_values(out, content, connections),
        RecordKind::Other(_) => record::write_unknown_type(out, header.kind),
        RecordKind::Begin
        | RecordKind::Abort
        | RecordKind::Params
        | RecordKind::Stdin
        | RecordKind::Data => {
            return Err(Violation::NullId);
        }
        // Only applications send these.
        RecordKind::End
        | RecordKind::Stdout
        | RecordKind::Stderr
        | RecordKind::GetValuesResult
        | RecordKind::UnknownType => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
