//! What the web server sends, and what it gets to see.

mod broken;

use std::time::Duration;

use super::*;

mod bounds;

const BEGIN: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0";
const BEGIN_KEEP: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\x01\0\0\0\0\0";
const BEGIN_KEEP_2: &[u8] = b"\x01\x01\0\x02\0\x08\0\0\0\x01\x01\0\0\0\0\0";
const PARAMS: &[u8] = b"\x01\x04\0\x01\0\x05\x03\0\x01\x02ABCpad";
const PARAMS_END: &[u8] = b"\x01\x04\0\x01\0\0\0\0";
const PARAMS_2: &[u8] = b"\x01\x04\0\x02\0\x05\0\0\x01\x02ABD";
const PARAMS_END_2: &[u8] = b"\x01\x04\0\x02\0\0\0\0";
const STDIN: &[u8] = b"\x01\x05\0\x01\0\x04\0\0body";
const STDIN_END: &[u8] = b"\x01\x05\0\x01\0\0\0\0";
const STDIN_END_2: &[u8] = b"\x01\x05\0\x02\0\0\0\0";
const ABORT: &[u8] = b"\x01\x02\0\x01\0\0\0\0";
const GET_VALUES: &[u8] = b"\x01\x09\0\0\0\x10\x01\0\x0e\0FCGI_MAX_CONNSx";

const VALUES: &[u8] = b"\x01\x0a\0\0\0\x12\0\0\x0e\x02FCGI_MAX_CONNS64";
const END: &[u8] = b"\x01\x06\0\x01\0\0\0\0\x01\x03\0\x01\0\x08\0\0\0\0\0\0\0\0\0\0";
const END_2: &[u8] = b"\x01\x06\0\x02\0\0\0\0\x01\x03\0\x02\0\x08\0\0\0\0\0\0\0\0\0\0";
const A_IS_BC: &[u8] = b"\x01\x06\0\x01\0\x05\0\0A=BC;";
const A_IS_BD_2: &[u8] = b"\x01\x06\0\x02\0\x05\0\0A=BD;";
const NO_PARAMS: &[u8] = b"";
const ABORTED: &[u8] = b"\x01\x06\0\x01\0\x07\0\0Aborted";
const TOO_LARGE: &[u8] = b"\x01\x06\0\x01\0\x08\0\0TooLarge";
const MALFORMED: &[u8] = b"\x01\x06\0\x01\0\x09\0\0Malformed";

const LIMITS: Limits = Limits {
    connections: 64,
    idle_timeout: Duration::from_secs(60),
    read_timeout: Duration::from_secs(10),
    params_bytes: 128 * 1024,
    params_pairs: 8,
};

const KEPT: Event = Event::More(Want::Request);
const DRAINING: Event = Event::More(Want::End);
const WAITING: Event = Event::More(Want::Rest);

/// What the connection says to these pieces, and how it stands after them.
fn replay<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Event) {
    let mut conn = Connection::new(LIMITS);
    let mut out = Vec::new();
    let mut pieces = pieces.into_iter();
    let mut received = 0;
    loop {
        match conn.next(&mut out) {
            Event::Answer => conn.answer(&mut out, respond),
            event @ Event::More(_) => {
                let room = conn.room();
                assert!(room.capacity() - room.len() >= BUFFER / 2);
                assert!(room.capacity() <= received + 64 * 1024);
                let Some(piece) = pieces.next() else {
                    return (out, event);
                };
                room.extend_from_slice(piece);
                received += piece.len();
            }
            event => return (out, event),
        }
    }
}

fn respond(request: Result<&Params<'_>, NoRequest>, out: &mut Vec<u8>) {
    match request {
        Ok(params) => {
            for (name, value) in params.iter() {
                out.extend([name, b"=", value, b";"].concat());
            }
        }
        Err(why) => out.extend(format!("{why:?}").bytes()),
    }
}

