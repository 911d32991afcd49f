//! Whether the time of a refusal tells a wrong password from an unknown user, one who is switched off,
//! one without a password, and one of whom too many passwords were tried.

use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::Outcome;
use crate::lab::{Lab, Level, Program};
use crate::process::{pin, unpin};
use crate::race::{median, quantile, welch};
use crate::requests::{Connection, Front, Variables, check_refusal};
use crate::wire::{Client, output};

/// The right password of every user; the requests bring another.
const RIGHT: &str = "the right one";

/// Users with a password.
const USERS: usize = 1000;

/// What stands behind a login's colon, made of the hash.
type Stored = fn(&str) -> String;

/// A third wrong password of one login is refused without a store being asked. That of the network is
/// not, or all would be; so all of them are held back by nginx, for the same second.
const THROTTLE: &str = "[nginx]\nkey = \"2f1c0a9d8b7e6f5a\"\n[throttle]\nfree-failures = 1\n\
                        waits = [1]\nrefuse-network = 0\n";

/// The start of the logins that have had theirs.
const THROTTLED: &str = "guessed";

/// Who else is refused than users with a wrong password: the name in the table, the start of the
/// logins, and what stands behind the colon in their lines; `None` for those who are not in it.
const CASES: [(&str, &str, Option<Stored>); 4] = [
    ("throttled login", THROTTLED, Some(str::to_owned)),
    ("unknown user", "nobody", None),
    (
        "disabled user",
        "gone",
        Some(|hash| format!("{hash}::::::nologin")),
    ),
    ("no password", "locked", Some(|hash| format!("!{hash}"))),
];

/// Where the users are.
#[derive(Clone, Copy)]
enum Place {
    File,
    Sqlite,
}

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    pin(&lab.options.cpu.to_string())?;
    let rounds = if lab.options.quick { 100 } else { 2000 };
    println!("\n### Time of a refusal, {rounds} of each, interleaved, on one CPU\n");
    println!(
        "| users in, passwords as | refused for | wrong password | that | difference | Welch's t |"
    );
    println!("|---|---|---|---|---|---|");
    let mut apart = 0;
    for (scheme, hash) in schemes()? {
        apart += table(lab, Place::File, &scheme, &hash, rounds)?;
    }
    let hash = hashed(Command::new("openssl").args(["passwd", "-6", "-stdin"]))?;
    apart += table(lab, Place::Sqlite, "SHA512-CRYPT", &hash, rounds)?;
    println!(
        "\nTwo cases can be distinguished by their time if t is beyond ±4.5, or if their medians differ by \
         2 % and by a millisecond: this is true for {apart} of them."
    );
    unpin()
}

/// All schemes, cheap where their cost can be chosen. Where nobody needs the right password, the
/// digest is made up.
fn schemes() -> Outcome<Vec<(String, String)>> {
    let hex = |scheme: &str, bytes: usize| format!("{{{scheme}.HEX}}{}", "0".repeat(2 * bytes));
    let argon2 = |name: &str| format!("${name}$v=19$m=64,t=1,p=1$c2FsdHNhbHQ${}", "A".repeat(22));
    let made = [
        ("SSHA256", ssha256()?),
        (
            "SHA512-CRYPT",
            hashed(Command::new("openssl").args(["passwd", "-6", "-stdin"]))?,
        ),
        (
            "BLF-CRYPT, cost 5",
            hashed(Command::new("htpasswd").args(["-inB", "x"]))?,
        ),
        ("PLAIN", format!("{{PLAIN}}{RIGHT}")),
        ("PLAIN-MD5", hex("PLAIN-MD5", 16)),
        ("SMD5", hex("SMD5", 20)),
        ("SHA", hex("SHA", 20)),
        ("SSHA", hex("SSHA", 24)),
        ("SHA256", hex("SHA256", 32)),
        ("SHA512", hex("SHA512", 64)),
        ("SSHA512", hex("SSHA512", 72)),
        ("SHA384", hex("SHA384", 48)),
        ("SSHA384", hex("SSHA384", 56)),
        ("CRAM-MD5", hex("CRAM-MD5", 32)),
        ("MD5-CRYPT", format!("$1$saltsalt${}", ".".repeat(22))),
        ("$apr1$", format!("$apr1$saltsalt${}", ".".repeat(22))),
        (
            "SHA256-CRYPT, 1000 rounds",
            format!("$5$rounds=1000$saltsalt${}", ".".repeat(43)),
        ),
        (
            "PBKDF2, 100 rounds",
            format!("{{PBKDF2}}$1$salt$100${}", "0".repeat(40)),
        ),
        (
            "PBKDF2-SHA512, 100 rounds",
            format!("{{PBKDF2-SHA512}}100$c2FsdA${}", "A".repeat(86)),
        ),
        (
            "SCRAM-SHA-256, 100 rounds",
            format!("{{SCRAM-SHA-256}}100,c2FsdA,{0},{0}", "A".repeat(43)),
        ),
        (
            "yescrypt",
            "$y$j75$owaJb273p96n0a7G74zel/$uRLrCtFyeK2mr0c4LnC9sOUCWzJ3yw0Ux3Pre3kONc1".to_owned(),
        ),
        ("ARGON2I, 64 KiB", argon2("argon2i")),
        ("ARGON2ID, 64 KiB", argon2("argon2id")),
    ];
    Ok(made.map(|(scheme, hash)| (scheme.to_owned(), hash)).into())
}

