//! Whole requests and whole connections: from bytes to the bytes of the answer, through all that
//! lies between. Every answer keeps all rules, and `OK` means that a store said yes.

use std::cell::LazyCell;
use std::time::Instant;

use nginx_mail_auth::front::NoRequest;
use nginx_mail_auth::front::fcgi::Limits;
use nginx_mail_auth::front::fcgi::record::{Header, RecordKind};
use nginx_mail_auth::front::params::Params;
use nginx_mail_auth::nginx::answer::Messages;
use nginx_mail_auth::nginx::refusal::{Refusal, Trouble};
use nginx_mail_auth::nginx::request::Outline;
use nginx_mail_auth::service::refuse;

use super::rules::{self, Codes};
use super::wire::{drive, record};
use super::words::variables;
use super::world::{Fickle, Numbers, World};

const KEY: &str = "0123456789abcdef0123456789abcdef";

thread_local! {
    static OPEN: LazyCell<World> = LazyCell::new(|| world(None));
    static LOCKED: LazyCell<World> = LazyCell::new(|| world(Some(KEY)));
}

fn world(key: Option<&'static str>) -> World {
    World::new(key, Codes::Few, Box::new(Fickle))
}

/// `NAME=value` in each line: one request to two services, one of which asks for a key.
pub(crate) fn whole(data: &[u8]) {
    let params = variables(data);
    for world in [&OPEN, &LOCKED] {
        world.with(|world| {
            let mut out = Vec::new();
            answer(world, &params, &mut out);
        });
    }
}

fn answer<'a>(world: &World, params: &Params<'_>, out: &'a mut Vec<u8>) -> &'a [u8] {
    let start = out.len();
    let rightly = world.respond(params, out);
    let answer = &out[start..];
    if let Err(broken) = rightly.and(rules::obeyed(answer, params, Codes::Few).map(|_| ())) {
        panic!("{broken}: {} for {params:?}", answer.escape_ascii());
    }
    answer
}

/// A whole connection. The first two bytes say how it is cut; then come requests, each of lines
/// `NAME=value` and ended by an empty line. What stands in a line behind `!` comes between the
/// records, whatever it is.
pub(crate) fn conversation(data: &[u8]) {
    let Some((seed, script)) = data.split_first_chunk::<2>() else {
        return;
    };
    let random = &mut Numbers::of(seed);
    let (mut stream, mut odd, mut requests) = (Vec::new(), false, 0);
    for request in split(script, b"\n\n") {
        let keep = u8::from(!random.one_in(8));
        stream.extend(record(
            1,
            &[0, 1, keep, 0, 0, 0, 0, 0],
            random.below(256) as u8,
        ));
        let mut content = Vec::new();
        for line in request.split(|byte| *byte == b'\n') {
            if let Some(raw) = line.strip_prefix(b"!") {
                flush(&mut stream, &mut content, random);
                stream.extend_from_slice(raw);
                odd |= !raw.is_empty();
            } else if let Some(at) = line.iter().position(|byte| *byte == b'=') {
                let (name, value) = (&line[..at], &line[at + 1..]);
                for length in [name.len(), value.len()] {
                    match u8::try_from(length) {
                        Ok(short @ 0..0x80) if !random.one_in(3) => content.push(short),
                        _ => content.extend((length as u32 | 0x8000_0000).to_be_bytes()),
                    }
                }
                content.extend_from_slice(name);
                content.extend_from_slice(value);
            }
        }
        flush(&mut stream, &mut content, random);
        stream.extend(record(4, b"", random.below(256) as u8));
        if random.one_in(3) {
            stream.extend(record(5, b"body", 4));
        }
        stream.extend(record(5, b"", 0));
        requests += 1;
        if keep == 0 {
            break;
        }
    }
    let limits = Limits::default();
    let piece = 1 + random.below(600) as usize;
    for world in [&OPEN, &LOCKED] {
        world.with(|world| {
            let mut respond = |request: Result<&Params<'_>, NoRequest>, out: &mut Vec<u8>| {
                match request {
                    Ok(params) => {
                        answer(world, params, out);
                    }
                    Err(why) => without_request(world, why, out),
                };
            };
            let (out, broken) = drive(&stream, usize::MAX, limits, &mut respond);
            let in_pieces = drive(&stream, piece, limits, &mut respond);
            assert_eq!((&out, broken), (&in_pieces.0, in_pieces.1));
            let answers = read_records(&out);
            assert!(
                odd || (answers == requests && !broken),
                "{answers} of {requests}"
            );
        });
    }
}

/// As the server does it.
fn without_request(world: &World, why: NoRequest, out: &mut Vec<u8>) {
    let why = match why {
        NoRequest::Aborted | NoRequest::TooSlow => Trouble::Aborted.into(),
        NoRequest::Overloaded => Trouble::Overloaded.into(),
        NoRequest::TooLarge => Refusal::TooLarge,
        NoRequest::Malformed => Refusal::Malformed,
    };
    let start = out.len();
    let nothing = Params::bounded(0);
    let messages = &world.service().config().messages;
    let _at_once = refuse(why, &Outline::of(&nothing), messages, Instant::now(), out);
    let status = rules::obeyed(&out[start..], &nothing, Codes::Few);
    assert!(
        matches!(status, Ok(Messages::REFUSED | Messages::TEMPORARY)),
        "{status:?}"
    );
}

/// Puts what there is of PARAMS into records, cut anywhere.
fn flush(stream: &mut Vec<u8>, content: &mut Vec<u8>, random: &mut Numbers) {
    let mut rest = content.as_slice();
    while !rest.is_empty() {
        let longest = if random.one_in(4) { 4 } else { 60_000 };
        let (now, later) = rest.split_at(rest.len().min(1 + random.below(longest) as usize));
        stream.extend(record(4, now, random.below(256) as u8));
        rest = later;
    }
    content.clear();
}

/// Checks what the web server gets: whole records of an application, each request's STDOUT an
/// answer. How many there are.
fn read_records(mut bytes: &[u8]) -> usize {
    let (mut answers, mut stdout, mut ended) = (0, Vec::new(), false);
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let header = Header::decode(*head).expect("a record of version 1");
        let (content, rest) = rest.split_at(header.content.into());
        bytes = rest.get(header.padding.into()..).expect("whole padding");
        match header.kind {
            RecordKind::Stdout if content.is_empty() => ended = true,
            RecordKind::Stdout => {
                assert!(header.id != 0 && !ended);
                stdout.extend_from_slice(content);
            }
            RecordKind::End => {
                assert!(header.id != 0 && content.len() == 8 && content[..4] == [0; 4]);
                match content[4] {
                    // FCGI_REQUEST_COMPLETE: never without an answer.
                    0 => {
                        assert!(ended);
                        let answer =
                            rules::Answer::read(&stdout).and_then(|a| a.status().map(drop));
                        assert_eq!(answer, Ok(()));
                        (answers, ended) = (answers + 1, false);
                        stdout.clear();
                    }
                    // FCGI_CANT_MPX_CONN, FCGI_UNKNOWN_ROLE
                    status => assert!(matches!(status, 1 | 3) && stdout.is_empty() && !ended),
                }
            }
            RecordKind::GetValuesResult | RecordKind::UnknownType => assert_eq!(header.id, 0),
            kind => panic!("{kind:?} is nothing that an application sends"),
        }
    }
    assert!(bytes.is_empty() && stdout.is_empty() && !ended);
    answers
}

fn split<'a>(mut text: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = text.windows(separator.len()).position(|w| w == separator) {
        parts.push(&text[..at]);
        text = &text[at + separator.len()..];
    }
    parts.push(text);
    parts
}
