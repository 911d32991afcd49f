//! Bytes of FastCGI records and back (FastCGI 1.0, 3.3, 3.4, 4, 5 and 8). No I/O, no state.

/// What a record is (FastCGI 1.0, 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// FCGI_BEGIN_REQUEST
    Begin,
    /// FCGI_ABORT_REQUEST
    Abort,
    /// FCGI_END_REQUEST, which only an application sends
    End,
    /// FCGI_PARAMS
    Params,
    /// FCGI_STDIN
    Stdin,
    /// FCGI_STDOUT, which only an application sends
    Stdout,
    /// FCGI_STDERR, which only an application sends
    Stderr,
    /// FCGI_DATA, which only a Filter gets
    Data,
    /// FCGI_GET_VALUES
    GetValues,
    /// FCGI_GET_VALUES_RESULT, which only an application sends
    GetValuesResult,
    /// FCGI_UNKNOWN_TYPE, which only an application sends
    UnknownType,
    /// A type that FastCGI 1.0 does not name.
    Other(u8),
}

impl Kind {
    const fn from_wire(byte: u8) -> Self {
        match byte {
            1 => Self::Begin,
            2 => Self::Abort,
            3 => Self::End,
            4 => Self::Params,
            5 => Self::Stdin,
            6 => Self::Stdout,
            7 => Self::Stderr,
            8 => Self::Data,
            9 => Self::GetValues,
            10 => Self::GetValuesResult,
            11 => Self::UnknownType,
            other => Self::Other(other),
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::Begin => 1,
            Self::Abort => 2,
            Self::End => 3,
            Self::Params => 4,
            Self::Stdin => 5,
            Self::Stdout => 6,
            Self::Stderr => 7,
            Self::Data => 8,
            Self::GetValues => 9,
            Self::GetValuesResult => 10,
            Self::UnknownType => 11,
            Self::Other(byte) => byte,
        }
    }
}

/// The eight bytes before each record's content (FastCGI 1.0, 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the record is.
    pub kind: Kind,
    /// The request that it belongs to; 0 in management records.
    pub id: u16,
    /// Bytes of content after the header.
    pub content: u16,
    /// Bytes to skip after the content. With the content this may be more than a `u16` holds.
    pub padding: u8,
}

impl Header {
    /// Bytes of a header.
    pub const LEN: usize = 8;
    const VERSION: u8 = 1;

    /// `None` if the version is not 1: no length after it can be trusted.
    pub fn decode(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [version, kind, i1, i0, c1, c0, padding, _reserved] = bytes;
        (version == Self::VERSION).then(|| Self {
            kind: Kind::from_wire(kind),
            id: u16::from_be_bytes([i1, i0]),
            content: u16::from_be_bytes([c1, c0]),
            padding,
        })
    }

    /// The header as it is sent.
    pub fn encode(self) -> [u8; Self::LEN] {
        let [i1, i0] = self.id.to_be_bytes();
        let [c1, c0] = self.content.to_be_bytes();
        let kind = self.kind.to_wire();
        [Self::VERSION, kind, i1, i0, c1, c0, self.padding, 0]
    }
}

/// The content of BEGIN_REQUEST (FastCGI 1.0, 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// What the application is to be; see [`Begin::RESPONDER`].
    pub role: u16,
    /// FCGI_KEEP_CONN: the connection stays open after the answer.
    pub keep: bool,
}

impl Begin {
    /// Bytes of the content; what comes after them is reserved.
    pub const LEN: usize = 8;
    /// FCGI_RESPONDER
    pub const RESPONDER: u16 = 1;

    /// Reads the content of a BEGIN_REQUEST.
    pub fn decode(bytes: [u8; Self::LEN]) -> Self {
        let [r1, r0, flags, _, _, _, _, _] = bytes;
        Self {
            role: u16::from_be_bytes([r1, r0]),
            keep: flags & 1 != 0,
        }
    }
}

/// How a request ended, for the protocol (FastCGI 1.0, 5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// FCGI_REQUEST_COMPLETE
    Complete,
    /// FCGI_CANT_MPX_CONN: another request is active on this connection.
    CantMultiplex,
    /// FCGI_UNKNOWN_ROLE
    UnknownRole,
}

/// A name-value pair is longer than what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads name-value pairs (FastCGI 1.0, 3.4). After an error there are no more.
pub fn pairs(bytes: &[u8]) -> Pairs<'_> {
    Pairs(bytes)
}

