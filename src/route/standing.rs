//! The state of the configured mail servers, for the status page. It asks no server and waits for nothing.

use std::net::IpAddr;
use std::num::NonZeroU16;
use std::time::Instant;

use super::monitor::ProbeTarget;
use super::{Health, Host, Probing, Routes, Server, ServerAddress, Table};
use crate::login::Protocol;

/// One server of a host.
#[derive(Clone, Debug)]
pub struct ServerStanding<'a> {
    /// The server as configured.
    pub server: &'a Server,
    /// Its address; the error says why it is unknown. `None`: it gets no users.
    pub address: Option<Result<IpAddr, String>>,
    /// The results of probes, for the protocols that clients have asked for.
    pub probed: Vec<Probed>,
}

/// The result of the probes of one protocol.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: NonZeroU16,
    /// The health.
    pub health: Health,
    /// When it last changed.
    pub since: Instant,
}

impl Routes {
    /// Hosts, moves and rules.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Each host with the state of its servers.
    pub fn standing(&self) -> impl Iterator<Item = (&Host, Vec<ServerStanding<'_>>)> {
        let hosts = self.table.hosts().iter().zip(&self.server_addresses);
        hosts.map(|(host, addresses)| {
            let servers = host.servers.iter().zip(addresses);
            let standing = servers.map(|(server, place)| self.standing_of(host, server, place));
            (host, standing.collect())
        })
    }

    fn standing_of<'a>(
        &'a self,
        host: &Host,
        server: &'a Server,
        place: &ServerAddress,
    ) -> ServerStanding<'a> {
        let address = match place {
            ServerAddress::Unused => None,
            ServerAddress::Fixed(address) => Some(Ok(*address)),
            ServerAddress::Named(name) => Some(name.first().ok_or_else(|| {
                let trouble = name.trouble();
                trouble.map_or_else(|| "not looked up yet".to_owned(), |it| it.to_string())
            })),
        };
        let monitor = match &self.probing {
            Probing::Background(monitor) => Some(monitor),
            Probing::Off | Probing::InLine => None,
        };
        let known = address.as_ref().and_then(|address| address.as_ref().ok());
        let probed = monitor.zip(known).map(|(monitor, address)| {
            let protocols = [Protocol::Imap, Protocol::Pop3, Protocol::Smtp].into_iter();
            let probed = protocols.filter_map(|protocol| {
                let port = host.ports.of(protocol);
                let (health, since) = monitor.known(&ProbeTarget::new(*address, port, protocol))?;
                Some(Probed {
                    protocol,
                    port,
                    health,
                    since,
                })
            });
            probed.collect()
        });
        ServerStanding {
            server,
            probed: probed.unwrap_or_default(),
            address,
        }
    }
}
