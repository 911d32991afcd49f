//! Records, name-value pairs and connections of FastCGI.

use nginx_mail_auth::front::NoRequest;
use nginx_mail_auth::front::fcgi::Limits;
use nginx_mail_auth::front::fcgi::conn::{Connection, Event};
use nginx_mail_auth::front::fcgi::record::{self, Header};
use nginx_mail_auth::front::params::Params;

/// How much may be received and still be of use to nobody: what a connection keeps room for.
const ROOM: usize = 64 * 1024;

/// Record headers and name-value pairs: what is read is within what is there, and headers are
/// written as they were read.
pub(crate) fn records(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<8>()
        && let Some(header) = Header::decode(*bytes)
    {
        assert_eq!(header.encode()[..7], bytes[..7]);
    }
    let mut length = 0;
    for pair in record::pairs(data) {
        let Ok((name, value)) = pair else { break };
        length += 2 + name.len() + value.len();
    }
    assert!(length <= data.len());
}

/// PARAMS cut into records anywhere: the pairs are those of the whole, or there are none.
pub(crate) fn pairs(data: &[u8]) {
    let Some((&[cut, padding], content)) = data.split_first_chunk() else {
        return;
    };
    let mut stream = record(1, &[0, 1, 0, 0, 0, 0, 0, 0], padding);
    // Long ones in records of one byte each would take as long as a thousand short ones.
    for part in content.chunks(usize::from(cut) + 1 + content.len() / 256) {
        stream.extend(record(4, part, padding));
    }
    stream.extend(record(4, b"", padding));
    stream.extend(record(5, b"", 0));
    let mut answers = 0;
    let (_, broken) = drive(&stream, usize::MAX, Limits::default(), &mut |request, _| {
        answers += 1;
        let whole: Result<Vec<_>, _> = record::pairs(content).collect();
        match (request, whole) {
            (Ok(params), Ok(pairs)) => assert!(params.iter().eq(pairs)),
            (Err(NoRequest::Malformed), Err(_)) => {}
            (Err(NoRequest::TooLarge), _) => {
                let limits = Limits::default();
                let count = record::pairs(content).count();
                assert!(content.len() > limits.params_bytes || count > limits.params_pairs);
            }
            (request, whole) => panic!("{request:?} for {} pairs", whole.map_or(0, |w| w.len())),
        }
    });
    assert!(answers == 1 && !broken);
}

/// A whole connection: the same answers however the bytes are cut, and bounded memory.
pub(crate) fn connection(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else {
        return;
    };
    let limits = Limits {
        params_bytes: 8192,
        params_pairs: 32,
        ..Limits::default()
    };
    let mut respond = |request: Result<&Params<'_>, NoRequest>, out: &mut Vec<u8>| match request {
        Ok(params) => {
            assert!(params.iter().count() <= limits.params_pairs);
            for (name, value) in params.iter() {
                out.extend_from_slice(&[name, b"=", value, b";"].concat());
            }
        }
        Err(why) => out.extend_from_slice(format!("{why:?}").as_bytes()),
    };
    let whole = drive(stream, usize::MAX, limits, &mut respond);
    let in_pieces = drive(stream, usize::from(cut) + 1, limits, &mut respond);
    assert_eq!(whole, in_pieces);
}

/// Appends an answer to a request, or to the lack of one.
pub(super) type Respond<'a> = dyn FnMut(Result<&Params<'_>, NoRequest>, &mut Vec<u8>) + 'a;

/// Brings a connection these bytes, at most `piece` of them at a time. What it answers, and
/// whether it found the protocol broken.
pub(super) fn drive(
    stream: &[u8],
    piece: usize,
    limits: Limits,
    respond: &mut Respond<'_>,
) -> (Vec<u8>, bool) {
    let mut conn = Connection::new(limits);
    let (mut out, mut rest) = (Vec::new(), stream);
    loop {
        match conn.next(&mut out) {
            Event::Answer => conn.answer(&mut out, &mut *respond),
            Event::More(_) => {
                if rest.is_empty() {
                    return (out, false);
                }
                let room = conn.room();
                // What is kept is of the request at hand; what is free has its own bound.
                assert!(room.len() <= limits.params_bytes + ROOM);
                assert!(room.capacity() - room.len() <= ROOM);
                let length = piece.min(rest.len()).min(room.capacity() - room.len());
                assert!(length > 0);
                let (now, later) = rest.split_at(length);
                room.extend_from_slice(now);
                rest = later;
            }
            Event::Over => return (out, false),
            Event::Violation(_) => return (out, true),
        }
    }
}

/// A record of request 1.
pub(super) fn record(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
    let [high, low] = (content.len() as u16).to_be_bytes();
    let header = [1, kind, 0, 1, high, low, padding, 0];
    [&header, content, &vec![0xa5; padding.into()]].concat()
}
