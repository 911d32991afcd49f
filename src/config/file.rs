//! The whole file: its tables, and the [`Config`] that they make.
//!
//! Each table has a file of its own, with its keys, their defaults and their checks. The types of the keys
//! check nothing else; numbers are `i64`, as TOML has them, so that one out of range gets our words.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::Config;
use super::answers::Answers;
use super::checker::Checker;
use super::external::External;
use super::fastcgi::FastCgi;
use super::hosts::HostEntry;
use super::inbound::Inbound;
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
use super::throttle::Throttle;
use super::users::{StoreConfig, Users, UsersConfig};
use crate::route::Table;

/// The whole file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) nginx: Nginx,
    /// Where users come from, asked in this order; the first that knows a login decides.
    pub(super) users: Vec<Spanned<Users>>,
    pub(super) logins: Logins,
    pub(super) master: Master,
    pub(super) external: External,
    pub(super) inbound: Inbound,
    pub(super) oauth: OAuth,
    pub(super) routes: Routes,
    /// Mail servers by name.
    pub(super) hosts: BTreeMap<Spanned<String>, Spanned<HostEntry>>,
    /// Users on their way from one host to another.
    pub(super) moves: BTreeMap<Spanned<String>, Spanned<Move>>,
    pub(super) probes: Probes,
    pub(super) ports: Ports,
    pub(super) messages: Messages,
    pub(super) answers: Answers,
    pub(super) fastcgi: FastCgi,
    pub(super) limits: Limits,
    /// Without it passwords can be guessed as fast as the stores answer.
    pub(super) throttle: Option<Spanned<Throttle>>,
    pub(super) process: Process,
    pub(super) log: Log,
}

impl Checker<'_> {
    /// Checks all tables.
    pub(super) fn config(&mut self, file: File, whole: bool) -> Config {
        let limits = self.limits(&file.limits);
        self.max_hash_ms = limits.max_hash_ms;
        let logins = self.logins(&file.logins);
        let fronts = self.fronts(file.nginx);
        let vouched_for = !fronts.are_anybody();
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
            self.report(&(0..0), "users", "no [[users]]: nobody could log in");
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
            #[cfg(feature = "oauth")]
            oauth: oauth.config,
            log_level: self.level(&file.log),
            fastcgi: self.fastcgi(&file.fastcgi),
            socket: self.socket(&file.fastcgi),
            limits,
            sandbox: self.sandbox(&file.process),
            files: Vec::new(),
            unfinished: Vec::new(),
            named: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
            holds_secret: false,
        }
    }

    /// What must be there; not asked of a file that could be read in part only.
    fn complete(&mut self, users: &[UsersConfig], routes: &Table) {
        let hosts_from_store = users
            .iter()
            .any(|users| !matches!(users.store, StoreConfig::Accept));
        // Why there is none has been said, if one could not be read.
        let of_route = |key: &String| key.starts_with("routes") || key.starts_with("hosts");
        let mut keys = self
            .problems
            .iter()
            .filter_map(|problem| problem.key.as_ref());
        if !routes.has_routes() && !hosts_from_store && !keys.any(of_route) {
            self.report(
                &(0..0),
                "routes",
                "no route: nobody would get to a mail server",
            );
        }
    }
}

/// A value that stands nowhere in the file, or whose place its surroundings know.
pub(super) fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}
