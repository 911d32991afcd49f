//! `store = "sql"`: users in SQLite, PostgreSQL, MariaDB or MySQL, found by the administrator's own
//! statement.
//!
//! [`template`] reads the statement, [`row`] what it gave. A `Database` is asked in time and over
//! connections that are kept, whichever driver is behind it.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::decoys::Decoys;
use super::{Account, Decoy, Passwords, Question, StoreError, UserStore};
use crate::login::Likeness;
use crate::login::Login;
use crate::sys::Lifetime;
use crate::sys::problem::Fault;
use crate::users::MAX_APP_PASSWORDS;

mod columns;
mod database;
mod decoy;
mod mysql;
pub mod network;
mod postgres;
mod relay;
pub mod row;
pub mod server_key;
mod sqlite;
pub mod template;
pub mod url;

use columns::{NO_OWNER, Purpose, says_owner};
use database::{Asked, Database, Failure, Pooled, Rows};
use network::Server;
use row::{Reading, Row};
use template::{Parameter, Template};

/// A database as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which one.
    pub kind: Kind,
    /// The statement that gives one row for a login.
    pub query: Template,
    /// The statement that gives the app passwords of a login.
    pub app_passwords: Option<Template>,
    /// How stored passwords are read.
    pub reading: Reading,
    /// Connections at once.
    pub connections: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one question may take in all.
    pub timeout: Duration,
}

/// Which database it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// PostgreSQL.
    Postgres(Server),
    /// MariaDB or MySQL.
    Mysql(Server),
}

/// As the log calls it: where it is, without any secret.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "SQLite {}", path.display()),
            Self::Postgres(server) => write!(f, "PostgreSQL {server}"),
            Self::Mysql(server) => write!(f, "MySQL {server}"),
        }
    }
}

/// Users in a database.
///
/// Which row a login has is up to the statement, and to the collation of the column that it
/// compares: with one that ignores case, accents or blanks at the end, `Alice` gets the row of
/// `alice`. The column `login` then says which login the mail server is to see, and it or the column
/// `matched_login` whose row it is.
pub struct SqlStore {
    database: Box<dyn Database>,
    settings: Settings,
    /// What an unknown login's time is spent on. Before anything has been seen, `default-scheme` says
    /// how long that should take.
    decoys: Decoys,
    /// Whether the columns of the query say whose row it is; unknown until they are seen.
    says_owner: OnceLock<bool>,
    /// Which columns of the statements nothing is made of, in words.
    remarks: OnceLock<Vec<String>>,
    /// Why nobody could be asked when it was opened, until that is told.
    unasked: Mutex<Option<Failure>>,
}

impl SqlStore {
    /// A store that has not been asked anything yet.
    pub fn new(settings: &Settings, lifetime: Lifetime) -> Self {
        let database: Box<dyn Database> = match settings.kind.clone() {
            Kind::Sqlite(path) => {
                let driver = sqlite::Sqlite::new(path);
                Box::new(Pooled::new(driver, settings, lifetime))
            }
            Kind::Postgres(server) => {
                let driver = postgres::Postgres::new(server);
                Box::new(Pooled::new(driver, settings, lifetime))
            }
            Kind::Mysql(server) => {
                let driver = mysql::Mysql::new(server);
                Box::new(Pooled::new(driver, settings, lifetime))
            }
        };
        Self {
            database,
            settings: settings.clone(),
            decoys: Decoys::default(),
            says_owner: OnceLock::new(),
            remarks: OnceLock::new(),
            unasked: Mutex::default(),
        }
    }

    /// Prepares both statements: what the database refuses is a [`Fault`]. One that cannot be
    /// reached is no fault, unless it is a file: it is asked again at each login.
    pub fn probe(&self) -> Result<(), Vec<Fault>> {
        let settings = &self.settings;
        match self.faults(Instant::now() + settings.timeout) {
            Ok(faults) if faults.is_empty() => Ok(()),
            Ok(faults) => Err(faults),
            Err(failure) => match (&settings.kind, failure) {
                (Kind::Sqlite(_), Failure::Lost(what)) => Err(vec![Fault {
                    key: "url",
                    message: what,
                }]),
                (_, failure) => {
                    let mut unasked = self.unasked.lock().unwrap_or_else(PoisonError::into_inner);
                    *unasked = Some(failure);
                    Ok(())
                }
            },
        }
    }