/// The same records, streams cut into records of one byte, each with 255 bytes of padding.
fn crumbled(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut crumbs = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        let header = Header::decode(*head)?;
        let (content, rest) = rest.split_at_checked(header.content.into())?;
        bytes = rest.get(header.padding.into()..)?;
        let size = match header.kind {
            RecordKind::Params | RecordKind::Stdin if !content.is_empty() => 1,
            _ => content.len().max(1),
        };
        for part in content
            .chunks(size)
            .chain(content.is_empty().then_some(content))
        {
            let header = Header {
                content: part.len() as u16,
                padding: 255,
                ..header
            };
            crumbs.extend([&header.encode()[..], part, &[b'p'; 255]].concat());
        }
    }
    bytes.is_empty().then_some(crumbs)
}

/// Asserts the same answers however the bytes are cut.
#[track_caller]
fn check(name: &str, input: &[&[u8]], expected: &[&[u8]], stands: Event) {
    let (input, expected) = (input.concat(), expected.concat());
    let expected = (expected, stands);
    assert_eq!(replay([&*input]), expected, "{name}: whole");
    assert_eq!(replay(input.chunks(1)), expected, "{name}: bytes");
    for cut in 0..input.len() {
        let (one, two) = input.split_at(cut);
        assert_eq!(replay([one, two]), expected, "{name}: cut at {cut}");
    }
    if let Some(crumbs) = crumbled(&input) {
        assert_eq!(replay([&*crumbs]), expected, "{name}: crumbled");
        assert_eq!(replay(crumbs.chunks(1)), expected, "{name}: crumbs");
        assert_eq!(replay(crumbs.chunks(1000)), expected, "{name}: heaps");
    }
}

type Row = (
    &'static str,
    &'static [&'static [u8]],
    &'static [&'static [u8]],
    Event,
);

#[test]
fn requests_are_answered_when_params_end() {
    let rows: [Row; 12] = [
        (
            "one request",
            &[BEGIN, PARAMS, PARAMS_END, STDIN_END],
            &[A_IS_BC, END],
            Event::Over,
        ),
        (
            "the specification's example 2: a pair over two records",
            &[
                BEGIN,
                b"\x01\x04\0\x01\0\x03\0\0\x01\x02A\x01\x04\0\x01\0\x02\0\0BC",
                PARAMS_END,
            ],
            &[A_IS_BC, END],
            DRAINING,
        ),
        (
            "stdin is ignored",
            &[
                BEGIN, PARAMS, PARAMS_END, STDIN, STDIN, STDIN_END, b"garbage",
            ],
            &[A_IS_BC, END],
            Event::Over,
        ),
        (
            "stdin before the end of params",
            &[BEGIN, STDIN, PARAMS, STDIN_END, PARAMS_END],
            &[A_IS_BC, END],
            Event::Over,
        ),
        (
            "stdin missing",
            &[BEGIN_KEEP, PARAMS, PARAMS_END],
            &[A_IS_BC, END],
            KEPT,
        ),
        (
            "stdin missing, then the next request",
            &[
                BEGIN_KEEP,
                PARAMS,
                PARAMS_END,
                BEGIN_KEEP_2,
                PARAMS_2,
                PARAMS_END_2,
                STDIN_END_2,
            ],
            &[A_IS_BC, END, A_IS_BD_2, END_2],
            KEPT,
        ),
        (
            "the same id again",
            &[
                BEGIN_KEEP, PARAMS, PARAMS_END, STDIN, STDIN_END, BEGIN, PARAMS, PARAMS_END,
                STDIN_END,
            ],
            &[A_IS_BC, END, A_IS_BC, END],
            Event::Over,
        ),
        (
            "no params",
            &[BEGIN, PARAMS_END, STDIN_END],
            &[NO_PARAMS, END],
            Event::Over,
        ),
        (
            "reserved bytes and flags, id 65535",
            &[
                b"\x01\x01\xff\xff\0\x0a\0\xff\0\x01\xfe\x01\x02\x03\x04\x05\x06\x07",
                b"\x01\x04\xff\xff\0\0\0\xff\x01\x05\xff\xff\0\0\0\xff",
            ],
            &[b"\x01\x06\xff\xff\0\0\0\0\x01\x03\xff\xff\0\x08\0\0\0\0\0\0\0\0\0\0"],
            Event::Over,
        ),
        (
            "eight pairs",
            &[
                BEGIN,
                b"\x01\x04\0\x01\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                PARAMS_END,
            ],
            &[b"\x01\x06\0\x01\0\x10\0\0=;=;=;=;=;=;=;=;", END],
            DRAINING,
        ),
        ("params cut short", &[BEGIN, PARAMS], &[], WAITING),
        ("half a header", &[b"\x01\x01\0"], &[], WAITING),
    ];
    for (name, input, expected, stands) in rows {
        check(name, input, expected, stands);
    }
}

