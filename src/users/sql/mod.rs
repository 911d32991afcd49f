//! `store = "sql"`: users in SQLite, PostgreSQL, MariaDB or MySQL, found by the administrator's own
//! statement.
//!
//! [`statement`] parses the statement, and [`row`] interprets the result. A `Database` runs it with deadlines
//! and kept connections, for every driver.

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
mod network;
mod postgres;
mod relay;
pub mod row;
pub mod server;
pub mod server_key;
mod sqlite;
pub mod statement;
pub mod url;

use columns::{NO_OWNER, Purpose, says_owner};
use database::{Database, Failure, Pooled, Rows};
use row::{Row, SecretRules};
use server::Server;
use statement::Statement;

use crate::users::placeholder::Placeholder;

/// Settings of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The kind and place of the database.
    pub kind: Kind,
    /// The statement that returns one row for a login.
    pub query: Statement,
    /// The statement that returns the app passwords of a login.
    pub app_passwords: Option<Statement>,
    /// How stored passwords are parsed.
    pub reading: SecretRules,
    /// The maximum number of connections.
    pub connections: usize,
    /// The time-out of connecting.
    pub connect_timeout: Duration,
    /// The time-out of a whole question.
    pub timeout: Duration,
}

/// The kind and place of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of SQLite.
    Sqlite(PathBuf),
    /// PostgreSQL.
    Postgres(Server),
    /// MariaDB or MySQL.
    Mysql(Server),
}

/// Its name in the log: the place, without any secret.
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
/// The statement defines the row of a login, together with the collation of the compared column: if that
/// ignores case, accents or trailing blanks, `Alice` gets the row of `alice`. The column `login` then gives
/// the login for the mail server, and it or the column `matched_login` tells which login the row belongs to.
pub struct SqlStore {
    database: Box<dyn Database>,
    settings: Settings,
    /// The decoys of unknown logins. Until the store has seen a password, `default-scheme` defines how long
    /// they take.
    decoys: Decoys,
    /// Whether the columns of the query name the login of a row; unknown until the store has seen them.
    says_owner: OnceLock<bool>,
    /// The unused columns of the statements, in words.
    remarks: OnceLock<Vec<String>>,
    /// Why the database could not be asked when it was opened, until this is reported.
    open_problem: Mutex<Option<Failure>>,
}

impl SqlStore {
    /// A store that has not been asked yet.
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
            open_problem: Mutex::default(),
        }
    }

    /// Prepares both statements: a refusal by the database is a [`Fault`]. An unreachable server is not a
    /// fault, because each login tries it again; an unreachable file is one.
    pub fn probe(&self) -> Result<(), Vec<Fault>> {
        let settings = &self.settings;
        match self.faults(Instant::now() + settings.timeout) {
            Ok(faults) if faults.is_empty() => Ok(()),
            Ok(faults) => Err(faults),
            Err(failure) => match (&settings.kind, failure) {
                (Kind::Sqlite(_), Failure::Disconnected(what)) => Err(vec![Fault {
                    key: "url",
                    message: what,
                }]),
                (_, failure) => {
                    let mut open_problem = self
                        .open_problem
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner);
                    *open_problem = Some(failure);
                    Ok(())
                }
            },
        }
    }

    /// The problems of the statements; the error means that the database could not be asked.
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
        // The query comes first. The columns of a procedure are unknown before it runs.
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

    fn take_open_problem(&self) -> Option<Failure> {
        let mut open_problem = self
            .open_problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open_problem.take()
    }

    fn ask(
        &self,
        statement: &Statement,
        question: &Question<'_>,
        most: usize,
        deadline: Instant,
    ) -> Result<Rows, StoreError> {
        self.database
            .query(statement, question.into(), most, deadline)
            .map_err(|failure| {
                let key = match std::ptr::eq(statement, &self.settings.query) {
                    true => "query",
                    false => "app-passwords-query",
                };
                StoreError::Unavailable(format!("{}: {key}: {failure}", self.settings.kind))
            })
    }

    /// Adds the app passwords to an account. `user` is the login of its row, if the row names one.
    fn add_app_passwords(
        &self,
        account: &mut Account,
        user: Option<&[u8]>,
        statement: &Statement,
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
        // The two tables may compare in different ways: a row for the login of the client may belong to
        // another user than the one that was found for it.
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
                log::debug!("app-passwords-query: skipped a row of another login");
                continue;
            }
            match reading.app_password(row) {
                Ok(credential) => credentials.extend(credential),
                // An unusable app password is skipped; the user may have others.
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
            // No row counts: one may be meant to lock the user out.
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
        // A login that equals the requested one replaces nothing.
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

    fn open_problem(&self) -> Option<String> {
        let failure = self.take_open_problem()?;
        let kind = &self.settings.kind;
        Some(format!("{kind}: {failure}; it is retried at each login"))
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        let seen = self.decoys.of(asked.login.as_bytes());
        let default = self.settings.reading.default_scheme.as_deref();
        Decoy::Secret(seen.unwrap_or_else(|| decoy::of_scheme(default)))
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        // The refusal of the password is reported already; the pause after it would be a second message about
        // the same fault.
        let faults = match self.take_open_problem() {
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

/// How the login of a row compares with the requested login. A statement that uses only the part before the
/// `@` is compared by that part.
fn likeness(owner: Option<&[u8]>, statement: &Statement, login: &Login) -> Likeness {
    let Some(owner) = owner else {
        return Likeness::Unsaid;
    };
    let whole = Likeness::of(owner, login.as_bytes());
    let of_whole = |it| matches!(it, Placeholder::Login | Placeholder::Domain);
    match statement.asks(of_whole) {
        false if whole == Likeness::Other => Likeness::of(owner, login.local()),
        _ => whole,
    }
}

/// The problem of a statement, by the columns that it returns.
fn fault(
    purpose: Purpose,
    statement: &Statement,
    answer: Result<Vec<String>, Failure>,
) -> Option<String> {
    let columns = match answer {
        Ok(columns) => columns,
        Err(failure) => return Some(failure.to_string()),
    };
    if columns.is_empty() {
        // The columns of a procedure are unknown until it runs.
        let procedure = statement
            .sql
            .trim_start()
            .get(..4)
            .is_some_and(|word| word.eq_ignore_ascii_case("call"));
        return (!procedure).then(|| "the statement gives no rows".to_owned());
    }
    purpose.fault(columns.iter().map(String::as_str))
}
