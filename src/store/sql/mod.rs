//! `store = "sql"`: users in SQLite, PostgreSQL, MariaDB or MySQL, found by the administrator's own
//! statement.
//!
//! [`template`] reads the statement, [`row`] what it gave. A `Database` is asked in time and over
//! connections that are kept, whichever driver is behind it.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::decoys::Decoys;
use super::open::{Fault, Lifetime};
use super::{Account, Decoy, Likeness, Passwords, Question, StoreError, UserStore};
use crate::gate::MAX_APP_PASSWORDS;
use crate::request::Login;

mod database;
mod decoy;
mod mysql;
pub mod network;
mod pool;
mod postgres;
mod relay;
pub mod row;
pub mod server_key;
mod sqlite;
pub mod template;
pub mod url;

use database::{Asked, Database, Failure, Pooled, Rows};
use network::Server;
use row::{OWNER_COLUMNS, Reading, Row, is_known};
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
    /// What its other columns are called, of which nothing is made.
    unknown: OnceLock<Vec<String>>,
    /// Why our account was not taken when the store was opened.
    denied: OnceLock<String>,
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
            unknown: OnceLock::new(),
            denied: OnceLock::new(),
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
                (kind, failure) => {
                    if let Failure::Denied(_) = failure {
                        let _first = self.denied.set(failure.to_string());
                    }
                    log::error!("{kind}: {failure}; it is asked again at each login");
                    Ok(())
                }
            },
        }
    }

    /// What is wrong with the statements; the error is that nobody could be asked.
    fn faults(&self, deadline: Instant) -> Result<Vec<Fault>, Failure> {
        let statements = [
            ("query", Some(&self.settings.query)),
            ("app-passwords-query", self.settings.app_passwords.as_ref()),
        ];
        let given = statements
            .iter()
            .filter_map(|(key, statement)| Some((*key, (*statement)?)));
        let (keys, statements): (Vec<_>, Vec<_>) = given.unzip();
        let answers = self.database.columns(&statements, deadline)?;
        // The query comes first. Of a procedure nothing is known before it runs.
        if let Some(Ok(columns)) = answers.first()
            && !columns.is_empty()
        {
            let _known = self.says_owner.set(says_owner(columns));
            let unknown = columns.iter().filter(|column| !is_known(column));
            let _known = self.unknown.set(unknown.cloned().collect());
        }
        let faults = keys.into_iter().zip(statements).zip(answers);
        Ok(faults
            .filter_map(|((key, statement), answer)| {
                let app_passwords = key == "app-passwords-query";
                let lacks =
                    matches!(&answer, Ok(columns) if !columns.is_empty() && !says_owner(columns));
                let message = fault(statement, answer)
                    .or_else(|| (app_passwords && lacks).then(|| NO_OWNER.to_owned()))?;
                Some(Fault { key, message })
            })
            .collect())
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
        let unknown = self.unknown.get().filter(|unknown| !unknown.is_empty());
        let remark = unknown.map(|unknown| {
            let shown: Vec<_> = unknown
                .iter()
                .take(MAX_SHOWN)
                .map(|name| name.escape_debug().to_string())
                .collect();
            let more = match unknown.len() - shown.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!(
                "query: nothing is made of these columns: {}{more}",
                shown.join(", ")
            )
        });
        remark.into_iter().collect()
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        let seen = self.decoys.of(asked.login.as_bytes());
        let default = self.settings.reading.default_scheme.as_deref();
        Decoy::Secret(seen.unwrap_or_else(|| decoy::of_scheme(default)))
    }

    fn test(&self, deadline: Instant) -> Vec<String> {
        // A second try would only say that the first was a moment ago.
        if let Some(why) = self.denied.get() {
            return vec![format!("{}: {why}", self.settings.kind)];
        }
        match self.faults(deadline) {
            Err(failure) => vec![format!("{}: {failure}", self.settings.kind)],
            Ok(faults) => faults
                .into_iter()
                .map(|Fault { key, message }| format!("{key}: {message}"))
                .collect(),
        }
    }
}

/// What is wrong with app passwords that may be another login's: the two tables may compare logins in
/// different ways.
const NO_OWNER: &str =
    "gives neither a column login nor matched_login: each row must say whose it is";

/// How many columns of which nothing is made are named.
const MAX_SHOWN: usize = 20;

/// Whether the rows with these columns say whose they are.
fn says_owner(columns: &[String]) -> bool {
    let is = |column: &String| {
        OWNER_COLUMNS
            .iter()
            .any(|owner| column.eq_ignore_ascii_case(owner))
    };
    columns.iter().any(is)
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
fn fault(statement: &Template, answer: Result<Vec<String>, Failure>) -> Option<String> {
    let columns = match answer {
        Ok(columns) => columns,
        Err(failure) => return Some(failure.to_string()),
    };
    let named = |name: &str| {
        columns
            .iter()
            .filter(|column| column.eq_ignore_ascii_case(name))
            .count()
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
    match named("password") {
        0 => Some(format!(
            "the statement gives no column password, only {}",
            columns.join(", ")
        )),
        1 => None,
        _ => Some("the statement gives two columns password".to_owned()),
    }
}
