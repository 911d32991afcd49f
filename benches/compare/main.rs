//! Compares the program with its peers, side by side; `benches/README.md` says how to read it.
//!
//! `cargo bench --bench compare` builds everybody, starts servers and an Apache of its own on
//! 127.0.0.1 and Unix sockets in a temporary folder, and prints tables.

use std::error::Error;
use std::time::Duration;

use clap::{Parser, ValueEnum};

mod apache;
mod exec;
mod fronts;
mod hashes;
mod http;
mod lab;
mod memory;
mod peers;
mod process;
mod race;
mod report;
mod requests;
mod socket;
mod timing;
mod wire;

use lab::Lab;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A part of the comparison.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// FastCGI directly on the socket.
    Socket,
    /// Behind Apache's mod_proxy_fcgi.
    ProxyFcgi,
    /// Behind mod_fcgid.
    Fcgid,
    /// CGI, exec to exit.
    Exec,
    /// CGI behind mod_cgid.
    Cgid,
    /// Memory in the course of a million requests.
    Memory,
    /// Wrong password against unknown user.
    Timing,
    /// The check of a password against libxcrypt, libargon2 and OpenSSL.
    Hashes,
}

/// Compares nginx-mail-auth with its peers.
#[derive(Clone, Parser)]
#[command(name = "compare", about)]
struct Options {
    /// What to run; everything if none is named.
    parts: Vec<Part>,
    /// A first impression, in about a minute.
    #[arg(long)]
    quick: bool,
    /// How many rounds each contestant has.
    #[arg(long)]
    rounds: Option<usize>,
    /// Runs the C program in our place: the ratios must come out as 1, and show the noise.
    #[arg(long)]
    same: bool,
    /// TCP instead of Unix sockets.
    #[arg(long)]
    tcp: bool,
    /// The CPU that is used where client and server share one.
    #[arg(long, default_value_t = 1)]
    cpu: u32,
    /// Keeps the temporary folder, with all configurations and logs.
    #[arg(long)]
    keep: bool,
    /// What `cargo bench` passes, and `cargo test` does not.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// How many rounds, and how long each is.
    fn rounds(&self, usual: usize, time: Duration) -> (usize, Duration) {
        let (rounds, time) = if self.quick {
            (5, time / 2)
        } else {
            (usual, time)
        };
        (self.rounds.unwrap_or(rounds), time)
    }
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    if !options.bench {
        println!("Run with: cargo bench --bench compare");
        return Ok(());
    }
    let parts = match options.parts.as_slice() {
        [] => Part::value_variants(),
        some => some,
    };
    let lab = Lab::set_up(options.clone())?;
    for part in parts {
        match part {
            Part::Socket => socket::compare(&lab)?,
            Part::ProxyFcgi => fronts::proxy_fcgi(&lab)?,
            Part::Fcgid => fronts::fcgid(&lab)?,
            Part::Exec => exec::compare(&lab)?,
            Part::Cgid => fronts::cgid(&lab)?,
            // These say nothing of the noise.
            Part::Memory | Part::Timing | Part::Hashes if lab.options.same => {}
            Part::Memory => memory::compare(&lab)?,
            Part::Timing => timing::compare(&lab)?,
            Part::Hashes => hashes::compare(&lab)?,
        }
    }
    Ok(())
}
