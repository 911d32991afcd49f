//! The fuzz targets over their seeds, and over seeds that were changed at random, the same way each
//! time. `fuzz/run` goes on from the same seeds, guided by what the code does with them.

use std::fs;
use std::path::Path;

use crate::support::random::Random;

#[path = "../../fuzz/targets/mod.rs"]
pub(crate) mod targets;

/// Makes one test for each target, over this many changed seeds.
#[allow(unused_macros, reason = "the servers target runs no fuzz targets")]
macro_rules! test_each_target {
    ($mutations:expr) => {
        crate::support::fuzz::test_each_target! {
            $mutations;
            always: records pairs connection conversation whole request credentials recipient
                certificate log answer config password_file app_passwords secret;
            servers: statement row directory addresses ldap ldap_login imap pop3 http redis token
                keys introspection
        }
    };
    ($mutations:expr; always: $($always:ident)*; servers: $($servers:ident)*) => {
        $(
            #[test]
            fn $always() {
                crate::support::fuzz::run(stringify!($always), $mutations);
            }
        )*
        $(
            #[cfg(feature = "servers")]
            #[test]
            fn $servers() {
                crate::support::fuzz::run(stringify!($servers), $mutations);
            }
        )*

        #[test]
        fn every_target_is_here() {
            let here = [$(stringify!($always),)* $(stringify!($servers)),*];
            for (name, _) in crate::support::fuzz::targets::ALL {
                assert!(here.contains(name), "{name}");
            }
        }
    };
}
#[allow(unused_imports, reason = "the servers target runs no fuzz targets")]
pub(crate) use test_each_target;

/// Gives a target its seeds, and this many mutations of them.
pub(crate) fn run(name: &str, mutations: u64) {
    let target = targets::named(name);
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
    // This target writes each input to a file.
    let mutations = if name == "keys" {
        mutations / 5
    } else {
        mutations
    };
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
