//! `[routes]`: which host a login goes to. Together with the other tables about mail servers, it makes a
//! [`Table`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::DNS_IS_ASKED;
use super::checker::Checker;
use super::hosts::{Host, HostEntry};
use super::moves::Move;
use super::ports::Ports;
use super::probes::Probes;
use super::source::unplaced;
use super::source::written;
use crate::login::domain;
use crate::route::{AllowedNetworks, BadRoute, HostId, RouteTarget, Table, Target};

/// `[routes]`: which host a login goes to: by exact login, else by domain, else by first letter, else the
/// default. A host is a name of `[hosts]`, or an address or DNS name itself.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Routes {
    /// The host of all logins without another route. Default: they get the temporary failure.
    pub(super) default: Option<Spanned<String>>,
    /// Whether logins and first letters ignore the case of ASCII letters. Domains always do. Default: false.
    pub(super) fold_case: bool,
    /// Seconds after which a host's DNS name is looked up again, 1 to 86400. Default: 300.
    pub(super) resolve_ttl: Spanned<i64>,
    /// The networks that mail servers may be in, in CIDR form. Applies to addresses from this file, from
    /// stores and from DNS. Default: anywhere.
    pub(super) allowed_networks: Option<Spanned<Vec<Spanned<String>>>>,
    /// `"alice@example.org" = "host"`.
    pub(super) login: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `"example.org" = "host"`: the part after the last `@`.
    pub(super) domain: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `acfg = "host"`: sets and ranges (`a-m`) of ASCII letters and digits.
    pub(super) first_letter: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Default for Routes {
    fn default() -> Self {
        Self {
            default: None,
            fold_case: false,
            resolve_ttl: unplaced(300),
            allowed_networks: None,
            login: BTreeMap::new(),
            domain: BTreeMap::new(),
            first_letter: BTreeMap::new(),
        }
    }
}

impl Checker<'_> {
    pub(super) fn table(
        &mut self,
        routes: Routes,
        hosts: BTreeMap<Spanned<String>, Spanned<HostEntry>>,
        moves: &BTreeMap<Spanned<String>, Spanned<Move>>,
        probes: &Probes,
        ports: &Ports,
    ) -> Table {
        let probes = self.probes(probes);
        let ports = self.ports(ports);
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
        // In the order of the file, so that the second of two duplicates is reported.
        let mut letters: Vec<_> = routes.first_letter.iter().collect();
        letters.sort_by_key(|(letters, _)| letters.span().start);
        self.routes(&mut table, "first-letter", letters, Table::route_letters);
        table
    }

    /// A host that is probably a line of another table: it gets no address, so that DNS is not asked for its
    /// value.
    fn without_stray_key(
        &mut self,
        name: &Spanned<String>,
        mut host: Spanned<HostEntry>,
    ) -> Spanned<HostEntry> {
        let address = host.get_ref().0.address.as_ref();
        let in_dns = address.is_some_and(|address| {
            let address = address.get_ref();
            !address.contains('.') && address.parse::<IpAddr>().is_err()
        });
        if in_dns && let Some(belongs) = (self.misplaced)(&["hosts"], name.get_ref()) {
            let message = format!("would be a host here; {belongs}");
            self.report(
                &name.span(),
                &format!("hosts.{}", written(name.get_ref())),
                message,
            );
            host.get_mut().0 = Host {
                state: Some(Spanned::new(host.span(), "moving".to_owned())),
                ..Host::default()
            };
        }
        host
    }

    fn routes<'r>(
        &mut self,
        table: &mut Table,
        section: &str,
        routes: impl IntoIterator<Item = (&'r Spanned<String>, &'r Spanned<String>)>,
        add: impl Fn(&mut Table, &str, RouteTarget) -> Result<(), BadRoute>,
    ) {
        for (what, host) in routes {
            let key = format!("routes.{section}.{}", written(what.get_ref()));
            // A login can have the name of a key; a domain has a dot.
            let odd = section == "domain" || table.declared(host.get_ref()).is_none();
            if odd && let Some(belongs) = (self.misplaced)(&["routes", section], what.get_ref()) {
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

    /// The target of a route.
    fn target(
        &mut self,
        table: &mut Table,
        key: String,
        name: &Spanned<String>,
    ) -> Option<RouteTarget> {
        match table.declared(name.get_ref()) {
            Some(target) => Some(target),
            None => self.host_named(table, key, name).map(RouteTarget::Host),
        }
    }

    /// The host with this name; an address or a DNS name is a host itself.
    pub(super) fn host_named(
        &mut self,
        table: &mut Table,
        key: String,
        host: &Spanned<String>,
    ) -> Option<HostId> {
        let (name, span, source) = (host.get_ref(), host.span(), self.source);
        let known = table.hosts().len();
        let id = table.host(name, || source.position(span.start), &key);
        // A name without a dot is rarely found in DNS, and often a typing error.
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
            let message = format!("{name:?} is not in [hosts]{DNS_IS_ASKED}");
            self.warn(&span, &key, message);
        }
        id.map_err(|bad| self.report(&span, &key, bad.to_string()))
            .ok()
    }
}
