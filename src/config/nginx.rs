//! `[nginx]`: the requests that the program answers.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use zeroize::Zeroizing;

use super::checker::Checker;
use super::source::unplaced;
use crate::login::Network;
use crate::nginx::request::{self, AllowedFronts, Fronts, KeyHeader, Keys};
use crate::secret::SharedKey;

/// The maximum number of keys. Each request's key is compared with all of them.
const MAX_KEYS: usize = 16;
/// The maximum number of networks of fronts.
const MAX_FRONTS: usize = 256;

/// The minimum length of a key that cannot be guessed, in bytes: 128 bits, if all of them are random.
const MIN_KEY_BYTES: usize = 16;
/// Printed in place of a secret; it is refused as a key.
pub(super) const HIDDEN: &str = "(hidden)";

/// The keys of the examples and documents: they are public.
const PLACEHOLDERS: [&str; 6] = [
    HIDDEN,
    "replace-this-key",
    "a long random string",
    "the new one",
    "the old one",
    "...",
];

const KEY: &str = "nginx.key";
const KEYS: &str = "nginx.keys";
const KEY_FILE: &str = "nginx.key-file";
const HEADER: &str = "nginx.key-header";
const FRONTS: &str = "nginx.allowed-fronts";

/// `[nginx]`: the requests that the program answers.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Nginx {
    /// The key that every request must have in the header `key-header` (`auth_http_header X-Auth-Key …`).
    /// Default: no key is needed.
    pub(super) key: Option<Spanned<String>>,
    /// Several keys while the key is being changed: a request must have one of them.
    pub(super) keys: Option<Spanned<Vec<Spanned<String>>>>,
    /// A file with one key per line; after the first line, lines that begin with `#` are comments. Only one
    /// of `key`, `keys` and `key-file` is allowed.
    pub(super) key_file: Option<Spanned<String>>,
    /// The header that holds the key: letters, digits and hyphens. Default: "X-Auth-Key".
    pub(super) key_header: Spanned<String>,
    /// Where requests may come from: addresses and networks, and `unix`.
    ///
    /// The program compares what a client cannot forge. Over TCP: the address of the connection. On a Unix
    /// socket: whether `unix` is listed, because only a front can write to it. Under CGI and mod_fcgid, which
    /// the web server starts: REMOTE_ADDR, the client of the web server. With a key, both are needed.
    /// Default: anywhere.
    pub(super) allowed_fronts: Option<Spanned<Vec<Spanned<String>>>>,
}

impl Default for Nginx {
    fn default() -> Self {
        Self {
            key: None,
            keys: None,
            key_file: None,
            key_header: unplaced(request::KEY_HEADER.to_owned()),
            allowed_fronts: None,
        }
    }
}

