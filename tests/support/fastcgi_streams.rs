//! FastCGI streams made at random, damaged, and what is odd about them.

use crate::support::random::Random;

/// A request that was ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) id: u16,
    /// appStatus and protocolStatus.
    pub(crate) status: [u8; 5],
    pub(crate) stdout: Vec<u8>,
}

/// The requests that were ended in what an application sends; what comes behind the last whole
/// record is not looked at.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<Ended> {
    let (mut ended, mut stdout) = (Vec::new(), Vec::new());
    while let Some((&[_, kind, i1, i0, c1, c0, padding, _], rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c1, c0]));
        let Some(content) = rest.get(..length) else {
            break;
        };
        let Some(after) = rest.get(length + usize::from(padding)..) else {
            break;
        };
        bytes = after;
        match kind {
            6 => stdout.extend_from_slice(content),
            3 => ended.push(Ended {
                id: u16::from_be_bytes([i1, i0]),
                status: content[..5].try_into().unwrap(),
                stdout: std::mem::take(&mut stdout),
            }),
            _ => {}
        }
    }
    ended
}

/// libfcgi adds a variable of its own before all others.
pub(crate) fn without_role(mut answers: Vec<Ended>) -> Vec<Ended> {
    for answer in &mut answers {
        let role = b"\0\0\0\x13FCGI_ROLE=RESPONDER";
        if let Some(rest) = answer.stdout.strip_prefix(role) {
            answer.stdout = rest.to_vec();
        }
    }
    answers
}

pub(crate) fn record(kind: u8, id: u16, content: &[u8], padding: u8) -> Vec<u8> {
    let ([i1, i0], [c1, c0]) = (id.to_be_bytes(), (content.len() as u16).to_be_bytes());
    let header = [1, kind, i1, i0, c1, c0, padding, 0];
    [&header, content, &vec![0xa5; padding.into()]].concat()
}

/// Whether records have bytes behind their content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    None,
    Any,
}

impl Padding {
    pub(crate) fn bytes(self, random: &mut Random) -> u8 {
        match self {
            Self::None => 0,
            Self::Any => random.next() as u8,
        }
    }
}

/// A whole request, PARAMS and STDIN cut anywhere.
pub(crate) fn request(random: &mut Random, keep: bool, padding: Padding) -> Vec<u8> {
    let id = [1, 1, 1, 2, 255, 256, 65535][random.below(7) as usize];
    let flags = u8::from(keep) | random.next() as u8 & 0xfe;
    let mut stream = record(1, id, &[0, 1, flags, 9, 9, 9, 9, 9], 0);
    let mut content = Vec::new();
    for _ in 0..random.below(30) {
        let longest = [8, 140, 140, 300, 9000][random.below(5) as usize];
        let (name, value) = (random.below(longest / 4 + 1), random.below(longest));
        let name: Vec<_> = (0..name).map(|_| b'A' + random.below(26) as u8).collect();
        let mut value = random.bytes(value as usize);
        value.retain(|byte| *byte != 0);
        for length in [name.len(), value.len()] {
            match u8::try_from(length) {
                Ok(short @ 0..0x80) if !random.one_in(4) => content.push(short),
                _ => content.extend((length as u32 | 0x8000_0000).to_be_bytes()),
            }
        }
        content.extend([name, value].concat());
    }
    cut(&mut stream, random, (4, id), &content, padding);
    stream.extend(record(4, id, b"", padding.bytes(random)));
    let length = if random.one_in(4) { 20_000 } else { 20 };
    let length = random.below(length) as usize;
    cut(&mut stream, random, (5, id), &vec![b'x'; length], padding);
    stream.extend(record(5, id, b"", padding.bytes(random)));
    stream
}

pub(crate) fn cut(
    stream: &mut Vec<u8>,
    random: &mut Random,
    (kind, id): (u8, u16),
    content: &[u8],
    padding: Padding,
) {
    let longest = [3, 50, 1000, 65_535][random.below(4) as usize];
    let mut rest = content;
    // Each record costs libfcgi a turn; a long stream of short ones takes long.
    while !rest.is_empty() {
        let length = 1 + random.below(longest) as usize + content.len() / 500;
        let (now, later) = rest.split_at(length.min(rest.len()).min(65_535));
        stream.extend(record(kind, id, now, padding.bytes(random)));
        rest = later;
    }
}

