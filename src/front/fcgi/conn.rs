//! One FastCGI connection: bytes in, events and bytes out. No I/O, no clock.
//!
//! All rules about what may follow what are here (FastCGI 1.0, 3 to 6). The driver appends what it
//! read to [`Connection::room`], asks [`Connection::next`] until that wants more bytes, and sends
//! what gathered in `out`. One request is active at a time: we do not multiplex.

use std::ops::Range;

use zeroize::Zeroize as _;

use super::Limits;
use super::record::{self, Begin, Ended, Header, Kind};
use crate::front::NoRequest;
use crate::front::params::Params;

/// What a connection costs while it is silent. An ordinary request is 1 to 3 KiB.
const BUFFER: usize = 8 * 1024;
/// How much the buffer grows at a time when a request is larger.
const GROWTH: usize = 32 * 1024;
/// How much is read and thrown away: of PARAMS beyond the limit before the answer, of STDIN after.
const WASTE: usize = 1024 * 1024;

/// State and buffer of one connection.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    input: Vec<u8>,
    /// How much of `input` is dealt with.
    taken: usize,
    /// Where in `input` the PARAMS of the active request are: always before `taken`. What a later
    /// record brings is moved down over the headers between, so PARAMS are whole without a copy
    /// if they came in one record.
    params: Range<usize>,
    /// What of the record at hand is still to come.
    rest: Rest,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rest {
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
    /// It is our turn: a whole request, or a reason for an answer without one.
    Due(Active, Option<NoRequest>),
    /// The last request is answered; the end of its STDIN is still to come.
    Draining { id: u16, wasted: usize },
    /// Nothing more is to come that we would look at.
    Over,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    id: u16,
    keep: bool,
    stdin_ended: bool,
    /// Bytes thrown away because PARAMS are too long; if there are any, so is the request.
    wasted: usize,
    too_large: bool,
}

/// What the driver is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Call [`Connection::answer`].
    Answer,
    /// Send what is in `out`, then bring more bytes.
    More(Want),
    /// Send what is in `out`, then close.
    Over,
    /// Close: the peer broke the protocol so that the place of the next record is unknown, or what
    /// it means.
    Broken(Broken),
}

/// What the bytes are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A new request: the peer may take its time.
    Request,
    /// The rest of what has begun.
    Rest,
    /// The end of STDIN: the answer is complete, nothing more will be sent.
    End,
}

/// How a peer breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A record of another version than 1.
    Version,
    /// BEGIN_REQUEST with less than 8 bytes.
    ShortBegin,
    /// BEGIN_REQUEST for the request that is active already.
    ActiveId,
    /// A record that belongs to a request has the id 0.
    NullId,
}