/// Prints the cases of one scheme; how many of them could be told apart.
fn table(lab: &Lab, place: Place, scheme: &str, hash: &str, rounds: usize) -> Outcome<usize> {
    let (wrong, others) = one(lab, place, hash, rounds)?;
    let mut apart = 0;
    for ((case, ..), other) in CASES.iter().zip(others) {
        let (middle, median_of_other) = (median(&wrong), median(&other));
        // As dudect does: what the scheduler held up says nothing about the program.
        let both: Vec<f64> = wrong.iter().chain(&other).copied().collect();
        let bound = quantile(&both, 0.95);
        let cropped = |sample: &[f64]| -> Vec<f64> {
            let below = sample.iter().copied().filter(|time| *time <= bound);
            below.collect()
        };
        let t = welch(&cropped(&other), &cropped(&wrong));
        let difference = median_of_other - middle;
        let share = difference / middle;
        let alike = t.abs() < 4.5 && (share.abs() < 0.02 || difference.abs() < 1000.0);
        apart += usize::from(!alike);
        let users = match place {
            Place::File => "a file",
            Place::Sqlite => "SQLite",
        };
        println!(
            "| {users}, {scheme} | {case} | {middle:.1} µs | {median_of_other:.1} µs | {:+.2} % | {t:+.1} |",
            share * 100.0,
        );
    }
    Ok(apart)
}

/// Microseconds of each refusal: wrong password, and the cases.
fn one(lab: &Lab, place: Place, hash: &str, rounds: usize) -> Outcome<(Vec<f64>, Vec<Vec<f64>>)> {
    let login = |start: &str, n: usize| format!("{start}{:04}@example.org", n % USERS);
    let mut users: Vec<(String, String)> = Vec::new();
    for n in 0..USERS {
        users.push((login("user", n), hash.to_owned()));
        for (_, start, stored) in CASES {
            if let Some(stored) = stored {
                users.push((login(start, n), stored(hash)));
            }
        }
    }
    let routes = format!("{THROTTLE}[routes]\ndefault = \"192.0.2.1\"\n");
    match place {
        Place::File => {
            let lines: String = users
                .iter()
                .map(|(login, stored)| format!("{login}:{stored}\n"))
                .collect();
            let file = lab.write("users", &lines)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
            lab.configure(&format!(
                "[[users]]\nstore = \"file\"\npath = \"users\"\nallow-weak-schemes = true\n{routes}"
            ))?;
        }
        Place::Sqlite => {
            let rows = users.iter().map(|(login, stored)| {
                let (hash, nologin) = stored
                    .split_once("::::::nologin")
                    .map_or((stored.as_str(), 0), |(hash, _)| (hash, 1));
                format!("INSERT INTO users VALUES ('{login}', '{hash}', {nologin});\n")
            });
            let sql = rows.collect::<String>();
            let sql = format!(
                "BEGIN; DROP TABLE IF EXISTS users;\n\
                 CREATE TABLE users (login TEXT PRIMARY KEY, password TEXT, nologin INTEGER);\n\
                 {sql}COMMIT;\n"
            );
            let file = lab.write("users.db", "")?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
            let mut sqlite = Command::new("sqlite3")
                .arg(&file)
                .stdin(Stdio::piped())
                .spawn()?;
            if let Some(input) = &mut sqlite.stdin {
                input.write_all(sql.as_bytes())?;
            }
            drop(sqlite.stdin.take());
            sqlite.wait()?;
            lab.configure(&format!(
                "[[users]]\nstore = \"sql\"\nurl = \"sqlite:users.db\"\n\
                 query = \"SELECT password, nologin FROM users WHERE login = {{login}}\"\n{routes}"
            ))?;
        }
    }
    let server = lab.serve(Program::Ours(Level::Warn), 1)?;
    let mut client = Client::new(server.address.clone(), Connection::Kept);
    let mut ask_with = |login: &str, password: &str| -> Outcome<f64> {
        let variables = Variables::new(Front::Apache, login, "imap", Some(password), "");
        let request = variables.fastcgi(Connection::Kept)?;
        let start = Instant::now();
        let answer = client.ask(&request)?.to_vec();
        let time = start.elapsed().as_secs_f64() * 1e6;
        check_refusal(&output(&answer))?;
        Ok(time)
    };
    // Also, the database's users are known when the first of them has come.
    for n in 0..USERS.min(rounds) {
        for password in ["first", "second"] {
            ask_with(&login(THROTTLED, n), password)?;
        }
    }
    // The right one has no effect any more.
    ask_with(&login(THROTTLED, 0), RIGHT)?;
    let starts = ["user"].into_iter().chain(CASES.map(|(_, start, _)| start));
    let mut all: Vec<_> = starts.map(|start| (start, Vec::new())).collect();
    // In another order each time: a request may well be a little faster or slower after another.
    let random = RandomState::new();
    let mut order: Vec<usize> = (0..all.len()).collect();
    for n in 0..rounds {
        order.sort_by_key(|one| random.hash_one((n, one)));
        for one in &order {
            let (start, times) = &mut all[*one];
            times.push(ask_with(&login(start, n), "wrong")?);
        }
    }
    let mut all = all.into_iter().map(|(_, times)| times);
    let wrong = all.next().unwrap_or_default();
    Ok((wrong, all.collect()))
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
