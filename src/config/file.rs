//! The whole file: its tables, and the [`Config`] that they make.
//!
//! Each table has a file of its own, with its keys, their defaults and their checks. The types of the keys
//! check nothing else; numbers are `i64`, as TOML has them, so that the checks report one out of range.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{self, IgnoredAny};
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::answers::Answers;
use super::checker::Checker;
use super::external::External;
use super::fastcgi::FastCgi;
use super::hosts::{Host, HostEntry};
use super::inbound::Inbound;
use super::keys::names_of;
use super::limits::Limits;
use super::log::Log;
use super::logins::Logins;
use super::master::Master;
use super::messages::Messages;
use super::moves::Move;
use super::nginx::Nginx;
use super::oauth::OAuth;
use super::ports::Ports;
use super::probes::Probes;
use super::process::Process;
use super::routes::Routes;
use super::status::Status;
use super::throttle::Throttle;
use super::unreadable::Unreadable;
use super::users::{self, StoreConfig, Users, UsersConfig};
use super::{Config, Tables};
use crate::route::Table;

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) nginx: Nginx,
    /// Where users come from, asked in this order; the first that knows a login decides.
    #[serde(deserialize_with = "array")]
    pub(super) users: Vec<Spanned<Users>>,
    pub(super) logins: Logins,
    pub(super) master: Master,
    pub(super) external: External,
    pub(super) inbound: Inbound,
    pub(super) oauth: OAuth,
    pub(super) routes: Routes,
    /// Mail servers by name.
    pub(super) hosts: BTreeMap<Spanned<String>, Spanned<HostEntry>>,
    /// Users who move from one host to another.
    pub(super) moves: BTreeMap<Spanned<String>, Spanned<Move>>,
    pub(super) probes: Probes,
    pub(super) ports: Ports,
    pub(super) messages: Messages,
    pub(super) answers: Answers,
    pub(super) fastcgi: FastCgi,
    pub(super) limits: Limits,
    /// Without it passwords can be guessed as fast as the stores answer.
    pub(super) throttle: Option<Spanned<Throttle>>,
    pub(super) status: Status,
    pub(super) process: Process,
    pub(super) log: Log,
}

impl File {
    /// Reads a whole file. The keys of `[[users]]` are in several types, each beside its checks.
    pub(super) fn read(table: Spanned<DeTable<'_>>) -> Result<Self, Unreadable> {
        let users = Users::read_all(table.get_ref())?;
        let file = Self::deserialize(Deserializer::from(table))?;
        Ok(Self { users, ..file })
    }
}

/// Only checks that there is an array.
fn array<'de, D: de::Deserializer<'de>>(array: D) -> Result<Vec<Spanned<Users>>, D::Error> {
    Vec::<IgnoredAny>::deserialize(array).map(|_| Vec::new())
}

/// The names of the keys of a table: `""` is the whole file, `hosts.x` one host. Tables whose names the
/// administrator chooses have none.
pub(super) fn keys_of(table: &str) -> Vec<&'static str> {
    let names = match table {
        "" => names_of::<File>(),
        "answers" => names_of::<Answers>(),
        "external" => names_of::<External>(),
        "fastcgi" => names_of::<FastCgi>(),
        "hosts.x" => names_of::<Host>(),
        "inbound" => names_of::<Inbound>(),
        "limits" => names_of::<Limits>(),
        "log" => names_of::<Log>(),
        "logins" => names_of::<Logins>(),
        "master" => names_of::<Master>(),
        "messages" => names_of::<Messages>(),
        "moves.x" => names_of::<Move>(),
        "nginx" => names_of::<Nginx>(),
        "oauth" => names_of::<OAuth>(),
        "ports" => names_of::<Ports>(),
        "probes" => names_of::<Probes>(),
        "process" => names_of::<Process>(),
        "routes" => names_of::<Routes>(),
        "status" => names_of::<Status>(),
        "throttle" => names_of::<Throttle>(),
        "users" => return users::names(),
        _ => &[],
    };
    names.to_vec()
}

impl Checker<'_> {
    /// Checks all tables.
    pub(super) fn config(&mut self, file: File, whole: bool) -> Config {
        let limits = self.limits(&file.limits);
        self.max_hash_ms = limits.max_hash_ms;
        let logins = self.logins(&file.logins);
        let fronts = self.fronts(file.nginx);
        let vouched_for = !fronts.accept_everyone();
        let any_users = !file.users.is_empty();
        let users = self.users(file.users);
        let routes = self.table(
            file.routes,
            file.hosts,
            &file.moves,
            &file.probes,
            &file.ports,
        );
        let inbound = self.inbound(&file.inbound, &users, &routes);
        if whole && !any_users {
            self.report(
                &(0..0),
                "users",
                "there is no [[users]]: every login would be refused",
            );
        }
        if whole {
            self.complete(&users, &routes);
        }
        let master = self.master(file.master, &users);
        let oauth = self.oauth(&file.oauth);
        let codes = file.answers.codes;
        let messages = self.messages(file.messages, codes, oauth.sasl_error);
        Config {
            path: self.source.path.to_owned(),
            fronts,
            users,
            routes,
            messages,
            retry: self.retry(&file.answers, file.throttle.as_ref()),
            throttle: file
                .throttle
                .map(|throttle| self.throttle(throttle, vouched_for)),
            logins,
            master,
            external: self.external(&file.external),
            inbound,
            #[cfg(feature = "servers")]
            oauth: oauth.config,
            status: self.status(&file.status),
            log: self.log(&file.log),
            fastcgi: self.fastcgi(&file.fastcgi),
            socket: self.socket(&file.fastcgi),
            limits,
            sandbox: self.sandbox(&file.process),
            files: Vec::new(),
            unfinished: Vec::new(),
            named: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
            tables: Tables::default(),
            holds_secret: false,
        }
    }

    /// Reports what a whole configuration needs; not called for one that could be read only in part.
    fn complete(&mut self, users: &[UsersConfig], routes: &Table) {
        let hosts_from_store = users
            .iter()
            .any(|users| !matches!(users.store, StoreConfig::Accept));
        // A route that could not be read has been reported already.
        let of_route = |key: &String| key.starts_with("routes") || key.starts_with("hosts");
        let mut keys = self
            .problems
            .iter()
            .filter_map(|problem| problem.key.as_ref());
        if !routes.has_routes() && !hosts_from_store && !keys.any(of_route) {
            self.report(
                &(0..0),
                "routes",
                "there is no route: no login would get a mail server",
            );
        }
    }
}
