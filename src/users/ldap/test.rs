//! Runs every operation of a login at each server, for `check`.

use std::time::Instant;

use super::code::Code;
use super::connection::{Connection, SearchResult};
use super::decoy::random_word;
use super::pool::{Role, Server};
use super::{Auth, LdapStore, is_plain};
use crate::login::Login;

/// The problems, each with the URL of its server.
pub(super) fn run(store: &LdapStore, deadline: Instant) -> Vec<String> {
    let servers = store.pool.servers();
    let mut left = u32::try_from(servers.len()).unwrap_or(u32::MAX);
    let mut problems = Vec::new();
    for server in servers {
        // No server can use up the time of those after it.
        let share = deadline.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        let found = one(store, server, Instant::now() + share);
        problems.extend(
            found
                .into_iter()
                .map(|what| format!("{}: {what}", server.url)),
        );
    }
    problems
}

fn one(store: &LdapStore, server: &Server, deadline: Instant) -> Vec<String> {
    let Some(login) = nobody() else {
        return vec!["cannot get random bytes for an invented login".to_owned()];
    };
    let mut problems = Vec::new();
    let mut connection = None;
    if store.settings.lookup.is_some() {
        match store.pool.connect(server, Role::Search, deadline) {
            Ok(connected) => problems.extend(search(
                store,
                connection.insert(connected),
                &login,
                deadline,
            )),
            // The other connection would fail in the same way.
            Err(fault) => return vec![fault.to_string()],
        }
    }
    if let Auth::Bind(name) = &store.settings.auth
        && let Some(name) = name.fill(&login)
    {
        problems.extend(bind(store, server, &name, &login, deadline));
    }
    problems
}

/// Searches for a login that no user has.
fn search(
    store: &LdapStore,
    connection: &mut Connection,
    login: &Login,
    deadline: Instant,
) -> Option<String> {
    let lookup = store.settings.lookup.as_ref()?;
    let (base, filter) = (lookup.base.fill(login)?, lookup.filter.fill(login)?);
    let what = || {
        let base = String::from_utf8_lossy(&base);
        format!("searching {} under {base:?}", filter.text())
    };
    connection.set_deadline(deadline);
    let found = store.search(connection, (&base, lookup.scope), &filter, 2, deadline);
    match found {
        Err(fault) => Some(format!("{}: {fault}", what())),
        Ok(SearchResult { entries, outcome }) => match outcome.code {
            Code::SUCCESS if entries.is_empty() => None,
            Code::SUCCESS | Code::SIZE_LIMIT_EXCEEDED => {
                Some(format!("{} finds an entry for an invented login", what()))
            }
            Code::NO_SUCH_OBJECT if !lookup.base.is_fixed() => None,
            _ => Some(format!("{}: {outcome}", what())),
        },
    }
}

/// Binds as a user that cannot exist.
fn bind(
    store: &LdapStore,
    server: &Server,
    name: &[u8],
    login: &Login,
    deadline: Instant,
) -> Option<String> {
    debug_assert!(is_plain(login));
    let password = random_word()?;
    let bound = store
        .pool
        .connect(server, Role::Bind, deadline)
        .and_then(|mut connection| {
            connection.set_deadline(deadline);
            connection.bind(name, password.as_bytes())
        });
    let what =
        |why: &dyn std::fmt::Display| Some(format!("the bind as {}: {why}", name.escape_ascii()));
    match bound {
        Err(fault) => what(&fault),
        Ok(outcome) => match outcome.code {
            Code::INVALID_CREDENTIALS | Code::NO_SUCH_OBJECT => None,
            Code::SUCCESS => what(&"succeeds, though there is no such user"),
            _ => what(&outcome),
        },
    }
}

fn nobody() -> Option<Login> {
    let word = random_word()?;
    Login::new(format!("{word}@{word}.invalid").into_bytes()).ok()
}
