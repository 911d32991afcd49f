//! Encodes and decodes FastCGI records (FastCGI 1.0, 3.3, 3.4, 4, 5 and 8). No I/O, no state.

/// The type of a record (FastCGI 1.0, 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
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

impl RecordKind {
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
    /// The type of the record.
    pub kind: RecordKind,
    /// The request that it belongs to; 0 in management records.
    pub id: u16,
    /// Bytes of content after the header.
    pub content: u16,
    /// Bytes of padding after the content. Content and padding together can exceed a `u16`.
    pub padding: u8,
}

impl Header {
    /// The length of a header in bytes.
    pub const LEN: usize = 8;
    const VERSION: u8 = 1;

    /// `None` if the version is not 1: then the lengths after it cannot be trusted.
    pub fn decode(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [version, kind, i1, i0, c1, c0, padding, _reserved] = bytes;
        (version == Self::VERSION).then(|| Self {
            kind: RecordKind::from_wire(kind),
            id: u16::from_be_bytes([i1, i0]),
            content: u16::from_be_bytes([c1, c0]),
            padding,
        })
    }

    /// The bytes of the header.
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
    /// The role of the application; see [`Begin::RESPONDER`].
    pub role: u16,
    /// FCGI_KEEP_CONN: the connection stays open after the answer.
    pub keep: bool,
}

impl Begin {
    /// The length of the content in bytes; the rest is reserved.
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
pub enum EndStatus {
    /// FCGI_REQUEST_COMPLETE
    Complete,
    /// FCGI_CANT_MPX_CONN: another request is active on this connection.
    CantMultiplex,
    /// FCGI_UNKNOWN_ROLE
    UnknownRole,
}

/// A name-value pair is longer than the remaining bytes.
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

/// Appends a complete answer: the output of `write` as STDOUT records, the end of STDOUT, and
/// END_REQUEST with appStatus 0.
pub fn write_answer(out: &mut Vec<u8>, id: u16, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    let stdout = |content| Header {
        kind: RecordKind::Stdout,
        id,
        content,
        padding: 0,
    };
    out.extend_from_slice(&stdout(0).encode());
    write(out);
    let written = out.len().saturating_sub(start + Header::LEN);
    match u16::try_from(written) {
        // An empty record would end the stream.
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
    write_end(out, id, EndStatus::Complete);
}

/// Appends END_REQUEST with appStatus 0 (FastCGI 1.0, 5.5).
pub fn write_end(out: &mut Vec<u8>, id: u16, ended: EndStatus) {
    let status = match ended {
        EndStatus::Complete => 0,
        EndStatus::CantMultiplex => 1,
        EndStatus::UnknownRole => 3,
    };
    let header = Header {
        kind: RecordKind::End,
        id,
        content: 8,
        padding: 0,
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&[0, 0, 0, 0, status, 0, 0, 0]);
}

/// Appends UNKNOWN_TYPE, the answer to a management record of an unknown type (FastCGI 1.0, 4.2).
pub fn write_unknown_type(out: &mut Vec<u8>, kind: RecordKind) {
    let header = Header {
        kind: RecordKind::UnknownType,
        id: 0,
        content: 8,
        padding: 0,
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&[kind.to_wire(), 0, 0, 0, 0, 0, 0, 0]);
}

/// Appends GET_VALUES_RESULT: the known names among `asked`, each once, with `connections` as the
/// number of connections and of requests served at once (FastCGI 1.0, 4.1).
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
        kind: RecordKind::GetValuesResult,
        id: 0,
        content: content.len() as u16,
        padding: 0,
    };
    out.extend_from_slice(&header.encode());
    out.extend_from_slice(&content);
}

#[cfg(test)]
mod tests;