impl std::fmt::Display for Broken {
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
            rest: Rest::default(),
            state: State::Idle,
        }
    }

    /// Makes it a new connection, with the old one's buffer.
    pub fn reset(&mut self) {
        // All that it has room for, also what was there before.
        self.input.zeroize();
        self.input.shrink_to(BUFFER);
        self.taken = 0;
        self.params = 0..0;
        self.rest = Rest::default();
        self.state = State::Idle;
    }

    /// Where received bytes are to be appended; what is there must stay. Spare capacity is
    /// provided: at most 32 KiB more than what has been received and is still needed. The buffer
    /// outlives requests, and requests hold passwords: what is not needed any more is overwritten.
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
            // By hand: a buffer that grew by itself would leave what it held behind.
            let mut larger = Vec::with_capacity(self.input.len() + GROWTH);
            larger.extend_from_slice(&self.input);
            self.input.zeroize();
            self.input = larger;
        }
        &mut self.input
    }

    /// Goes on with what has been received. Appends to `out` what the protocol itself answers.
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
                    return Event::Broken(broken);
                }
            }
        }
    }

    /// Answers the request that is due: `respond` appends the CGI response, either to a request or
    /// to the lack of one. Does nothing if none is due.
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

    /// Ends a request that is still arriving: an answer without a request is due then, after which
    /// the connection is closed. False if no request has begun.
    pub fn give_up(&mut self, why: NoRequest) -> bool {
        let State::Arriving(active) = self.state else {
            return false;
        };
        self.due(active, Some(why));
        self.finish();
        true
    }

    /// Makes the request at hand the last one, whatever the web server asked for.
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

    /// Takes content and padding of the record at hand; false if they have not arrived whole.
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

    /// Takes a header, and the content where that is looked at as a whole; false if they have not
    /// arrived.
    fn take_record(&mut self, out: &mut Vec<u8>) -> Result<bool, Broken> {
        let unread = self.input.get(self.taken..).unwrap_or_default();
        let Some((head, body)) = unread.split_first_chunk() else {
            return Ok(false);
        };
        let header = Header::decode(*head).ok_or(Broken::Version)?;
        let content = usize::from(header.content);
        let looked_at = match header.kind {
            Kind::Begin if content < Begin::LEN => return Err(Broken::ShortBegin),
            Kind::Begin => Begin::LEN,
            Kind::GetValues if header.id == 0 => content,
            _ => 0,
        };
        let Some(body) = body.get(..looked_at) else {
            return Ok(false);
        };
        let rest = Rest {
            is_params: false,
            content: content - looked_at,
            padding: header.padding.into(),
        };
        let taken = self.taken + Header::LEN + looked_at;
        if let State::Draining { id, wasted } = &mut self.state {
            *wasted += content;
            if (header.kind, header.id, content) == (Kind::Stdin, *id, 0) {
                self.state = State::Over;
            }
        } else if header.id == 0 {
            manage(header, body, self.limits.connections, out)?;
        } else if let (Kind::Begin, Some(body)) = (header.kind, body.first_chunk()) {
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

    fn begin(&mut self, id: u16, begin: Begin, out: &mut Vec<u8>) -> Result<(), Broken> {
        let active = Active {
            id,
            keep: begin.keep,
            stdin_ended: false,
            wasted: 0,
            too_large: false,
        };
        match self.state {
            State::Arriving(active) if active.id == id => return Err(Broken::ActiveId),
            State::Arriving(_) => record::write_end(out, id, Ended::CantMultiplex),
            _ if begin.role != Begin::RESPONDER => {
                record::write_end(out, id, Ended::UnknownRole);
                self.state = after(active);
            }
            _ => self.state = State::Arriving(active),
        }
        Ok(())
    }

    /// A record of a request. Records for requests that are not active are ignored, and so are
    /// types that a Responder does not get.
    fn stream(&mut self, header: Header) {
        let State::Arriving(mut active) = self.state else {
            return;
        };
        if active.id != header.id {
            return;
        }
        let content = usize::from(header.content);
        match header.kind {
            Kind::Params if content == 0 => {
                let why = active.too_large.then_some(NoRequest::TooLarge);
                return self.due(active, why);
            }
            Kind::Params => {
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
            Kind::Stdin => active.stdin_ended |= content == 0,
            Kind::Abort => return self.due(active, Some(NoRequest::Aborted)),
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

    /// PARAMS as pairs. Only the whole stream is decoded: a record may end within a pair.
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

/// Where a connection stands after a request. The peer of a kept one may send STDIN that we have
/// not seen the end of: records for a request that is not active any more, which are ignored.
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

/// A management record.
fn manage(
    header: Header,
    content: &[u8],
    connections: usize,
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    match header.kind {
        Kind::GetValues => record::write_values(out, content, connections),
        Kind::Other(_) => record::write_unknown_type(out, header.kind),
        Kind::Begin | Kind::Abort | Kind::Params | Kind::Stdin | Kind::Data => {
            return Err(Broken::NullId);
        }
        // Only applications send these.
        Kind::End | Kind::Stdout | Kind::Stderr | Kind::GetValuesResult | Kind::UnknownType => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
