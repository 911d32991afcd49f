//! The encoding of keys and records that processes share.

use super::key::Key;
use super::record::{Record, Spans, TAG_BITS, TAGS, Tag};
use crate::login::Network;

impl Spans {
    /// Seconds after which the whole record has expired.
    pub(super) fn longest(&self) -> u64 {
        self.window.max(self.exempt).as_secs()
    }
}

impl Key {
    /// The bytes that identify the key in the storage; they are different for each key.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Network(network) => format!("n {network}").into_bytes(),
            Self::Login(login) => [b"l ", login.as_slice()].concat(),
            Self::Pair(network, login) => {
                [format!("p {network} ").as_bytes(), login.as_slice()].concat()
            }
        }
    }

    /// Decodes the bytes of a key; `None` if they are not a key.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let network = |text: &[u8]| Network::parse(std::str::from_utf8(text).ok()?);
        match bytes.split_at_checked(2)? {
            (b"n ", text) => network(text).map(Self::Network),
            (b"l ", login) => Some(Self::Login(login.to_vec())),
            (b"p ", rest) => {
                let end = rest.iter().position(|byte| *byte == b' ')?;
                let (text, login) = rest.split_at_checked(end)?;
                let login = login.get(1..)?.to_vec();
                network(text).map(|network| Self::Pair(network, login))
            }
            _ => None,
        }
    }
}

impl Record {
    /// `FAILURES FAILED SUCCEEDED TOOK TAG,TAG`: decimal numbers; the tags are not decimal.
    pub(super) fn encode(&self) -> String {
        let tags: Vec<_> = self.tags.iter().map(|tag| format!("{tag:05x}")).collect();
        let (failures, failed, succeeded) = (self.failures, self.failed, self.succeeded);
        let took = self.took;
        format!("{failures} {failed} {succeeded} {took} {}", tags.join(","))
    }

    /// Decodes a record; `None` if the text is not a record.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(text).ok()?.split(' ');
        let record = Self {
            failures: words.next()?.parse().ok()?,
            failed: words.next()?.parse().ok()?,
            succeeded: words.next()?.parse().ok()?,
            took: words.next()?.parse().ok()?,
            tags: match words.next()? {
                "" => Vec::new(),
                tags => tags
                    .split(',')
                    .take(TAGS)
                    .map(|tag| {
                        Tag::from_str_radix(tag, 16)
                            .ok()
                            .filter(|tag| tag >> TAG_BITS == 0)
                    })
                    .collect::<Option<_>>()?,
            },
        };
        words.next().is_none().then_some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let network = Network::parse("2001:db8::/64").unwrap();
        let all: Vec<u8> = (0x20..=0xff).collect();
        for key in [
            Key::Network(network),
            Key::Login(b"alice".to_vec()),
            Key::Login(Vec::new()),
            Key::Login(all.clone()),
            Key::Pair(network, all),
            Key::Pair(network, Vec::new()),
        ] {
            assert_eq!(Key::decode(&key.encode()), Some(key));
        }
        for bad in [
            &b""[..],
            b"n",
            b"x alice",
            b"n alice",
            b"p 192.0.2.1/32",
            b"p x alice",
        ] {
            assert_eq!(Key::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let mut record = Record::default();
        assert_eq!(record.encode(), "0 0 0 0 ");
        for tag in 0..20 {
            record.fail(Some(tag * 1000), 1_800_000_000, 0);
        }
        (record.succeeded, record.took) = (7, u32::MAX);
        let written = record.encode();
        assert!(written.len() < 100, "{written}");
        assert_eq!(Record::decode(written.as_bytes()), Some(record));
        for bad in [
            "",
            "1",
            "1 2 3",
            "1 2 3 4",
            "1 2 3 4 5 6",
            "-1 2 3 4 ",
            "1 2 3 4 xyz",
            "1 2 3 4 123456",
            "4294967296 2 3 4 ",
            "1 2 3 4 \n",
            "\u{ff}",
        ] {
            assert_eq!(Record::decode(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
