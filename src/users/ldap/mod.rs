//! `store = "ldap"`: users of a directory. A user binds, or the program reads the stored password.
//!
//! A hostile or broken server must only affect the logins of its own users. So this module parses the few
//! messages of a login itself, with a bound on each (`ber`, `message`), and every wait ends by the deadline
//! of the question (`crate::net`). No value of a login ever becomes part of the syntax of a request: in a
//! filter it is a value with a length, in a DN it is escaped.

use std::time::Instant;

use self::code::{BindMeaning, Code, active_directory_reason, meaning};
use self::connection::{Access, Connection, LdapError, SearchResult};
use self::dn::Dn;
use self::filter::FilledFilter;
use self::likeness::{compared, likeness};
use self::message::{Entry, LdapResult, Search};
use self::pool::{Pool, Role, Searcher};
use super::alive::deadlines;
use super::decoys::Decoys;
use super::{Account, Decoy, PasswordCheck, Passwords, Question, StoreError, UserStore};
use crate::login::Likeness;
use crate::login::Login;
use crate::login::printable::Printable;
use crate::net::own_login::OwnLogin;
use crate::net::{Names, Trust};
use crate::secret::{Password, Secret};
use crate::sys::Lifetime;
use crate::sys::problem::Fault as OpenFault;

pub(crate) mod attribute;
mod ber;
mod code;
mod connection;
mod decoy;
mod dn;
mod entry;
mod escaped;
mod filter;
mod likeness;
mod message;
mod policy;
mod pool;
mod settings;
mod test;
mod url;

pub use dn::{BindName, DnTemplate};
pub use entry::{Attributes, Stored};
pub use filter::FilterTemplate;
pub use message::Scope;
pub use settings::{Auth, Lookup, SearchAs, Settings};
pub use url::Url;

/// The store.
pub struct LdapStore {
    settings: Settings,
    pool: Pool,
    wanted: Vec<String>,
    /// The decoy of an unknown login.
    decoys: Decoys,
}

