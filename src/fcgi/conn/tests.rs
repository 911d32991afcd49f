use std::time::Duration;

use super::*;

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
            Kind::Params | Kind::Stdin if !content.is_empty() => 1,
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
    Broken,
);

#[test]
fn a_broken_protocol_ends_the_connection() {
    let rows: [BrokenRow; 8] = [
        (
            "version 0",
            &[b"\0\x01\0\x01\0\x08\0\0"],
            &[],
            Broken::Version,
        ),
        (
            "version 2 after a request",
            &[BEGIN_KEEP, PARAMS, PARAMS_END, b"\x02\x05\0\x01\0\0\0\0"],
            &[A_IS_BC, END],
            Broken::Version,
        ),
        ("http", &[b"GET / HTTP/1.0\r\n\r\n"], &[], Broken::Version),
        (
            "a short begin",
            &[b"\x01\x01\0\x01\0\x07\0\0\0\x01\0\0\0\0\0"],
            &[],
            Broken::ShortBegin,
        ),
        (
            "begin twice",
            &[BEGIN, PARAMS, BEGIN],
            &[],
            Broken::ActiveId,
        ),
        (
            "begin with id 0",
            &[b"\x01\x01\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0"],
            &[],
            Broken::NullId,
        ),
        (
            "params with id 0",
            &[BEGIN, b"\x01\x04\0\0\0\0\0\0"],
            &[],
            Broken::NullId,
        ),
        (
            "stdin with id 0",
            &[b"\x01\x05\0\0\0\0\0\0"],
            &[],
            Broken::NullId,
        ),
    ];
    for (name, input, expected, broken) in rows {
        check(name, input, expected, Event::Broken(broken));
    }
}

/// PARAMS in records as large as they can be, with that much padding.
fn params(content: &[u8], padding: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in content.chunks(65_535) {
        let header = Header {
            kind: Kind::Params,
            id: 1,
            content: part.len() as u16,
            padding,
        };
        bytes.extend([&header.encode()[..], part, &vec![b'p'; padding.into()]].concat());
    }
    bytes
}

/// One pair of this many bytes in all.
fn pair(size: usize) -> Vec<u8> {
    let value = u32::try_from(size - 6).unwrap() | 0x8000_0000;
    let mut pair = [&[1][..], &value.to_be_bytes(), b"A"].concat();
    pair.resize(size, b'x');
    pair
}

#[test]
fn params_may_be_as_long_as_the_limit() {
    for (size, padding) in [(65_535, 1), (65_535, 255), (65_536, 0), (131_072, 255)] {
        let request = params(&pair(size), padding);
        let (out, stands) = replay([BEGIN, &request, PARAMS_END, STDIN_END]);
        assert_eq!(out.iter().filter(|byte| **byte == b'x').count(), size - 6);
        assert_eq!(stands, Event::Over);
        let input = [BEGIN, &request, PARAMS_END, STDIN_END].concat();
        for piece in [1, 8192, 60_000] {
            assert_eq!(replay(input.chunks(piece)), (out.clone(), Event::Over));
        }
    }
}

#[test]
fn longer_params_are_thrown_away_and_answered() {
    let too_large = ([TOO_LARGE, END].concat(), KEPT);
    let long = params(&pair(131_073), 0);
    let input = [BEGIN_KEEP, &long, PARAMS_END, STDIN_END].concat();
    assert_eq!(replay(input.chunks(8192)), too_large);
    // Endless ones are answered before their end.
    let endless = params(&pair(2_000_000), 7);
    let input = [BEGIN_KEEP, &endless].concat();
    assert_eq!(replay(input.chunks(8192)), too_large);
    let input = [BEGIN, &endless].concat();
    assert_eq!(
        replay(input.chunks(8192)),
        ([TOO_LARGE, END].concat(), DRAINING)
    );
}

#[test]
fn stdin_is_drained_up_to_a_bound() {
    let stdin = |size: usize| {
        let header = |content| Header {
            kind: Kind::Stdin,
            id: 1,
            content,
            padding: 0,
        };
        let mut bytes = [BEGIN, PARAMS, PARAMS_END].concat();
        for part in vec![b'b'; size].chunks(32_768) {
            bytes.extend([&header(part.len() as u16).encode()[..], part].concat());
        }
        bytes
    };
    let answered = |stands| ([A_IS_BC, END].concat(), stands);
    let megabyte = stdin(1024 * 1024);
    assert_eq!(replay(megabyte.chunks(8192)), answered(DRAINING));
    let ended = [&*megabyte, STDIN_END].concat();
    assert_eq!(replay(ended.chunks(8192)), answered(Event::Over));
    assert_eq!(replay(stdin(1_100_000).chunks(8192)), answered(Event::Over));
}

#[test]
fn a_request_that_is_given_up_is_the_last_one() {
    let mut conn = Connection::new(LIMITS);
    let mut out = Vec::new();
    assert!(!conn.give_up(NoRequest::TooSlow));
    conn.room().extend([BEGIN_KEEP, &PARAMS[..10]].concat());
    assert_eq!(conn.next(&mut out), WAITING);
    assert!(conn.give_up(NoRequest::TooSlow));
    assert_eq!(conn.next(&mut out), Event::Answer);
    conn.answer(&mut out, respond);
    conn.room()
        .extend([&PARAMS[10..], PARAMS_END, BEGIN].concat());
    assert_eq!(conn.next(&mut out), DRAINING);
    let answer = [b"\x01\x06\0\x01\0\x07\0\0TooSlow", END].concat();
    assert_eq!(out, answer);
    conn.room().extend_from_slice(STDIN_END);
    assert_eq!(conn.next(&mut out), Event::Over);
    assert_eq!(out, answer);
}

#[test]
fn a_connection_can_be_finished_at_any_time() {
    let mut conn = Connection::new(LIMITS);
    let mut out = Vec::new();
    conn.room()
        .extend([BEGIN_KEEP, PARAMS, PARAMS_END, STDIN_END].concat());
    assert_eq!(conn.next(&mut out), Event::Answer);
    conn.finish();
    conn.answer(&mut out, respond);
    assert_eq!(conn.next(&mut out), Event::Over);
    assert_eq!(out, [A_IS_BC, END].concat());
    conn.reset();
    assert_eq!(conn.next(&mut out), KEPT);
    conn.finish();
    assert_eq!(conn.next(&mut out), Event::Over);
}

#[test]
fn random_bytes_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % bound
    };
    let valid = [
        GET_VALUES,
        BEGIN_KEEP,
        PARAMS,
        BEGIN_KEEP_2,
        PARAMS_END,
        STDIN,
        STDIN_END,
        BEGIN,
        PARAMS,
        ABORT,
        PARAMS_END,
    ];
    for _ in 0..20_000 {
        let mut input = Vec::new();
        for _ in 0..random(12) {
            input.extend_from_slice(valid[random(valid.len())]);
        }
        for _ in 0..random(4) {
            if !input.is_empty() {
                let place = random(input.len());
                input[place] = random(256) as u8;
            }
        }
        let whole = replay([&*input]);
        assert_eq!(replay(input.chunks(1)), whole, "{input:?}");
        assert_eq!(replay(input.chunks(random(40) + 1)), whole, "{input:?}");
    }
}
