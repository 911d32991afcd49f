//! `[moves]`: moves of users from one host to another.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::written;
use crate::route::{self, Table};

/// One of `[moves]`: a move of users from one host to another. A route can name it like a host.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Move {
    /// The old host. Required.
    pub(super) old: Option<Spanned<String>>,
    /// The new host. Required.
    pub(super) new: Option<Spanned<String>>,
    /// The percentage of users who are on the new host. Default: 0.
    pub(super) moved: Option<Spanned<i64>>,
    /// Users from `moved` up to this percentage are being moved, and get the temporary failure. Default: the
    /// value of `moved`.
    pub(super) moving: Option<Spanned<i64>>,
}

impl Checker<'_> {
    pub(super) fn one_move(
        &mut self,
        table: &mut Table,
        all: &BTreeMap<Spanned<String>, Spanned<Move>>,
        name: &Spanned<String>,
        users: &Spanned<Move>,
    ) -> Option<route::Move> {
        let key = format!("moves.{}", written(name.get_ref()));
        if name.get_ref().is_empty() {
            self.report(&name.span(), &key, "a move must have a name");
        } else if table.declared(name.get_ref()).is_some() {
            self.report(&name.span(), &key, "is the name of a host too");
        }
        let (span, users) = (users.span(), users.get_ref());
        let mut end = |word: &str, host: &Option<Spanned<String>>| {
            let key = format!("{key}.{word}");
            let Some(host) = host else {
                self.report(&span, &key, "is missing");
                return None;
            };
            if table.declared(host.get_ref()).is_none() && all.contains_key(host.get_ref().as_str())
            {
                self.report(&host.span(), &key, "must be a host, not a move");
                return None;
            }
            self.host_named(table, key, host)
        };
        let (old, new) = (end("old", &users.old), end("new", &users.new));
        if let Some(host) = &users.new
            && old.is_some()
            && old == new
        {
            self.report(
                &host.span(),
                &format!("{key}.new"),
                "is the same host as old",
            );
        }
        let mut percent = |word: &str, percent: &Option<Spanned<i64>>| {
            let percent = percent.as_ref()?;
            Some(self.number(&format!("{key}.{word}"), percent, 0..=100))
        };
        let moved = percent("moved", &users.moved).unwrap_or(0);
        let moving = percent("moving", &users.moving).unwrap_or(moved);
        if let Some(written) = &users.moving
            && moving < moved
        {
            let message = "must not be less than moved";
            self.report(&written.span(), &format!("{key}.moving"), message);
        }
        // The other host replaces an invalid one, so that routes to this move are not reported too.
        Some(route::Move {
            name: name.get_ref().as_str().into(),
            old: old.or(new)?,
            new: new.or(old)?,
            moved,
            moving,
        })
    }
}