/// Iterator over name-value pairs; see [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a>(&'a [u8]);

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let pair = self.pair().ok_or(Malformed);
        if pair.is_err() {
            self.0 = &[];
        }
        Some(pair)
    }
}

impl<'a> Pairs<'a> {
    // The two lengths are never added: their sum overflows 32 bits (CVE-2025-23016 in libfcgi).
    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, rest) = length(self.0)?;
        let (value, rest) = length(rest)?;
        let (name, rest) = rest.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// A length of one byte, or of four with the highest bit set.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let (&[b3, b2, b1, b0], rest) = bytes.split_first_chunk()?;
    let long = u32::from_be_bytes([b3 & 0x7f, b2, b1, b0]);
    Some((usize::try_from(long).ok()?, rest))
}

/// Appends a complete answer: what `write` appends, as STDOUT records, the end of STDOUT, and
/// END_REQUEST with appStatus 0.
pub fn write_answer(out: &mut Vec<u8>, id: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let stdout = |content| Header {
        kind: Kind::Stdout,
        id,
        content,
        padding: 0,
    };
    out.extend_from_slice(&stdout(0).encode());
    write(out);
    let written = out.len().saturating_sub(start + Header::LEN);
    match u16::try_from(written) {
        // An empty record would be the end of the stream already.
        Ok(0) => out.truncate(start),
        Ok(content) => {
            if let Some(header) = out.get_mut(start..start + Header::LEN) {
                header.copy_from_slice(&stdout(content).encode());
            }
        }
        Err(_) => {
            let content = out.split_off(start + Header::LEN);
            out.truncate(start);
            // The largest multiple of 8, so that records stay aligned without padding.
            for part in content.chunks(0xfff8) {
                let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
                out.extend_from_slice(&stdout(length).encode());
                out.extend_from_slice(part);
            }
        }
    }
    out.extend_from_slice(&stdout(0).encode());
    write_end(out, id, Ended::Complete);
}

/// Appends END_REQUEST with appStatus 0 (FastCGI 1.0, 5.5).
pub fn write_end(out: &mut Vec<u8>, id: u16, ended: Ended) {
    let status = match ended {
        Ended::Complete => 0,
        Ended::CantMultiplex => 1,
        Ended::UnknownRole => 3,
    };
    let header = Header {
        kind: Kind::End,
        id,
        content: 8,
        padding: 0,
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&[0, 0, 0, 0, status, 0, 0, 0]);
}

/// Appends UNKNOWN_TYPE, the answer to a management record of a type we do not know
/// (FastCGI 1.0, 4.2).
pub fn write_unknown_type(out: &mut Vec<u8>, kind: Kind) {
    let header = Header {
        kind: Kind::UnknownType,
        id: 0,
        content: 8,
        padding: 0,
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&[kind.to_wire(), 0, 0, 0, 0, 0, 0, 0]);
}

/// Appends GET_VALUES_RESULT: of the names in `asked` those that we know, each once, with
/// `connections` as the number of connections and of requests served at once (FastCGI 1.0, 4.1).
pub fn write_values(out: &mut Vec<u8>, asked: &[u8], connections: usize) {
    let connections = connections.to_string();
    let known: [(&[u8], &str); 3] = [
        (b"FCGI_MAX_CONNS", &connections),
        (b"FCGI_MAX_REQS", &connections),
        (b"FCGI_MPXS_CONNS", "0"),
    ];
    let mut content = Vec::new();
    for (name, value) in known {
        if pairs(asked).flatten().any(|(asked, _)| asked == name) {
            // Names and numbers are far below 128 bytes, so each length is one byte.
            content.extend([name.len() as u8, value.len() as u8]);
            content.extend_from_slice(name);
            content.extend_from_slice(value.as_bytes());
        }
    }
    let header = Header {
        kind: Kind::GetValuesResult,
        id: 0,
        content: content.len() as u16,
        padding: 0,
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&content);
}

#[cfg(test)]
mod tests {
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
            kind: Kind::Params,
            id: 0x0102,
            content: 0x0304,
            padding: 5,
        };
        assert_eq!(header, expected);
        for byte in 0..=255 {
            assert_eq!(Kind::from_wire(byte).to_wire(), byte);
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
            (Ended::Complete, 0),
            (Ended::CantMultiplex, 1),
            (Ended::UnknownRole, 3),
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
        write_unknown_type(&mut out, Kind::Other(200));
        assert_eq!(out, b"\x01\x0b\0\0\0\x08\0\0\xc8\0\0\0\0\0\0\0");
    }
}
