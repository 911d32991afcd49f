//! `[routes]`, `[moves]`, `[probes]` and `[ports]` to a [`Table`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use toml::Spanned;

use super::Checker;
use crate::config::DNS_IS_ASKED;
use crate::config::advice;
use crate::config::file;
use crate::config::source::written;
use crate::login::domain;
use crate::route::{
    Aim, AllowedNetworks, Bad, HostId, Move, Ports, ProbeKind, Probes, Table, Target,
};

type Moves = BTreeMap<Spanned<String>, Spanned<file::Move>>;

impl Checker<'_> {
    pub(super) fn table(
        &mut self,
        routes: file::Routes,
        hosts: BTreeMap<Spanned<String>, Spanned<file::HostEntry>>,
        moves: &Moves,
        probes: &file::Probes,
        ports: &file::Ports,
    ) -> Table {
        let probes = self.probes(probes);
        let ports = Ports {
            imap: self.port("ports.imap", &ports.imap),
            pop3: self.port("ports.pop3", &ports.pop3),
            smtp: self.port("ports.smtp", &ports.smtp),
        };
        let networks = routes.allowed_networks.as_ref().map(|networks| {
            let key = "routes.allowed-networks";
            if networks.get_ref().is_empty() {
                self.report(&networks.span(), key, "must not be empty");
            }
            self.networks(key, networks.get_ref())
        });
        self.allowed = AllowedNetworks::new(networks);
        let hosts = hosts
            .into_iter()
            .map(|(name, host)| {
                let host = self.without_stray_key(&name, host);
                self.host(&name, host, ports, probes.kind)
            })
            .collect();
        let ttl = self.number("routes.resolve-ttl", &routes.resolve_ttl, 1..=86_400);
        let mut table = Table::new(hosts, ports, Duration::from_secs(ttl));
        table.probes = probes;
        table.allowed = self.allowed.clone();
        let moves: Vec<_> = moves
            .iter()
            .filter_map(|(name, users)| self.one_move(&mut table, moves, name, users))
            .collect();
        table.add_moves(moves);
        if routes.fold_case {
            table.fold_case();
        }
        if let Some(host) = &routes.default
            && let Some(id) = self.target(&mut table, "routes.default".into(), host)
        {
            table.route_default(id);
        }
        self.routes(&mut table, "login", &routes.login, Table::route_login);
        self.routes(&mut table, "domain", &routes.domain, Table::route_domain);
        // In the order of the file, so that it is the second of two that is complained about.
        let mut letters: Vec<_> = routes.first_letter.iter().collect();
        letters.sort_by_key(|(letters, _)| letters.span().start);
        self.routes(&mut table, "first-letter", letters, Table::route_letters);
        table
    }

    /// A host that is rather a line which belongs to another table: it gets no address, so that
    /// DNS is not asked for its value.
    fn without_stray_key(
        &mut self,
        name: &Spanned<String>,
        mut host: Spanned<file::HostEntry>,
    ) -> Spanned<file::HostEntry> {
        let address = host.get_ref().0.address.as_ref();
        let in_dns = address.is_some_and(|address| {
            let address = address.get_ref();
            !address.contains('.') && address.parse::<IpAddr>().is_err()
        });
        if in_dns && let Some(belongs) = advice::misplaced(&["hosts"], name.get_ref()) {
            let message = format!("would be a host here; {belongs}");
            self.report(
                &name.span(),
                &format!("hosts.{}", written(name.get_ref())),
                message,
            );
            host.get_mut().0 = file::Host {
                state: Some(Spanned::new(host.span(), "moving".to_owned())),
                ..file::Host::default()
            };
        }
        host
    }

    fn routes<'r>(
        &mut self,
        table: &mut Table,
        section: &str,
        routes: impl IntoIterator<Item = (&'r Spanned<String>, &'r Spanned<String>)>,
        add: impl Fn(&mut Table, &str, Aim) -> Result<(), Bad>,
    ) {
        for (what, host) in routes {
            let key = format!("routes.{section}.{}", written(what.get_ref()));
            // A user may be called like a key, a domain has a dot.
            let odd = section == "domain" || table.declared(host.get_ref()).is_none();
            if odd && let Some(belongs) = advice::misplaced(&["routes", section], what.get_ref()) {
                self.report(
                    &what.span(),
                    &key,
                    format!("would be a route here; {belongs}"),
                );
                continue;
            }
            let Some(id) = self.target(table, key.clone(), host) else {
                continue;
            };
            if let Err(bad) = add(table, what.get_ref(), id) {
                self.report(&what.span(), &key, bad.to_string());
                continue;
            }
            let any_case = table.folds_case();
            match section {
                "login" => {
                    let domain = what.get_ref().rsplit_once('@').map_or("", |it| it.1);
                    if !self.warn_of_alias(&key, what, &domain::written(domain)) {
                        self.warn_of_login(&key, what, what.get_ref().as_bytes(), any_case);
                    }
                }
                "domain" => self.warn_of_domain(&key, what, &domain::written(what.get_ref())),
                _ => self.warn_of_letters(&key, what, any_case),
            }
        }
    }

    /// What a route names.
    fn target(&mut self, table: &mut Table, key: String, name: &Spanned<String>) -> Option<Aim> {
        match table.declared(name.get_ref()) {
            Some(aim) => Some(aim),
            None => self.host_named(table, key, name).map(Aim::Host),
        }
    }

    /// The host with this name; an address or a DNS name is one itself.
    fn host_named(
        &mut self,
        table: &mut Table,
        key: String,
        host: &Spanned<String>,
    ) -> Option<HostId> {
        let (name, span, source) = (host.get_ref(), host.span(), self.source);
        let known = table.hosts().len();
        let id = table.host(name, || source.place(span.start), &key);
        // A name without a dot is rarely found in DNS, and easily misspelt.
        let new = table.hosts().get(known);
        let in_dns = new.is_some_and(|new| {
            let named = |target: &Target| matches!(target, Target::Name(_));
            new.servers.iter().any(|server| named(&server.target))
        });
        let address = new.and_then(|new| match new.servers.first()?.target {
            Target::Address(address) => Some(address),
            Target::Name(_) => None,
        });
        if let Some(Err(why)) = address.map(|address| self.allowed.check(address)) {
            self.report(&span, &key, why);
        }
        if in_dns && !name.contains('.') {
            let message = format!("{name:?} is none of [hosts]{DNS_IS_ASKED}");
            self.warn(&span, &key, message);
        }
        id.map_err(|bad| self.report(&span, &key, bad.to_string()))
            .ok()
    }

    //-------- Moves and probes ----------------------------------------------

    fn one_move(
        &mut self,
        table: &mut Table,
        all: &Moves,
        name: &Spanned<String>,
        users: &Spanned<file::Move>,
    ) -> Option<Move> {
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
        // With one end only, so that routes that lead here are not complained about as well.
        Some(Move {
            name: name.get_ref().as_str().into(),
            old: old.or(new)?,
            new: new.or(old)?,
            moved,
            moving,
        })
    }

    fn probes(&mut self, probes: &file::Probes) -> Probes {
        let kinds = [
            ("greeting", ProbeKind::Greeting),
            ("connect", ProbeKind::Connect),
            ("off", ProbeKind::Off),
        ];
        let kind = self.word("probes.kind", &probes.kind, &kinds);
        let interval = self.number("probes.interval", &probes.interval, 1..=3600);
        let timeout = self.number("probes.timeout-ms", &probes.timeout_ms, 50..=10_000);
        Probes {
            kind: kind.unwrap_or(ProbeKind::Greeting),
            interval: Duration::from_secs(interval),
            timeout: Duration::from_millis(timeout),
        }
    }
}