impl LdapStore {
    /// Opens the store; connects to nothing yet, because a server that is down now may be up at the next
    /// login. A server process reads the certificates here, so that a file without any is reported.
    pub fn open(settings: &Settings, lifetime: Lifetime) -> Result<Self, Vec<OpenFault>> {
        let encrypted = settings.starttls || settings.urls.iter().any(Url::is_encrypted);
        let access = Access {
            names: Names::system(),
            trust: Trust::new(settings.ca_file.clone()),
            starttls: settings.starttls,
        };
        if lifetime == Lifetime::Server
            && encrypted
            && let Err(message) = access.trust.config()
        {
            let key = "ca-file";
            return Err(vec![OpenFault { key, message }]);
        }
        let searcher = settings.search_as.as_ref().map(|search_as| {
            let urls: Vec<_> = settings.urls.iter().map(Url::to_string).collect();
            let (dn, password) = (search_as.dn.as_bytes(), &search_as.password);
            Searcher {
                dn: dn.to_vec(),
                password: password.clone(),
                own: OwnLogin::new(&urls.join(" "), dn, password.reveal()),
            }
        });
        let mut wanted = settings.attributes.names();
        if let Auth::Compare(stored) = &settings.auth {
            wanted.push(stored.attribute.clone());
        }
        for name in compared(settings) {
            if !wanted.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
                wanted.push(name);
            }
        }
        Ok(Self {
            pool: Pool::new(
                settings.urls.clone(),
                access,
                searcher,
                settings.connections,
                settings.connect_timeout,
            ),
            settings: settings.clone(),
            wanted,
            decoys: Decoys::default(),
        })
    }

    fn deadline(&self, asked: &Question<'_>) -> Instant {
        asked.deadline.min(Instant::now() + self.settings.timeout)
    }

    /// The entry of a login; `None` if there is none, or if the login cannot have one.
    fn look_up(
        &self,
        lookup: &Lookup,
        asked: &Question<'_>,
        deadline: Instant,
    ) -> Result<Option<FoundEntries>, StoreError> {
        let (Some(base), Some(filter)) = (lookup.base.fill(asked), lookup.filter.fill(asked))
        else {
            return Ok(None);
        };
        let text = || format!("{} under {}", filter.text(), String::from_utf8_lossy(&base));
        log::debug!("searching {}", text());
        let found = self
            .pool
            .ask(Role::Search, deadline, deadline, |connection| {
                // One more than allowed, to detect several entries.
                self.search(connection, (&base, lookup.scope), &filter, 2, deadline)
            })?;
        let SearchResult { entries, outcome } = found;
        match outcome.code {
            Code::SUCCESS => {}
            Code::SIZE_LIMIT_EXCEEDED if entries.len() > 1 => {}
            // A base with parts of the login may not exist.
            Code::NO_SUCH_OBJECT | Code::INVALID_DN_SYNTAX if !lookup.base.is_fixed() => {
                return Ok(None);
            }
            _ => {
                return Err(StoreError::Unavailable(format!(
                    "searching {}: {outcome}",
                    text()
                )));
            }
        }
        let mut entries = entries.into_iter();
        let (entry, more) = match (entries.next(), entries.next()) {
            (None, _) => return Ok(None),
            (Some(entry), more) => (entry, more.is_some()),
        };
        if more {
            let what = format!("several entries are found by {}", text());
            return Ok(Some(FoundEntries::Several(what)));
        }
        // An empty DN would make the bind anonymous, and such a bind succeeds (RFC 4513, 5.1.2).
        let under = |base| Dn::parse(&entry.dn).is_ok_and(|dn| dn.is_under(&base));
        if entry.dn.is_empty() || !Dn::parse(&base).is_ok_and(under) {
            let what = format!(
                "the entry found by {} is outside the base: {}",
                text(),
                Printable(&entry.dn)
            );
            return Err(StoreError::Unusable(what));
        }
        Ok(Some(FoundEntries::One(entry)))
    }

    fn search(
        &self,
        connection: &mut Connection,
        (base, scope): (&[u8], Scope),
        filter: &FilledFilter,
        size_limit: u32,
        deadline: Instant,
    ) -> Result<SearchResult, LdapError> {
        let left = deadline.saturating_duration_since(Instant::now()).as_secs();
        connection.search(&Search {
            base,
            scope,
            size_limit,
            // After that time the result is not needed; 0 would mean no limit.
            time_limit: u32::try_from(left).unwrap_or(u32::MAX).saturating_add(1),
            filter,
            attributes: &self.wanted,
        })
    }

    /// The account of a user from the entry, before the password check.
    fn account(
        &self,
        entry: Entry,
        likeness: Likeness,
        deadline: Instant,
    ) -> Result<Account, StoreError> {
        let mut account = Account {
            passwords: Passwords::AskStore,
            likeness,
            ..Account::default()
        };
        self.settings.attributes.fill(&mut account, &entry);
        if let Auth::Compare(stored) = &self.settings.auth {
            let (passwords, unusable) = stored.passwords(&entry);
            account.unusable_password = unusable;
            account.passwords = match passwords {
                Some(passwords) => {
                    self.note_decoy(&entry, &passwords);
                    passwords
                }
                None => self.without_password(stored, &entry, deadline)?,
            };
        }
        account.handle = Some(entry.dn);
        Ok(account)
    }

    /// An entry arrived without passwords: it has none, or this program may not read them. In the second case
    /// every user would seem to have no password, so this function finds out.
    fn without_password(
        &self,
        stored: &Stored,
        entry: &Entry,
        deadline: Instant,
    ) -> Result<Passwords, StoreError> {
        let outcome = self
            .pool
            .ask(Role::Search, deadline, deadline, |connection| {
                connection.compare(&entry.dn, &stored.attribute, b"*")
            })?;
        match outcome.code {
            Code::NO_SUCH_ATTRIBUTE => Ok(Passwords::Stored(Vec::new())),
            Code::COMPARE_FALSE | Code::COMPARE_TRUE | Code::INSUFFICIENT_ACCESS => {
                Err(StoreError::Unusable(format!(
                    "attribute {}: bind-dn may not read it",
                    stored.attribute
                )))
            }
            _ => Err(StoreError::Unusable(format!(
                "attribute {}: {outcome}",
                stored.attribute
            ))),
        }
    }

    fn note_decoy(&self, entry: &Entry, passwords: &Passwords) {
        if let Passwords::Stored(credentials) = passwords
            && let Some(credential) = credentials.first()
        {
            self.decoys.see(&entry.dn, &credential.secret);
        }
    }

    /// The result of a user's bind. With `then`, the same connection goes on as that user. A server that is
    /// slow to answer the bind has until `life` to answer another request.
    fn bind(
        &self,
        name: &[u8],
        login: &Login,
        password: &Password,
        (deadline, life): (Instant, Instant),
        mut then: impl FnMut(&mut Connection) -> Result<(), LdapError>,
    ) -> Result<PasswordCheck, StoreError> {
        // Either would make the bind anonymous, and such a bind succeeds (RFC 4513, 5.1.1 and 5.1.2).
        if name.is_empty() || password.reveal().is_empty() {
            return Ok(PasswordCheck::Wrong);
        }
        let outcome = self.pool.ask(Role::Bind, deadline, life, |connection| {
            let bound = connection.bind(name, password.reveal());
            let outcome = bound.map_err(|fault| match fault {
                LdapError::TimedOut => LdapError::Unanswered,
                other => other,
            })?;
            if outcome.code == Code::SUCCESS && outcome.policy.refusal().is_none() {
                then(connection)?;
            }
            Ok(outcome)
        })?;
        verdict(name, login, &outcome)
    }

    /// Reads the attributes of the user's own entry, as that user.
    fn read_own(
        &self,
        connection: &mut Connection,
        dn: &[u8],
        deadline: Instant,
    ) -> Result<SearchResult, LdapError> {
        let every = FilledFilter::present("objectClass");
        self.search(connection, (dn, Scope::Base), &every, 1, deadline)
    }
}