#[test]
fn what_is_no_request_is_still_answered() {
    let rows: [Row; 9] = [
        (
            "abort before params",
            &[BEGIN, ABORT],
            &[ABORTED, END],
            DRAINING,
        ),
        (
            "abort within params",
            &[
                BEGIN_KEEP, PARAMS, ABORT, PARAMS_END, STDIN_END, BEGIN, PARAMS, PARAMS_END,
            ],
            &[ABORTED, END, A_IS_BC, END],
            DRAINING,
        ),
        (
            "abort after the answer",
            &[BEGIN_KEEP, PARAMS, PARAMS_END, ABORT],
            &[A_IS_BC, END],
            KEPT,
        ),
        (
            "abort for another",
            &[BEGIN_KEEP_2, ABORT, PARAMS_2, PARAMS_END_2],
            &[A_IS_BD_2, END_2],
            KEPT,
        ),
        (
            "nine pairs",
            &[
                BEGIN,
                b"\x01\x04\0\x01\0\x12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
                PARAMS_END,
            ],
            &[TOO_LARGE, END],
            DRAINING,
        ),
        (
            "a value longer than what is there",
            &[
                BEGIN,
                b"\x01\x04\0\x01\0\x05\0\0\x01\x03ABC",
                PARAMS_END,
                STDIN_END,
            ],
            &[MALFORMED, END],
            Event::Over,
        ),
        (
            "lengths of 2^31-1",
            &[
                BEGIN_KEEP,
                b"\x01\x04\0\x01\0\x0a\0\0\xff\xff\xff\xff\xff\xff\xff\xffAB",
                PARAMS_END,
                STDIN_END,
            ],
            &[MALFORMED, END],
            KEPT,
        ),
        (
            "half a length",
            &[BEGIN, b"\x01\x04\0\x01\0\x03\0\0\x01\x80\0", PARAMS_END],
            &[MALFORMED, END],
            DRAINING,
        ),
        (
            "a good request after a malformed one",
            &[
                BEGIN_KEEP,
                b"\x01\x04\0\x01\0\x01\0\0\x01",
                PARAMS_END,
                STDIN_END,
                BEGIN_KEEP,
                PARAMS,
                PARAMS_END,
                STDIN_END,
            ],
            &[MALFORMED, END, A_IS_BC, END],
            KEPT,
        ),
    ];
    for (name, input, expected, stands) in rows {
        check(name, input, expected, stands);
    }
}