/// How a peer can break the protocol, or use more of it than web servers do, so that the two
/// differ: before the end of PARAMS, as libfcgi hands a request over then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Oddity {
    /// BEGIN_REQUEST is longer than 8 bytes: what comes after is reserved for us, an error for
    /// libfcgi.
    LongBegin,
    /// BEGIN_REQUEST with padding: libfcgi takes that for the end of PARAMS, and finds none.
    PaddedBegin,
    /// A record of the request that is not PARAMS: STDIN, DATA, ABORT_REQUEST, or what only an
    /// application sends. For libfcgi it is an error. For us ABORT_REQUEST is answered, and the
    /// others are ignored (FastCGI 1.0, 3.3).
    OtherKind,
    /// A record without content of a request that is not active: both ignore it, but libfcgi the
    /// next one too.
    EmptyOther,
    /// Another record before BEGIN_REQUEST, which we ignore.
    BeforeBegin,
    /// BEGIN_REQUEST while a request is active.
    SecondBegin,
    /// Another role than that of a Responder: libfcgi also plays Authorizer and Filter.
    OtherRole,
    /// The stream breaks off before the end of PARAMS, or a record there is of another version.
    /// If that is between two pairs, libfcgi takes it for the end of PARAMS.
    NoEnd,
    /// A management record, or a record that belongs to a request and has the id 0.
    NullId,
}

/// What libfcgi can make of it, where both find a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// It takes something else for the end of PARAMS: what it has is right, but not all.
    EndsEarly,
    /// It drops a record, or takes another one for the first: what it has is another request.
    Another,
}

impl Oddity {
    pub(crate) fn effect(self) -> Effect {
        match self {
            Self::LongBegin => Effect::None,
            Self::PaddedBegin | Self::OtherKind | Self::SecondBegin | Self::NoEnd => {
                Effect::EndsEarly
            }
            Self::NullId | Self::EmptyOther | Self::BeforeBegin | Self::OtherRole => {
                Effect::Another
            }
        }
    }
}

pub(crate) fn oddities(mut bytes: &[u8]) -> Vec<Oddity> {
    let (mut found, mut active, mut whole) = (Vec::new(), None, false);
    while let Some((&[version, kind, i1, i0, c1, c0, padding, _], rest)) = bytes.split_first_chunk()
        && version == 1
    {
        let (id, length) = (u16::from_be_bytes([i1, i0]), u16::from_be_bytes([c1, c0]));
        match (kind, active) {
            _ if id == 0 => found.push(Oddity::NullId),
            (1, _) => {
                if length > 8 {
                    found.push(Oddity::LongBegin);
                }
                if padding > 0 {
                    found.push(Oddity::PaddedBegin);
                }
                if active.is_some() {
                    found.push(Oddity::SecondBegin);
                } else if rest.get(..2).is_some_and(|role| role != [0, 1]) {
                    found.push(Oddity::OtherRole);
                } else {
                    active = Some(id);
                }
            }
            (4, Some(ours)) if ours == id && length == 0 => {
                whole = true;
                break;
            }
            (4, Some(ours)) if ours == id => {}
            (_, Some(ours)) if ours == id => found.push(Oddity::OtherKind),
            (_, None) => found.push(Oddity::BeforeBegin),
            _ if length == 0 => found.push(Oddity::EmptyOther),
            _ => {}
        }
        match rest.get(usize::from(length) + usize::from(padding)..) {
            Some(after) => bytes = after,
            None => break,
        }
    }
    if !whole {
        found.push(Oddity::NoEnd);
    }
    found.sort_unstable();
    found.dedup();
    found
}

pub(crate) fn damage(stream: &mut Vec<u8>, random: &mut Random) {
    // Most of a stream is values; the headers are where it matters, so records are found.
    let mut starts = vec![0];
    while let Some(&[_, _, _, _, c1, c0, padding, _]) = stream
        .get(starts[starts.len() - 1]..)
        .and_then(|rest| rest.first_chunk())
    {
        let length = usize::from(u16::from_be_bytes([c1, c0])) + usize::from(padding);
        starts.push(starts[starts.len() - 1] + 8 + length);
    }
    let start = (*random.pick(&starts)).min(stream.len());
    let near = (start + random.below(20) as usize).min(stream.len());
    match random.below(8) {
        0 => stream.truncate(near),
        1 => stream.insert(near, random.next() as u8),
        2 if near < stream.len() => drop(stream.remove(near)),
        3 | 4 if near < stream.len() => stream[near] ^= 1 << random.below(8),
        5 if near + 4 <= stream.len() => {
            // A length beyond everything.
            let length = *random.pick(&[[0xff; 4], [0x80, 0, 0, 0], [0xff, 0xff, 0, 0]]);
            stream[near..near + 4].copy_from_slice(&length);
        }
        _ => {
            let kind = (random.below(13)) as u8;
            let id = *random.pick(&[0, 1, 1, 1, 2, 255]);
            let content = match random.below(3) {
                0 => Vec::new(),
                1 => vec![0, 1 + random.below(3) as u8, 1, 0, 0, 0, 0, 0],
                _ => {
                    let length = random.below(40) as usize;
                    random.bytes(length)
                }
            };
            let more = record(kind, id, &content, random.next() as u8);
            stream.splice(start..start, more);
        }
    }
}