impl Checker<'_> {
    pub(super) fn fronts(&mut self, nginx: Nginx) -> Fronts {
        let header = nginx.key_header;
        let header = KeyHeader::new(header.get_ref()).unwrap_or_else(|rule| {
            self.report(&header.span(), HEADER, rule);
            KeyHeader::default()
        });
        let allowed = nginx.allowed_fronts.map(|list| self.allowed_fronts(&list));
        let keys = self.shared_keys(nginx.key, nginx.keys, nginx.key_file);
        Fronts {
            keys: keys.map(|keys| Keys { header, keys }),
            allowed,
        }
    }

    /// `None` if no key is required.
    fn shared_keys(
        &mut self,
        key: Option<Spanned<String>>,
        keys: Option<Spanned<Vec<Spanned<String>>>>,
        file: Option<Spanned<String>>,
    ) -> Option<Vec<SharedKey>> {
        self.holds_secret |= key.is_some() || keys.is_some();
        let mut first = key.as_ref().map(|_| KEY);
        for (name, span) in [
            (KEYS, keys.as_ref().map(Spanned::span)),
            (KEY_FILE, file.as_ref().map(Spanned::span)),
        ] {
            let Some(span) = span else { continue };
            if let Some(first) = first {
                let message = format!("there is {first} already: only one of the two");
                self.report(&span, name, message);
            }
            first = first.or(Some(name));
        }
        if let Some(key) = key {
            let span = key.span();
            let key = Zeroizing::new(key.into_inner().into_bytes());
            return Some(Vec::from_iter(self.key(&span, KEY, key)));
        }
        if let Some(keys) = keys {
            let span = keys.span();
            let keys = keys.into_inner();
            if keys.is_empty() {
                self.report(
                    &span,
                    KEYS,
                    "is an empty list: leave it out to require no key",
                );
            }
            self.few_keys(&span, KEYS, keys.len());
            let each = keys.into_iter().filter_map(|key| {
                let span = key.span();
                let key = Zeroizing::new(key.into_inner().into_bytes());
                self.key(&span, KEYS, key)
            });
            return Some(each.collect());
        }
        file.map(|file| self.keys_from_file(&file))
    }

    /// Reads the lines of a key file. The first line is always a key. Each further line is one if it is not
    /// empty and does not begin with `#`.
    fn keys_from_file(&mut self, file: &Spanned<String>) -> Vec<SharedKey> {
        let Some(content) = self.secret_file(KEY_FILE, file) else {
            return Vec::new();
        };
        let span = file.span();
        let mut keys = Vec::new();
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if number > 0 && (line.is_empty() || line.starts_with(b"#")) {
                continue;
            }
            keys.extend(self.key(&span, KEY_FILE, Zeroizing::new(line.to_vec())));
            if keys.len() > MAX_KEYS {
                break;
            }
        }
        self.few_keys(&span, KEY_FILE, keys.len());
        keys
    }

    fn few_keys(&mut self, span: &Range<usize>, key: &str, number: usize) {
        if number > MAX_KEYS {
            let message = format!("has more than {MAX_KEYS} keys");
            self.report(span, key, message);
        }
    }

    /// Refuses a key that can never arrive: nginx sends the value as it is configured, and web servers remove
    /// leading and trailing blanks.
    pub(super) fn key(
        &mut self,
        span: &Range<usize>,
        key: &str,
        value: Zeroizing<Vec<u8>>,
    ) -> Option<SharedKey> {
        let blank = |byte: Option<&u8>| byte.is_some_and(|byte| *byte == b' ');
        if value.is_empty() {
            self.report(span, key, "the key is empty");
        } else if value.iter().any(u8::is_ascii_control) {
            self.report(span, key, "the key holds a control character");
        } else if value.starts_with(b"\xef\xbb\xbf") {
            self.report(
                span,
                key,
                "the key starts with a byte order mark: save it without",
            );
        } else if blank(value.first()) || blank(value.last()) {
            self.report(span, key, "the key starts or ends with a blank");
        } else {
            self.strength(span, key, &value);
        }
        SharedKey::new(value.to_vec())
    }

    /// Refuses a publicly known key, and warns of one that can be guessed.
    pub(super) fn strength(&mut self, span: &Range<usize>, key: &str, value: &[u8]) {
        let known = PLACEHOLDERS
            .iter()
            .any(|known| value.eq_ignore_ascii_case(known.as_bytes()));
        if known {
            let message = "the key is the placeholder of an example, which everybody knows: make \
                           one by openssl rand -hex 24";
            self.report(span, key, message);
        } else if value.len() < MIN_KEY_BYTES {
            let message = format!(
                "the key has {} bytes, and one below {MIN_KEY_BYTES} can be guessed: make one by \
                 openssl rand -hex 24",
                value.len()
            );
            self.warn(span, key, message);
        }
    }

    fn allowed_fronts(&mut self, list: &Spanned<Vec<Spanned<String>>>) -> AllowedFronts {
        if list.get_ref().is_empty() {
            let message = "is an empty list, and no front could connect: leave it out to allow all";
            self.report(&list.span(), FRONTS, message);
        }
        if list.get_ref().len() > MAX_FRONTS {
            let message = format!("has more than {MAX_FRONTS} entries");
            self.report(&list.span(), FRONTS, message);
        }
        let mut allowed = AllowedFronts::default();
        for entry in list.get_ref() {
            if entry.get_ref() == "unix" {
                allowed.unix = true;
                continue;
            }
            match Network::parse(entry.get_ref()) {
                Some(network) => {
                    self.warn_of_host_bits(FRONTS, entry, network);
                    allowed.networks.push(network);
                }
                None => {
                    let message = format!(
                        "{:?} is neither an address, nor a network such as \"10.0.0.0/8\", nor \
                         \"unix\"",
                        entry.get_ref()
                    );
                    self.report(&entry.span(), FRONTS, message);
                }
            }
        }
        allowed
    }
}
