//! Records that break the protocol.

use super::*;

#[test]
fn a_broken_protocol_ends_the_connection() {
    let rows: [BrokenRow; 8] = [
        (
            "version 0",
            &[b"\0\x01\0\x01\0\x08\0\0"],
            &[],
            Violation::Version,
        ),
        (
            "version 2 after a request",
            &[BEGIN_KEEP, PARAMS, PARAMS_END, b"\x02\x05\0\x01\0\0\0\0"],
            &[A_IS_BC, END],
            Violation::Version,
        ),
        (
            "http",
            &[b"GET / HTTP/1.0\r\n\r\n"],
            &[],
            Violation::Version,
        ),
        (
            "a short begin",
            &[b"\x01\x01\0\x01\0\x07\0\0\0\x01\0\0\0\0\0"],
            &[],
            Violation::ShortBegin,
        ),
        (
            "begin twice",
            &[BEGIN, PARAMS, BEGIN],
            &[],
            Violation::ActiveId,
        ),
        (
            "begin with id 0",
            &[b"\x01\x01\0\0\0\x08\0\0\0\x01\0\0\0\0\0\0"],
            &[],
            Violation::NullId,
        ),
        (
            "params with id 0",
            &[BEGIN, b"\x01\x04\0\0\0\0\0\0"],
            &[],
            Violation::NullId,
        ),
        (
            "stdin with id 0",
            &[b"\x01\x05\0\0\0\0\0\0"],
            &[],
            Violation::NullId,
        ),
    ];
    for (name, input, expected, broken) in rows {
        check(name, input, expected, Event::Violation(broken));
    }
}
