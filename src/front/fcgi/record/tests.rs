use super::*;

#[test]
fn headers_are_read_and_written_alike() {
    for bytes in [
        *b"\x01\x01\x00\x01\x00\x08\x00\x00",
        *b"\x01\x04\xff\xff\xff\xff\xff\x00",
        *b"\x01\xff\x01\x00\x00\x00\x01\x00",
    ] {
        assert_eq!(Header::decode(bytes).unwrap().encode(), bytes);
    }
    let header = Header::decode(*b"\x01\x04\x01\x02\x03\x04\x05\x06").unwrap();
    let expected = Header {
        kind: RecordKind::Params,
        id: 0x0102,
        content: 0x0304,
        padding: 5,
    };
    assert_eq!(header, expected);
    for byte in 0..=255 {
        assert_eq!(RecordKind::from_wire(byte).to_wire(), byte);
        let decoded = Header::decode([byte, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(decoded.is_some(), byte == 1, "version {byte}");
    }
}

#[test]
fn begin_has_a_role_and_one_flag() {
    let begin = |bytes: &[u8; 8]| Begin::decode(*bytes);
    assert_eq!(
        begin(b"\x00\x01\x01\0\0\0\0\0"),
        Begin {
            role: 1,
            keep: true
        }
    );
    assert_eq!(
        begin(b"\x01\x03\xfe\x01\x01\x01\x01\x01"),
        Begin {
            role: 0x103,
            keep: false
        }
    );
}

type Row = (
    &'static [u8],
    &'static [(&'static [u8], &'static [u8])],
    bool,
);

#[test]
fn pairs_have_lengths_of_one_or_four_bytes() {
    let rows: [Row; 16] = [
        (b"", &[], true),
        (b"\x01\x02ABC", &[(b"A", b"BC")], true),
        (b"\x01\x80\0\0\x02ABC", &[(b"A", b"BC")], true),
        (b"\x80\0\0\x01\x02ABC", &[(b"A", b"BC")], true),
        (b"\x80\0\0\x01\x80\0\0\x02ABC", &[(b"A", b"BC")], true),
        (b"\0\0", &[(b"", b"")], true),
        (b"\0\x01x\x01\0A", &[(b"", b"x"), (b"A", b"")], true),
        (b"\x01\x03A\0\xff\n", &[(b"A", b"\0\xff\n")], true),
        (b"\x01", &[], false),
        (b"\x80\0\0", &[], false),
        (b"\x01\x80\0\0", &[], false),
        (b"\x01\x02AB", &[], false),
        (b"\x01\x01AB\x01", &[(b"A", b"B")], false),
        (b"\xff\xff\xff\xff\xff\xff\xff\xffAB", &[], false),
        (b"\xff\xff\xff\xff\0AB", &[], false),
        (b"\0\xff\xff\xff\xffAB", &[], false),
    ];
    for (bytes, expected, whole) in rows {
        let read: Vec<_> = pairs(bytes).flatten().collect();
        assert_eq!(read, expected, "{bytes:?}");
        assert_eq!(pairs(bytes).all(|pair| pair.is_ok()), whole, "{bytes:?}");
    }
}

/// Where the form changes, and with a length of which every byte counts.
#[test]
fn long_pairs_have_their_length_in_four_bytes() {
    let text = vec![b'x'; 0x0001_0203];
    for (length, bytes) in [
        (127, &b"\x7f"[..]),
        (127, b"\x80\0\0\x7f"),
        (128, b"\x80\0\0\x80"),
        (255, b"\x80\0\0\xff"),
        (256, b"\x80\0\x01\0"),
        (0x0001_0203, b"\x80\x01\x02\x03"),
    ] {
        let text = &text[..length];
        let name = [bytes, b"\x01", text, b"v"].concat();
        let read: Vec<_> = pairs(&name).collect();
        assert_eq!(read, [Ok((text, &b"v"[..]))], "{length}");
        let value = [b"\x01", bytes, b"n", text].concat();
        let read: Vec<_> = pairs(&value).collect();
        assert_eq!(read, [Ok((&b"n"[..], text))], "{length}");
        let short = value.split_last().unwrap().1;
        assert_eq!(pairs(short).collect::<Vec<_>>(), [Err(Malformed)]);
    }
    let highest = length(b"\xff\xff\xff\xff");
    assert_eq!(highest, Some((0x7fff_ffff, &[][..])));
    assert_eq!(length(b"\x81\0\0\0x"), Some((0x0100_0000, &b"x"[..])));
}

#[test]
fn a_request_ends_with_its_status() {
    for (ended, status) in [
        (EndStatus::Complete, 0),
        (EndStatus::CantMultiplex, 1),
        (EndStatus::UnknownRole, 3),
    ] {
        let mut out = Vec::new();
        write_end(&mut out, 0x102, ended);
        let head = b"\x01\x03\x01\x02\0\x08\0\0\0\0\0\0";
        assert_eq!(out, [&head[..], &[status, 0, 0, 0]].concat());
    }
}

#[test]
fn an_answer_is_stdout_its_end_and_the_end_of_the_request() {
    const END: &[u8] = b"\x01\x06\x01\x02\0\0\0\0\x01\x03\x01\x02\0\x08\0\0\0\0\0\0\0\0\0\0";
    let answer = |length: usize| {
        let mut out = b"before".to_vec();
        write_answer(&mut out, 0x102, |out| out.resize(out.len() + length, b'x'));
        out.strip_prefix(b"before").unwrap().to_vec()
    };
    assert_eq!(answer(0), END);
    assert_eq!(answer(2), [b"\x01\x06\x01\x02\0\x02\0\0xx", END].concat());
    let full = answer(65_535);
    assert!(full.starts_with(b"\x01\x06\x01\x02\xff\xff\0\0x"));
    assert_eq!(full.len(), 8 + 65_535 + END.len());
    let two = answer(65_536);
    assert!(two.starts_with(b"\x01\x06\x01\x02\xff\xf8\0\0x"));
    assert!(two[8 + 0xfff8..].starts_with(b"\x01\x06\x01\x02\0\x08\0\0xxxxxxxx\x01"));
    assert!(two.ends_with(END));
}

#[test]
fn only_known_values_are_answered_each_once() {
    let values = |asked: &[u8]| {
        let mut out = Vec::new();
        write_values(&mut out, asked, 64);
        out
    };
    assert_eq!(values(b""), b"\x01\x0a\0\0\0\0\0\0");
    assert_eq!(values(b"\x03\0FOO"), b"\x01\x0a\0\0\0\0\0\0");
    assert_eq!(
        values(b"\x0f\0FCGI_MPXS_CONNS\x0f\0FCGI_MPXS_CONNS\x03\0FOO"),
        b"\x01\x0a\0\0\0\x12\0\0\x0f\x01FCGI_MPXS_CONNS0"
    );
    assert_eq!(
        values(b"\x0d\0FCGI_MAX_REQS\x0e\0FCGI_MAX_CONNS"),
        b"\x01\x0a\0\0\0\x23\0\0\x0e\x02FCGI_MAX_CONNS64\x0d\x02FCGI_MAX_REQS64"
    );
}

#[test]
fn an_unknown_type_is_named() {
    let mut out = Vec::new();
    write_unknown_type(&mut out, RecordKind::Other(200));
    assert_eq!(out, b"\x01\x0b\0\0\0\x08\0\0\xc8\0\0\0\0\0\0\0");
}
