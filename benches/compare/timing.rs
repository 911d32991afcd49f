//! Whether the time of a refusal tells an unknown user from a wrong password.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::Outcome;
use crate::lab::{Lab, Program};
use crate::process::{pin, unpin};
use crate::race::{median, quantile, welch};
use crate::requests::{Connection, Variables, check_refusal};
use crate::wire::{Client, output};

/// The right password of every user in the file; the requests bring another.
const RIGHT: &str = "the right one";

/// Users in the file.
const USERS: usize = 1000;

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    pin(&lab.options.cpu.to_string())?;
    let pairs = if lab.options.quick { 100 } else { 1000 };
    println!("\n### Time of a refusal, {pairs} of each, interleaved, on one CPU\n");
    println!("| scheme | wrong password | unknown user | difference | Welch's t |");
    println!("|---|---|---|---|---|");
    let schemes = [
        ("SSHA256", ssha256()?),
        (
            "SHA512-CRYPT",
            hashed(Command::new("openssl").args(["passwd", "-6", "-stdin"]))?,
        ),
        (
            "BLF-CRYPT, cost 5",
            hashed(Command::new("htpasswd").args(["-inB", "x"]))?,
        ),
    ];
    for (scheme, hash) in schemes {
        let (wrong, unknown) = one(lab, &hash, pairs)?;
        let (middle, other) = (median(&wrong), median(&unknown));
        // As dudect does: what the scheduler held up says nothing about the program.
        let both: Vec<f64> = wrong.iter().chain(&unknown).copied().collect();
        let bound = quantile(&both, 0.95);
        let cropped = |sample: &[f64]| -> Vec<f64> {
            sample
                .iter()
                .copied()
                .filter(|time| *time <= bound)
                .collect()
        };
        println!(
            "| {scheme} | {middle:.1} µs | {other:.1} µs | {:+.2} % | {:+.1} |",
            (other / middle - 1.0) * 100.0,
            welch(&cropped(&unknown), &cropped(&wrong))
        );
    }
    println!("\nBeyond ±4.5 the two could be told apart by their time.");
    unpin()
}

/// Microseconds of each refusal: wrong password, unknown user.
fn one(lab: &Lab, hash: &str, pairs: usize) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let lines: String = (0..USERS)
        .map(|n| format!("user{n:04}@example.org:{hash}\n"))
        .collect();
    let file = lab.write("users", &lines)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    lab.configure(
        "[[users]]\nstore = \"file\"\npath = \"users\"\n[routes]\ndefault = \"192.0.2.1\"\n",
    )?;
    let server = lab.serve(Program::Ours, 1)?;
    let mut client = Client::new(server.address.clone(), Connection::Kept);
    let mut ask = |login: String| -> Outcome<f64> {
        let request =
            Variables::new(&login, "imap", Some("wrong"), "").fastcgi(Connection::Kept)?;
        let start = Instant::now();
        let answer = client.ask(&request)?.to_vec();
        let time = start.elapsed().as_secs_f64() * 1e6;
        check_refusal(&output(&answer))?;
        Ok(time)
    };
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..pairs {
        wrong.push(ask(format!("user{:04}@example.org", n % USERS))?);
        unknown.push(ask(format!("nobody{:02}@example.org", n % 100))?);
    }
    Ok((wrong, unknown))
}

/// The hash that a command makes of the password on its standard input.
fn hashed(command: &mut Command) -> Outcome<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(input) = &mut child.stdin {
        writeln!(input, "{RIGHT}")?;
    }
    let out = child.wait_with_output()?;
    let text = String::from_utf8(out.stdout)?;
    Ok(text.trim().trim_start_matches("x:").to_owned())
}

fn ssha256() -> Outcome<String> {
    let salt = [7_u8; 16];
    let mut hash = Sha256::new();
    hash.update(RIGHT);
    hash.update(salt);
    let stored = [hash.finalize().as_slice(), &salt].concat();
    Ok(format!("{{SSHA256}}{}", STANDARD.encode(stored)))
}