#[test]
fn other_records_are_answered_or_ignored() {
    const UNKNOWN_ROLE: &[u8] = b"\x01\x03\0\x01\0\x08\0\0\0\0\0\0\x03\0\0\0";
    const CANT_MPX: &[u8] = b"\x01\x03\0\x02\0\x08\0\0\0\0\0\0\x01\0\0\0";
    let rows: [Row; 11] = [
        ("nothing", &[], &[], KEPT),
        ("values first", &[GET_VALUES], &[VALUES], KEPT),
        (
            "values at any time",
            &[
                GET_VALUES, BEGIN_KEEP, GET_VALUES, PARAMS, GET_VALUES, PARAMS_END, GET_VALUES,
                STDIN, GET_VALUES, STDIN_END, GET_VALUES,
            ],
            &[VALUES, VALUES, VALUES, A_IS_BC, END, VALUES, VALUES, VALUES],
            KEPT,
        ),
        (
            "unknown values",
            &[b"\x01\x09\0\0\0\x05\0\0\x03\0FOO\x01\x09\0\0\0\0\0\0"],
            &[b"\x01\x0a\0\0\0\0\0\0\x01\x0a\0\0\0\0\0\0"],
            KEPT,
        ),
        (
            "unknown management types",
            &[b"\x01\x0c\0\0\0\x02\x01\0xyp\x01\xff\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"],
            &[
                b"\x01\x0b\0\0\0\x08\0\0\x0c\0\0\0\0\0\0\0",
                b"\x01\x0b\0\0\0\x08\0\0\xff\0\0\0\0\0\0\0",
                b"\x01\x0b\0\0\0\x08\0\0\0\0\0\0\0\0\0\0",
            ],
            KEPT,
        ),
        (
            "unknown types and types of applications within a request",
            &[
                BEGIN_KEEP,
                b"\x01\x0c\0\x01\0\x02\x01\0xyp\x01\x08\0\x01\0\x01\0\0d\x01\x09\0\x01\0\0\0\0",
                b"\x01\x03\0\x01\0\0\0\0\x01\x06\0\x01\0\0\0\0\x01\x07\0\x01\0\0\0\0",
                b"\x01\x03\0\0\0\0\0\0\x01\x0a\0\0\0\0\0\0\x01\x0b\0\0\0\0\0\0",
                PARAMS,
                PARAMS_END,
            ],
            &[A_IS_BC, END],
            KEPT,
        ),
        (
            "records of no request",
            &[
                PARAMS,
                STDIN,
                PARAMS_END,
                STDIN_END,
                ABORT,
                BEGIN_KEEP,
                PARAMS_2,
                PARAMS_END_2,
            ],
            &[],
            WAITING,
        ),
        (
            "a second request meanwhile",
            &[
                BEGIN_KEEP,
                BEGIN_KEEP_2,
                PARAMS_2,
                PARAMS,
                PARAMS_END_2,
                STDIN_END_2,
                PARAMS_END,
                STDIN_END,
            ],
            &[CANT_MPX, A_IS_BC, END],
            KEPT,
        ),
        (
            "a role we do not play",
            &[
                b"\x01\x01\0\x01\0\x08\0\0\0\x02\0\0\0\0\0\0",
                PARAMS,
                PARAMS_END,
                STDIN,
            ],
            &[UNKNOWN_ROLE],
            DRAINING,
        ),
        (
            "a role we do not play, to the end",
            &[
                b"\x01\x01\0\x01\0\x08\0\0\0\x02\0\0\0\0\0\0",
                PARAMS,
                PARAMS_END,
                STDIN_END,
            ],
            &[UNKNOWN_ROLE],
            Event::Over,
        ),
        (
            "a role we do not play, kept",
            &[
                b"\x01\x01\0\x01\0\x08\0\0\0\x03\x01\0\0\0\0\0",
                PARAMS,
                PARAMS_END,
                STDIN_END,
                BEGIN_KEEP,
                PARAMS,
                PARAMS_END,
            ],
            &[UNKNOWN_ROLE, A_IS_BC, END],
            KEPT,
        ),
    ];
    for (name, input, expected, stands) in rows {
        check(name, input, expected, stands);
    }
}

type BrokenRow = (
    &'static str,
    &'static [&'static [u8]],
    &'static [&'static [u8]],
    Violation,
);
