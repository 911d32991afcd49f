//! `[hosts]`: the mail servers.

use std::num::NonZeroU16;
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::written as written_key;
use crate::login::MAX_LOGIN_BYTES;
use crate::route::written;
use crate::route::{
    self, BadRoute, MasterLogin, MasterUse, Ports, ProbeKind, Role, Server, State, Target,
};
use crate::secret::{BadPassword, MAX_PASSWORD_BYTES, Password};

mod entry;

use entry::AddressEntry;
pub(super) use entry::HostEntry;

/// The maximum number of addresses of a host: each may be probed three times per interval, for each of three
/// protocols, and is scored at each login.
const MAX_ADDRESSES: usize = 64;

/// A mail server.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Host {
    /// An address, or a DNS name. Required, unless there are `addresses`, or `state` is `moving`.
    pub(super) address: Option<Spanned<String>>,
    /// Several addresses: the users are shared among the live ones.
    pub(super) addresses: Option<Spanned<Vec<Spanned<AddressEntry>>>>,
    /// `serving`, or `moving`: its users get the temporary failure. Default: "serving".
    pub(super) state: Option<Spanned<String>>,
    /// The master login of the mail server, for logins whose own password is unknown.
    pub(super) master_login: Option<Spanned<String>>,
    /// A file whose first line is the password of `master-login`.
    pub(super) master_password_file: Option<Spanned<String>>,
    /// The text between the user's login and `master-login`. Default: "*".
    pub(super) master_separator: Option<Spanned<String>>,
    /// `when-needed`, or `always`. Default: "when-needed".
    pub(super) master_use: Option<Spanned<String>>,
    /// The port for all protocols. Default: those of `[ports]`.
    pub(super) port: Option<Spanned<i64>>,
    /// The port for IMAP. Default: `port`.
    pub(super) imap: Option<Spanned<i64>>,
    /// The port for POP3. Default: `port`.
    pub(super) pop3: Option<Spanned<i64>>,
    /// The port for SMTP. Default: `port`.
    pub(super) smtp: Option<Spanned<i64>>,
}

/// One of a host's `addresses`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Address {
    /// An address, or a DNS name. Required.
    pub(super) address: Option<Spanned<String>>,
    /// Its share of the users, relative to the others, 1 to 1000. Default: 1.
    pub(super) weight: Option<Spanned<i64>>,
    /// Whether it gets users only while all other addresses are dead. Default: false.
    pub(super) backup: Option<Spanned<bool>>,
    /// Whether it gets no users. Default: false.
    pub(super) drain: Option<Spanned<bool>>,
}

