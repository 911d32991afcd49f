//! How long a check of yescrypt takes here, and in libxcrypt, which perl calls.

use std::process::Command;
use std::time::{Duration, Instant};

use nginx_mail_auth::secret::{Password, Proof, Secret, WeakSchemes};

use crate::Outcome;
use crate::lab::Lab;
use crate::process::{pin, unpin};
use crate::race::median;

const PASSWORD: &str = "pass word";

/// What `mkpasswd` writes by default: 16 MiB.
const SETTING: &str = "$y$j9T$owaJb273p96n0a7G74zel/$";

pub(crate) fn compare(lab: &Lab) -> Outcome<()> {
    pin(&lab.options.cpu.to_string())?;
    let rounds = if lab.options.quick { 5 } else { 40 };
    let stored = perl("print crypt($ARGV[0], $ARGV[1])")?;
    let secret = Secret::parse(stored.as_bytes(), WeakSchemes::Refused)?;
    let secret = secret.ok_or("perl's crypt knows no yescrypt")?;
    let proof = Proof::Password(Password::new(PASSWORD.into()).map_err(|_| "the password")?);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        if !secret.matches(&proof) {
            return Err("the password does not fit".into());
        }
        ours.push(milliseconds(start.elapsed()));
        let took = perl(
            "use Time::HiRes 'time'; my $start = time; crypt($ARGV[0], $ARGV[1]); \
             print 1000 * (time - $start)",
        )?;
        theirs.push(took.parse::<f64>()?);
    }
    unpin()?;
    let (ours, theirs) = (median(&ours), median(&theirs));
    println!("\n### yescrypt, 16 MiB, {rounds} checks of each, interleaved, on one CPU\n");
    println!("| nginx-mail-auth | libxcrypt | ratio |\n|---|---|---|");
    println!("| {ours:.1} ms | {theirs:.1} ms | {:.2} |", ours / theirs);
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn perl(script: &str) -> Outcome<String> {
    let output = Command::new("perl")
        .args(["-e", script, PASSWORD, SETTING])
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}