/// The result of a search for a login.
enum FoundEntries {
    One(Entry),
    /// More than one entry; the text is for the log.
    Several(String),
}

impl UserStore for LdapStore {
    /// In the mode "bind" without a lookup, every login counts as a user: an unknown one gets the same result
    /// as a wrong password.
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        if let Auth::Bind(name) = &self.settings.auth
            && name.fill(asked).is_none()
        {
            return Ok(None);
        }
        let Some(lookup) = &self.settings.lookup else {
            return Ok(Some(Account {
                passwords: Passwords::AskStore,
                ..Account::default()
            }));
        };
        let deadline = self.deadline(asked);
        match self.look_up(lookup, asked, deadline)? {
            Some(FoundEntries::One(entry)) => {
                let likeness = likeness(lookup, asked, &entry);
                self.account(entry, likeness, deadline).map(Some)
            }
            // No entry counts: one may be meant to lock the user out.
            Some(FoundEntries::Several(what)) => Ok(Some(Account::unusable(what))),
            None => Ok(None),
        }
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        let (deadline, life) = deadlines(asked.deadline, self.settings.timeout);
        let name = match &self.settings.auth {
            Auth::Bind(name) => name.fill(asked),
            Auth::SearchBind => account.handle.clone(),
            Auth::Compare(_) => None,
        };
        let Some(name) = name else {
            return Ok(PasswordCheck::Wrong);
        };
        let reads_own = self.settings.lookup.is_none() && !self.wanted.is_empty();
        let mut own = None;
        let times = (deadline, life);
        let checked = self.bind(&name, asked.login, password, times, |connection| {
            if reads_own {
                own = Some(self.read_own(connection, &name, deadline)?);
            }
            Ok(())
        })?;
        if let Some(SearchResult { entries, outcome }) =
            own.filter(|_| checked == PasswordCheck::Right)
        {
            match (entries.first(), outcome.code) {
                (Some(entry), Code::SUCCESS) => self.settings.attributes.fill(account, entry),
                _ => {
                    let what = format!("the user has no right to read the own entry: {outcome}");
                    return Err(StoreError::Unusable(what));
                }
            }
        }
        Ok(checked)
    }

    fn spend_time(&self, asked: &Question<'_>) {
        let lookup = self.settings.lookup.as_ref();
        if let Some(base) = lookup.and_then(|lookup| lookup.base.fill(asked)) {
            self.bind_as_nobody(asked, &base);
        }
    }

    fn host_field(&self) -> String {
        let attribute = self.settings.attributes.host.as_deref();
        format!("attribute {}", attribute.unwrap_or("host"))
    }

    fn knows_users(&self) -> bool {
        self.settings.lookup.is_some()
    }

    fn lacks_likeness(&self) -> Option<String> {
        let lookup = self.settings.lookup.as_ref()?;
        let says = !compared(&self.settings).is_empty() || lookup.base.names_a_user();
        (!says).then(|| "the filter compares the login with no attribute of the entry".to_owned())
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        let lookup = self.settings.lookup.as_ref();
        let Some((lookup, base)) = lookup.and_then(|it| Some((it, it.base.fill(asked)?))) else {
            return Decoy::Nothing;
        };
        match &self.settings.auth {
            Auth::Bind(_) | Auth::SearchBind => Decoy::AskStore,
            Auth::Compare(stored) => {
                let seen = self.decoys.of(asked.login.as_bytes());
                let decoy = seen.or_else(|| self.any_secret(stored, asked, &base, lookup.scope));
                Decoy::Secret(decoy.unwrap_or_else(Secret::dummy))
            }
        }
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        test::run(self, deadline)
    }
}

