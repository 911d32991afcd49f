//! The fuzz targets over their seeds, and over seeds that were changed at random, the same way each
//! time. `cargo fuzz run -s none TARGET` goes on from the same seeds.

use std::fs;
use std::path::Path;

use crate::util::Random;

#[path = "../fuzz/targets.rs"]
mod targets;

/// Changed seeds for each target; a fifth of it where one run takes long.
const MUTATIONS: u64 = 100_000;

#[test]
fn records() {
    run("records", MUTATIONS);
}

#[test]
fn connection() {
    run("connection", MUTATIONS);
}

#[test]
fn request() {
    run("request", MUTATIONS);
}

#[test]
fn config() {
    run("config", MUTATIONS);
}

#[test]
fn password_file() {
    run("password_file", MUTATIONS);
}

#[test]
fn secret() {
    run("secret", MUTATIONS);
}

#[test]
fn log() {
    run("log", MUTATIONS);
}

#[test]
fn app_passwords() {
    run("app_passwords", MUTATIONS / 5);
}

#[test]
fn recipient() {
    run("recipient", MUTATIONS);
}

#[cfg(feature = "sql")]
#[test]
fn statement() {
    run("statement", MUTATIONS);
}

#[cfg(feature = "ldap")]
#[test]
fn directory() {
    run("directory", MUTATIONS);
}

fn run(name: &str, mutations: u64) {
    let (_, target) = *targets::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(name);
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let seeds: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
    for seed in &seeds {
        target(seed);
    }
    let random = &mut Random::seeded(14);
    for _ in 0..mutations {
        let mut data = random.pick(&seeds).clone();
        for _ in 0..=random.below(6) {
            mutate(&mut data, &seeds, random);
        }
        target(&data);
    }
}

fn mutate(data: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let at = random.below(data.len() as u64 + 1) as usize;
    match random.below(8) {
        0 => data.truncate(at),
        1 => data.insert(at, random.next() as u8),
        2 => {
            let odd = [0, 1, 0x7f, 0x80, 0xff, b'%', b'\n', b'"', b'$', b'{', b':'];
            data.insert(at, *random.pick(&odd));
        }
        3 if at < data.len() => drop(data.remove(at)),
        4 => {
            let other = random.pick(seeds);
            let from = random.below(other.len() as u64 + 1) as usize;
            let to = (from + random.below(40) as usize).min(other.len());
            data.splice(at..at, other[from..to].iter().copied());
        }
        5 => {
            let end = (at + random.below(40) as usize).min(data.len());
            let again = data[at..end].to_vec();
            data.splice(at..at, again);
        }
        _ if at < data.len() => data[at] ^= 1 << random.below(8),
        _ => {}
    }
}
