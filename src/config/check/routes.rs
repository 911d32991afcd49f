//! `[hosts]`, `[routes]` and `[ports]` to a [`Table`].

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::Checker;
use crate::config::file;
use crate::config::source::written;
use crate::route::{Bad, Host, HostId, Ports, Table, Target};

impl Checker<'_> {
    pub(super) fn table(
        &mut self,
        routes: file::Routes,
        hosts: BTreeMap<Spanned<String>, Spanned<file::HostEntry>>,
        ports: &file::Ports,
    ) -> Table {
        let ports = Ports {
            imap: self.port("ports.imap", &ports.imap),
            pop3: self.port("ports.pop3", &ports.pop3),
            smtp: self.port("ports.smtp", &ports.smtp),
        };
        let hosts = hosts
            .into_iter()
            .map(|(name, host)| self.host(&name, host, ports))
            .collect();
        let ttl = self.number("routes.resolve-ttl", &routes.resolve_ttl, 1..=86_400);
        let mut table = Table::new(hosts, ports, Duration::from_secs(ttl));
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

    fn routes<'r>(
        &mut self,
        table: &mut Table,
        section: &str,
        routes: impl IntoIterator<Item = (&'r Spanned<String>, &'r Spanned<String>)>,
        add: impl Fn(&mut Table, &str, HostId) -> Result<(), Bad>,
    ) {
        for (what, host) in routes {
            let key = format!("routes.{section}.{}", written(what.get_ref()));
            let Some(id) = self.target(table, key.clone(), host) else {
                continue;
            };
            if let Err(bad) = add(table, what.get_ref(), id) {
                self.report(&what.span(), &key, bad.to_string());
            }
        }
    }

    /// The host that a route names.
    fn target(&mut self, table: &mut Table, key: String, host: &Spanned<String>) -> Option<HostId> {
        let (name, span, source) = (host.get_ref(), host.span(), self.source);
        let known = table.hosts().len();
        match table.host(name, || source.place(span.start), &key) {
            Ok(id) => {
                // A name without a dot is rarely found in DNS, and easily misspelt.
                if table.hosts().len() > known
                    && !name.contains('.')
                    && matches!(table.hosts()[known].target, Target::Name(_))
                {
                    let message = format!("{name:?} is none of [hosts], so DNS is asked for it");
                    self.warn(&span, &key, message);
                }
                Some(id)
            }
            Err(bad) => {
                self.report(&span, &key, bad.to_string());
                None
            }
        }
    }

    fn host(
        &mut self,
        name: &Spanned<String>,
        entry: Spanned<file::HostEntry>,
        ports: Ports,
    ) -> Host {
        let span = entry.span();
        let host = entry.into_inner().0;
        let key = format!("hosts.{}", written(name.get_ref()));
        if name.get_ref().is_empty() {
            self.report(&name.span(), &key, "a host must have a name");
        }
        let mut port = |word: &str, own: &Option<Spanned<i64>>| {
            let own = own.as_ref()?;
            Some(self.port(&format!("{key}.{word}"), own))
        };
        let all = port("port", &host.port);
        let ports = Ports {
            imap: port("imap", &host.imap).or(all).unwrap_or(ports.imap),
            pop3: port("pop3", &host.pop3).or(all).unwrap_or(ports.pop3),
            smtp: port("smtp", &host.smtp).or(all).unwrap_or(ports.smtp),
        };
        // One that is written as a string has no place but that of the whole entry.
        let (span, key) = match host.address.as_ref().map(Spanned::span) {
            Some(own) if own.end == 0 => (span, key),
            Some(own) => (own, format!("{key}.address")),
            None => (span, format!("{key}.address")),
        };
        let target = match host.address.map(Spanned::into_inner) {
            None => Err("is missing".to_owned()),
            Some(address) => Target::parse(&address).map_err(|bad| match bad {
                Bad::HostName(name) => format!("{name:?} is neither an address nor a DNS name"),
                bad => bad.to_string(),
            }),
        };
        let target = target.unwrap_or_else(|message| {
            self.report(&span, &key, message);
            // Stays in the table, so that its routes are not complained about as well.
            Target::Name(name.get_ref().as_str().into())
        });
        Host {
            name: name.get_ref().as_str().into(),
            place: matches!(target, Target::Name(_)).then(|| self.source.place(span.start)),
            target,
            ports,
            key,
        }
    }
}