    /// What is wrong with the statements; the error is that nobody could be asked.
    fn faults(&self, deadline: Instant) -> Result<Vec<Fault>, Failure> {
        let given = [
            (Purpose::User, Some(&self.settings.query)),
            (Purpose::AppPasswords, self.settings.app_passwords.as_ref()),
        ];
        let given = given
            .into_iter()
            .filter_map(|(purpose, statement)| Some((purpose, statement?)));
        let (purposes, statements): (Vec<_>, Vec<_>) = given.unzip();
        let answers = self.database.columns(&statements, deadline)?;
        // The query comes first. Of a procedure nothing is known before it runs.
        if let Some(Ok(columns)) = answers.first()
            && !columns.is_empty()
        {
            let says = says_owner(columns.iter().map(String::as_str));
            let _known = self.says_owner.set(says);
        }
        let remark = |(purpose, answer): (&Purpose, &Result<Vec<String>, Failure>)| {
            let columns = answer.as_ref().ok()?;
            purpose.remark(columns)
        };
        let remarks = purposes.iter().zip(&answers).filter_map(remark);
        let _known = self.remarks.set(remarks.collect());
        let faults = purposes.into_iter().zip(statements).zip(answers);
        Ok(faults
            .filter_map(|((purpose, statement), answer)| {
                let message = fault(purpose, statement, answer)?;
                let key = purpose.key();
                Some(Fault { key, message })
            })
            .collect())
    }

    fn take_unasked(&self) -> Option<Failure> {
        let mut unasked = self.unasked.lock().unwrap_or_else(PoisonError::into_inner);
        unasked.take()
    }

    fn ask(
        &self,
        statement: &Template,
        question: &Question<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, StoreError> {
        self.database
            .query(statement, &Asked::new(question), most, deadline)
            .map_err(|failure| {
                let key = match std::ptr::eq(statement, &self.settings.query) {
                    true => "query",
                    false => "app-passwords-query",
                };
                StoreError::Unavailable(format!("{}: {key}: {failure}", self.settings.kind))
            })
    }

    /// Adds the app passwords to those that an account has. `user` is the login of its row, where the
    /// row says one.
    fn add_app_passwords(
        &self,
        account: &mut Account,
        user: Option<&[u8]>,
        statement: &Template,
        question: &Question<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Passwords::Stored(credentials) = &mut account.passwords else {
            return Ok(());
        };
        let most = MAX_APP_PASSWORDS;
        let Rows::All(rows) = self.ask(statement, question, most, deadline)? else {
            account.unusable.get_or_insert_with(|| {
                format!("app-passwords-query: the login has more than {most} app passwords")
            });
            return Ok(());
        };
        if let Some(fault) = rows
            .first()
            .and_then(|row| Purpose::AppPasswords.fault(row.names()))
        {
            let what = format!("app-passwords-query: {fault}");
            return Err(StoreError::Unusable(what));
        }
        let reading = &self.settings.reading;
        // The two tables may compare in different ways: a row for the login that was typed need not
        // be one of the user who was found for it.
        let found = account.likeness;
        let is_of_user = |owner: &[u8]| {
            let of_found = user.is_some_and(|user| Likeness::of(owner, user) == Likeness::Same);
            let of_typed = likeness(Some(owner), statement, question.login) == Likeness::Same;
            of_found || (of_typed && found != Likeness::Other)
        };
        for row in &rows {
            let owner = match reading.owner(row) {
                Ok(owner) => owner,
                Err(flaw) => {
                    let what = || format!("app-passwords-query: {flaw}");
                    account.unusable_password.get_or_insert_with(what);
                    continue;
                }
            };
            let Some(owner) = owner else {
                let what = || format!("app-passwords-query: {NO_OWNER}");
                account.unusable_password.get_or_insert_with(what);
                continue;
            };
            if !is_of_user(&owner) {
                log::debug!("app-passwords-query: passed over a row of another login");
                continue;
            }
            match reading.app_password(row) {
                Ok(credential) => credentials.extend(credential),
                // One that cannot be used is none; the user may have others.
                Err(flaw) => {
                    let what = || format!("app-passwords-query: {flaw}");
                    account.unusable_password.get_or_insert_with(what);
                }
            }
        }
        Ok(())
    }

    fn remember_decoy(&self, login: &Login, account: &Account) {
        if let Passwords::Stored(credentials) = &account.passwords
            && let Some(first) = credentials.first()
        {
            self.decoys.see(login.as_bytes(), &first.secret);
        }
    }
}

impl UserStore for SqlStore {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        let Settings {
            query,
            app_passwords,
            reading,
            timeout,
            ..
        } = &self.settings;
        let deadline = asked.deadline.min(Instant::now() + *timeout);
        let rows = match self.ask(query, asked, 1, deadline)? {
            Rows::All(rows) => rows,
            // None of them is the right one: one may be there to keep the user out.
            Rows::TooMany => {
                let what = "query: there is more than one row for this login";
                return Ok(Some(Account::unusable(what.to_owned())));
            }
        };
        let Some(row): Option<&Row> = rows.first() else {
            return Ok(None);
        };
        if let Some(fault) = Purpose::User.fault(row.names()) {
            return Err(StoreError::Unusable(format!("query: {fault}")));
        }
        let mut account = reading
            .account(row)
            .map_err(|flaw| StoreError::Unusable(format!("query: {flaw}")))?;
        let owner = reading.owner(row).unwrap_or_else(|flaw| {
            account.unusable.get_or_insert_with(|| flaw.to_string());
            None
        });
        account.likeness = likeness(owner.as_deref(), query, asked.login);
        let named = |flaw: String| format!("query: {flaw}");
        account.unusable = account.unusable.map(named);
        account.unusable_password = account.unusable_password.map(named);
        // As it was asked for: nobody need be told.
        account.user = account.user.filter(|user| user != asked.login.as_bytes());
        self.remember_decoy(asked.login, &account);
        if let Some(statement) = app_passwords {
            let user = owner.as_deref();
            self.add_app_passwords(&mut account, user, statement, asked, deadline)?;
        }
        Ok(Some(account))
    }

