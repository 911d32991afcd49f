//! FastCGI directly on the socket, client and servers on one CPU.

use std::time::{Duration, Instant};

use crate::Outcome;
use crate::lab::{Lab, Level, Program, Server};
use crate::process::{pin, unpin};
use crate::race::{Contestant, Round, race};
use crate::report::{Table, Target};
use crate::requests::{CASES, Connection, Front, PASSWORD, check_refusal};
use crate::wire::{Checked, Client};

const OURS: [Program; 2] = [Program::Ours(Level::Warn), Program::Ours(Level::Info)];

/// Each front with the peers. nginx's parameters name no script, so PHP-FPM cannot answer them.
const RACES: [(Front, &[Program]); 2] = [
    (
        Front::Apache,
        &[Program::Libfcgi, Program::FastcgiCrate, Program::PhpFpm],
    ),
    (Front::Nginx, &[Program::Libfcgi]),
];

/// Requests between two looks at the clock.
const BURST: usize = 32;

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    lab.build_crate_peer()?;
    pin(&lab.options.cpu.to_string())?;
    let mut table = Table::new();
    for (front, peers) in RACES {
        for connection in [Connection::New, Connection::Kept] {
            one(lab, front, peers, connection, &mut table)?;
        }
    }
    table.print(&format!(
        "On the socket ({}), client and server on one CPU",
        if lab.options.tcp { "TCP" } else { "Unix" }
    ));
    unpin()
}

/// Compares ours at each log level with each peer.
fn one(
    lab: &Lab,
    front: Front,
    peers: &[Program],
    connection: Connection,
    table: &mut Table,
) -> Outcome<()> {
    let programs = [&OURS, peers].concat();
    let servers = programs
        .iter()
        .map(|program| lab.serve(*program, 1))
        .collect::<Outcome<Vec<Server>>>()?;
    let (rounds, time) = lab.options.rounds(31, Duration::from_millis(250));
    let mut contestants = Vec::new();
    for (program, server) in programs.iter().zip(&servers) {
        let mut load = Load::new(lab, server, front, connection)
            .map_err(|error| format!("{}: {error}", program.name()))?;
        contestants.push(Contestant {
            name: program.name(),
            load: Box::new(move || load.round(time)),
            cpu: Box::new(|| match program {
                // It ends a thread with each connection.
                Program::FastcgiCrate => server.cpu(),
                _ => server.exact_cpu(),
            }),
        });
    }
    let series = race(&mut contestants, rounds)?;
    let (ours, theirs) = series.split_at(OURS.len());
    for (ours, level) in ours.iter().zip(Level::ALL) {
        let what = format!(
            "{} variables, {}, {}",
            front.variables(),
            connection.name(),
            level.name()
        );
        for (peer, program) in theirs.iter().zip(peers) {
            // libfcgi logs nothing.
            let (rate, cpu) = if *program == Program::Libfcgi && level == Level::Warn {
                (Target::AtLeast(1.0), Target::AtMost(0.9))
            } else {
                (Target::Open, Target::Open)
            };
            table.rate(&what, ours, peer, rate);
            table.cpu_by_round(&what, ours, peer, cpu);
        }
    }
    Ok(())
}

/// One client with its requests, all of them checked.
pub(crate) struct Load {
    client: Client,
    requests: Vec<Checked>,
}

impl Load {
    pub(crate) fn new(
        lab: &Lab,
        server: &Server,
        front: Front,
        connection: Connection,
    ) -> Outcome<Self> {
        let mut client = Client::new(server.address.clone(), connection);
        let script = lab.path("mail-auth.php").display().to_string();
        let mut requests = Vec::new();
        for case in CASES {
            let variables = case.variables(front, Some(PASSWORD), &script);
            if variables.0.len() != front.variables() {
                return Err(format!("{} variables", variables.0.len()).into());
            }
            let request = variables.fastcgi(connection)?;
            let check = move |answer: &[u8]| case.check(answer);
            requests.push(Checked::new(&mut client, request, check)?);
            // Accepting everything is not enough.
            let without_password = case.variables(front, None, &script).fastcgi(connection)?;
            Checked::new(&mut client, without_password, check_refusal)?;
        }
        Ok(Self { client, requests })
    }

    /// Asks every request once.
    pub(crate) fn once(&mut self) -> Outcome<usize> {
        for request in &self.requests {
            request.ask(&mut self.client)?;
        }
        Ok(self.requests.len())
    }

    fn round(&mut self, time: Duration) -> Outcome<Round> {
        let start = Instant::now();
        let mut requests = 0;
        while start.elapsed() < time {
            for request in self.requests.iter().cycle().take(BURST) {
                request.ask(&mut self.client)?;
            }
            requests += BURST as u64;
        }
        Ok(Round {
            requests,
            elapsed: start.elapsed(),
            ..Round::default()
        })
    }
}