/// The meaning of the result of a user's bind.
fn verdict(name: &[u8], login: &Login, outcome: &LdapResult) -> Result<PasswordCheck, StoreError> {
    let reason = active_directory_reason(&outcome.diagnostic);
    if let (Code::INVALID_CREDENTIALS, Some(reason)) = (outcome.code, reason) {
        log::debug!("{}: {reason}", name.escape_ascii());
    }
    match meaning(outcome.code, &outcome.diagnostic) {
        BindMeaning::Right => {
            let name = name.escape_ascii();
            match (outcome.policy.refusal(), outcome.policy.grace()) {
                // The bind succeeds only so that the user can change the password.
                (Some(why), _) => {
                    log::warn!("{name} is refused although the bind succeeds: {why}");
                    return Ok(PasswordCheck::NotPermitted(why.to_owned()));
                }
                (None, Some(left)) => {
                    log::warn!("{name}: the password has expired; {left} more logins are accepted");
                }
                (None, None) => {}
            }
            Ok(PasswordCheck::Right)
        }
        BindMeaning::Wrong => Ok(PasswordCheck::Wrong),
        BindMeaning::NoPassword => Ok(PasswordCheck::NoPassword),
        BindMeaning::NotPermitted => Ok(PasswordCheck::NotPermitted(match reason {
            Some(reason) => reason.to_owned(),
            None => format!("the bind as {}: {outcome}", Printable(name)),
        })),
        // A login that is not a valid name for this server, such as one that is not UTF-8, is unknown. If
        // even a plain login is not valid, the template is wrong.
        BindMeaning::InvalidDn if !is_plain(login) => Ok(PasswordCheck::Wrong),
        BindMeaning::InvalidDn | BindMeaning::Inconclusive => Err(StoreError::Unavailable(
            format!("the bind as {}: {outcome}", Printable(name)),
        )),
    }
}

fn is_plain(login: &Login) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"@.-_".contains(byte);
    login.as_bytes().iter().all(plain)
}