    fn host_field(&self) -> String {
        "query: column host".to_owned()
    }

    fn lacks_likeness(&self) -> Option<String> {
        let lacks = self.says_owner.get().is_some_and(|says| !says);
        lacks.then(|| "the query gives neither a column login nor matched_login".to_owned())
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.get().cloned().unwrap_or_default()
    }

    fn unasked(&self) -> Option<String> {
        let failure = self.take_unasked()?;
        let kind = &self.settings.kind;
        Some(format!(
            "{kind}: {failure}; it is asked again at each login"
        ))
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        let seen = self.decoys.of(asked.login.as_bytes());
        let default = self.settings.reading.default_scheme.as_deref();
        Decoy::Secret(seen.unwrap_or_else(|| decoy::of_scheme(default)))
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        // A password that was refused rests: that it does would be another message of the same fault.
        let faults = match self.take_unasked() {
            Some(denied @ Failure::Denied(_)) => Err(denied),
            _ => self.faults(deadline),
        };
        match faults {
            Err(failure) => vec![format!("{}: {failure}", self.settings.kind)],
            Ok(faults) => faults
                .into_iter()
                .map(|Fault { key, message }| format!("{key}: {message}"))
                .collect(),
        }
    }
}

/// How the login that a row belongs to is like the one that was asked for. A statement that takes the
/// part before the `@` and nothing else is about that part.
fn likeness(owner: Option<&[u8]>, statement: &Template, login: &Login) -> Likeness {
    let Some(owner) = owner else {
        return Likeness::Unsaid;
    };
    let asks = |parameter| statement.parameters.contains(&parameter);
    let whole = Likeness::of(owner, login.as_bytes());
    match asks(Parameter::Login) || asks(Parameter::Domain) {
        false if whole == Likeness::Other => Likeness::of(owner, login.local()),
        _ => whole,
    }
}

/// What is wrong with a statement, by the columns that it gives.
fn fault(
    purpose: Purpose,
    statement: &Template,
    answer: Result<Vec<String>, Failure>,
) -> Option<String> {
    let columns = match answer {
        Ok(columns) => columns,
        Err(failure) => return Some(failure.to_string()),
    };
    if columns.is_empty() {
        // What a procedure gives is known only when it runs.
        let procedure = statement
            .sql
            .trim_start()
            .get(..4)
            .is_some_and(|word| word.eq_ignore_ascii_case("call"));
        return (!procedure).then(|| "the statement gives no rows".to_owned());
    }
    purpose.fault(columns.iter().map(String::as_str))
}