impl Checker<'_> {
    pub(super) fn host(
        &mut self,
        name: &Spanned<String>,
        entry: Spanned<HostEntry>,
        ports: Ports,
        probes: ProbeKind,
    ) -> route::Host {
        let span = entry.span();
        let host = entry.into_inner().0;
        let key = format!("hosts.{}", written_key(name.get_ref()));
        if name.get_ref().is_empty() {
            self.report(&name.span(), &key, "a host must have a name");
        }
        let mut port = |word: &str, own: &Option<Spanned<i64>>| {
            let own = own.as_ref()?;
            Some(self.port(&format!("{key}.{word}"), own))
        };
        let all = port("port", &host.port);
        let ports = Ports {
            imap: port("imap", &host.imap).or(all).unwrap_or(ports.imap),
            pop3: port("pop3", &host.pop3).or(all).unwrap_or(ports.pop3),
            smtp: port("smtp", &host.smtp).or(all).unwrap_or(ports.smtp),
        };
        let states = [("serving", State::Serving), ("moving", State::Moving)];
        let state = host
            .state
            .as_ref()
            .and_then(|state| self.word(&format!("{key}.state"), state, &states));
        let state = state.unwrap_or(State::Serving);
        let master = self.master_login(&key, &host);
        let servers = match (host.address, host.addresses) {
            (None, None) if state == State::Moving => Vec::new(),
            // A host without an address stays in the table, so that its routes are not reported too.
            (address, None) => self.only_server(&key, span, address).into_iter().collect(),
            (address, Some(addresses)) => {
                if address.is_some() {
                    let message = format!("there is {key}.address already: only one of the two");
                    self.report(&addresses.span(), &format!("{key}.addresses"), message);
                }
                self.servers(&format!("{key}.addresses"), addresses, probes)
            }
        };
        route::Host {
            name: name.get_ref().as_str().into(),
            servers,
            state,
            ports,
            master,
        }
    }

    //-------- Addresses -----------------------------------------------------

    fn only_server(
        &mut self,
        key: &str,
        span: Range<usize>,
        address: Option<Spanned<String>>,
    ) -> Option<Server> {
        // An address that is written as a string has the position of the whole entry.
        let (span, key) = match address.as_ref().map(Spanned::span) {
            Some(own) if own.end == 0 => (span, key.to_owned()),
            Some(own) => (own, format!("{key}.address")),
            None => (span, format!("{key}.address")),
        };
        let target = self.address(&span, &key, address)?;
        let place = matches!(target, Target::Name(_)).then(|| self.source.position(span.start));
        Some(Server::only(target, place, key))
    }

    fn servers(
        &mut self,
        key: &str,
        addresses: Spanned<Vec<Spanned<AddressEntry>>>,
        probes: ProbeKind,
    ) -> Vec<Server> {
        let span = addresses.span();
        let addresses = addresses.into_inner();
        if addresses.is_empty() {
            self.report(&span, key, "must not be empty");
        } else if addresses.len() > MAX_ADDRESSES {
            let message = format!("a host has at most {MAX_ADDRESSES} addresses");
            self.report(&span, key, message);
        }
        let mut servers: Vec<Server> = Vec::new();
        for entry in addresses {
            let span = entry.span();
            let Some(server) = self.one_server(key, &span, entry.into_inner().0) else {
                continue;
            };
            let twice = servers.iter().any(|other| other.target == server.target);
            if twice {
                self.report(&span, key, format!("{} is listed twice", server.target));
            }
            servers.push(server);
        }
        let has = |role| servers.iter().any(|server| server.role == role);
        if !servers.is_empty() && !has(Role::Main) {
            let message = if has(Role::Backup) {
                "all that are not drained are backups: these get all users"
            } else {
                "all are drained: users get the temporary failure"
            };
            self.warn(&span, key, message);
        } else if has(Role::Backup) && probes == ProbeKind::Off {
            let message = "a backup is never used without probes";
            self.warn(&span, key, message);
        }
        servers
    }

    fn one_server(&mut self, key: &str, span: &Range<usize>, entry: Address) -> Option<Server> {
        let weight = entry.weight.as_ref().map_or(1, |weight| {
            self.number(&format!("{key}.weight"), weight, 1..=1000)
        });
        let own = entry.address.as_ref().map(Spanned::span);
        let (span, key) = match own {
            Some(own) if own.end == 0 => (span.clone(), key.to_owned()),
            Some(own) => (own, format!("{key}.address")),
            None => (span.clone(), format!("{key}.address")),
        };
        let target = self.address(&span, &key, entry.address)?;
        let is = |flag: Option<Spanned<bool>>| flag.is_some_and(|flag| *flag.get_ref());
        Some(Server {
            target,
            weight: NonZeroU16::new(weight).unwrap_or(NonZeroU16::MIN),
            role: match (is(entry.drain), is(entry.backup)) {
                (true, _) => Role::Drained,
                (false, true) => Role::Backup,
                (false, false) => Role::Main,
            },
            place: Some(self.source.position(span.start)),
            key,
        })
    }

    fn address(
        &mut self,
        span: &Range<usize>,
        key: &str,
        address: Option<Spanned<String>>,
    ) -> Option<Target> {
        let target = match address.map(Spanned::into_inner) {
            None => Err("is missing".to_owned()),
            Some(address) => Target::parse(&address).map_err(|bad| match bad {
                BadRoute::HostName(name) => {
                    let meant = written::meant(&name);
                    let meant = meant.map_or_else(String::new, |meant| format!("; {meant}"));
                    format!("{name:?} is neither an address nor a DNS name{meant}")
                }
                bad => bad.to_string(),
            }),
        };
        let target = target.and_then(|target| match target {
            Target::Address(address) => self.allowed.check(address).map(|()| target),
            Target::Name(_) => Ok(target),
        });
        target
            .map_err(|message| self.report(span, key, message))
            .ok()
    }

    //-------- Master login --------------------------------------------------

    fn master_login(&mut self, key: &str, host: &Host) -> Option<Arc<MasterLogin>> {
        let Some(login) = &host.master_login else {
            let stray = [
                ("master-password-file", &host.master_password_file),
                ("master-separator", &host.master_separator),
                ("master-use", &host.master_use),
            ];
            for (word, value) in stray {
                if let Some(value) = value {
                    let message = format!("has no effect without {key}.master-login");
                    self.report(&value.span(), &format!("{key}.{word}"), message);
                }
            }
            return None;
        };
        self.part_of_login(&format!("{key}.master-login"), login, MAX_LOGIN_BYTES);
        if let Some(separator) = &host.master_separator {
            self.part_of_login(&format!("{key}.master-separator"), separator, 16);
        }
        let uses = [
            ("when-needed", MasterUse::WhenNeeded),
            ("always", MasterUse::Always),
        ];
        let usage = host
            .master_use
            .as_ref()
            .and_then(|usage| self.word(&format!("{key}.master-use"), usage, &uses));
        let file_key = format!("{key}.master-password-file");
        let Some(file) = &host.master_password_file else {
            self.report(&login.span(), &file_key, "is missing");
            return None;
        };
        let mut line = self.first_line(&file_key, file)?;
        let blank = |byte: Option<&u8>| byte.is_some_and(|byte| *byte == b' ');
        let blank = blank(line.first()) || blank(line.last());
        let password = Password::new(std::mem::take(&mut *line));
        let message = match &password {
            Ok(password) if password.reveal().is_empty() => "the password is empty".to_owned(),
            // nginx would not see the blank (ngx_mail_auth_http_parse_header_line).
            Ok(_) if blank => "the password starts or ends with a blank".to_owned(),
            Ok(password) if password.reveal().iter().any(u8::is_ascii_control) => {
                "the password holds a control character".to_owned()
            }
            Ok(_) => String::new(),
            Err(BadPassword::ControlByte) => "the password holds a control character".to_owned(),
            Err(BadPassword::TooLong) => {
                format!("the password is longer than {MAX_PASSWORD_BYTES} bytes")
            }
        };
        if !message.is_empty() {
            self.report(&file.span(), &file_key, message);
        }
        let separator = host.master_separator.as_ref();
        Some(Arc::new(MasterLogin {
            login: login.get_ref().clone(),
            password: password.ok()?,
            separator: separator
                .map_or("*", |separator| separator.get_ref())
                .to_owned(),
            usage: usage.unwrap_or(MasterUse::WhenNeeded),
        }))
    }

    fn part_of_login(&mut self, key: &str, part: &Spanned<String>, max: usize) {
        let text = part.get_ref();
        let fits = (1..=max).contains(&text.len());
        if !fits || text.ends_with(' ') || text.bytes().any(|byte| byte.is_ascii_control()) {
            let message = format!(
                "must have 1 to {max} bytes, no control characters and no blank at its end"
            );
            self.report(&part.span(), key, message);
        }
    }
}
