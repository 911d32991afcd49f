//! Bounds, early ends, and bytes that are no records.

use super::*;

/// PARAMS in records as large as they can be, with that much padding.
fn params(content: &[u8], padding: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in content.chunks(65_535) {
        let header = Header {
            kind: RecordKind::Params,
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
            kind: RecordKind::Stdin,
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
                let index = random(input.len());
                input[index] = random(256) as u8;
            }
        }
        let whole = replay([&*input]);
        assert_eq!(replay(input.chunks(1)), whole, "{input:?}");
        assert_eq!(replay(input.chunks(random(40) + 1)), whole, "{input:?}");
    }
}
