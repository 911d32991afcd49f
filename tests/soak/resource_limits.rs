//! Too few descriptors, too little memory: the program answers less, goes on, and recovers completely.

use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::support::process::wait_until;
use crate::support::soak::load;
use crate::support::soak::load::{ACCEPTED, Caller, REFUSED, TEMPORARY};
use crate::support::soak::victim::{Start, USERS, Victim, with_file};

/// Share of the processor that a program may take that has nothing to do.
const SPINNING: f64 = 0.1;

/// The share of the processor that it takes for a while.
fn share(victim: &Victim) -> f64 {
    let (start, before) = (Instant::now(), victim.cpu());
    thread::sleep(
        crate::support::soak::sizes()
            .lasting
            .min(Duration::from_secs(5)),
    );
    (victim.cpu() - before).as_secs_f64() / start.elapsed().as_secs_f64()
}

#[test]
fn with_32_descriptors_it_is_slow_but_not_dead() {
    let mut victim = Start::new(&with_file(""), USERS)
        .under(&["prlimit", "--nofile=32"])
        .listening();
    let mut worst: f64 = 0.0;
    let mut asked = 0;
    for _ in 0..2 {
        let silent: Vec<_> = (0..100).map(|_| connected(&victim.socket())).collect();
        wait_until("descriptors to be short", || {
            victim.log().contains("cannot accept a connection")
        });
        worst = worst.max(share(&victim));
        // The connections that wait before it are served, and then this one.
        let answer = Caller::new(&victim.socket()).ask("alice", "right");
        assert_eq!(answer.unwrap(), ACCEPTED);
        drop(silent);
        let ((), good) = load::beside(&victim.socket(), 4, Duration::ZERO, |_| {
            thread::sleep(Duration::from_millis(300));
        });
        assert_eq!(good.failed, 0, "{:?}", good.wrong);
        asked += good.asked;
    }
    assert!(victim.is_alive());
    crate::support::soak::report(
        "with 32 descriptors, beside 100 silent connections",
        asked,
        0,
        format_args!(
            "at most {:.1} % of a processor while short of them",
            worst * 100.0
        ),
    );
    assert!(worst <= SPINNING, "{worst}");
}

/// Hashes of which a few take all memory that there may be: each thread's allocations have 64 MiB of
/// addresses for themselves.
fn heavy_hash() -> String {
    let params = Params::new(48 << 10, 3, 1, None).unwrap();
    let mut digest = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(b"right", b"saltsaltsalt", &mut digest)
        .unwrap();
    let [salt, digest] = [&b"saltsaltsalt"[..], &digest].map(|it| STANDARD_NO_PAD.encode(it));
    format!("$argon2id$v=19$m=49152,t=3,p=1${salt}${digest}")
}

#[test]
fn with_512_mib_of_addresses_logins_that_need_more_are_put_off() {
    starve(None);
}

/// glibc reserves 64 MiB of addresses for each of up to eight threads a core, which may leave no
/// room for a hash; an administrator who limits addresses can limit that too (mallopt(3)).
#[test]
fn with_512_mib_of_addresses_and_few_arenas_there_is_room_for_a_hash_alone() {
    starve(Some("MALLOC_ARENA_MAX=2"));
}

fn starve(setting: Option<&str>) {
    let users = format!("{USERS}heavy:{{ARGON2ID}}{}\n", heavy_hash());
    let config = with_file("[limits]\nmax-hashes = 8\nremembered-logins = 0\n");
    let mut victim = Start::new(&config, &users)
        .under(&["env", setting.unwrap_or("A=b"), "prlimit", "--as=536870912"])
        .listening();
    let (mut accepted, mut put_off) = (0, 0);
    // An unknown login costs as much as a hash.
    let known = [("alice", "right", ACCEPTED), ("alice", "wrong", REFUSED)];
    let pause = Duration::from_millis(2);
    let ((), good) = load::beside_with(&known, &victim.socket(), 4, pause, |_| {
        thread::scope(|scope| {
            let asking: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut caller = Caller::new(&victim.socket());
                        let ask = |_| caller.ask("heavy", "right").unwrap();
                        (0..3).map(ask).collect::<Vec<_>>()
                    })
                })
                .collect();
            for answer in asking.into_iter().flat_map(|client| client.join().unwrap()) {
                match answer.as_str() {
                    ACCEPTED => accepted += 1,
                    TEMPORARY => put_off += 1,
                    other => panic!("{other}\n{}", victim.log()),
                }
            }
        });
    });
    assert!(victim.is_alive(), "{}", victim.log());
    assert_eq!(good.failed, 0, "{:?}\n{}", good.wrong, victim.log());
    let alone = Caller::new(&victim.socket()).ask("heavy", "right").unwrap();
    let has_been = alone == ACCEPTED || setting.is_none() && alone == TEMPORARY;
    assert!(has_been, "{alone}\n{}", victim.log());
    // With more threads than there are addresses for their stacks.
    let silent: Vec<_> = (0..1000)
        .map(|_| UnixStream::connect(victim.socket()).unwrap())
        .collect();
    let worst = share(&victim);
    let answer = Caller::new(&victim.socket()).ask("alice", "right");
    assert_eq!(answer.unwrap(), ACCEPTED);
    drop(silent);
    crate::support::soak::report(
        &format!(
            "with 512 MiB of addresses{}, beside hashes of 48 MiB each",
            setting.map_or(String::new(), |setting| format!(" and {setting}"))
        ),
        good.asked,
        good.failed,
        format_args!(
            "of 24 logins with such a hash {accepted} let in, {put_off} put off; at most {:.1} % \
             of a processor beside 1,000 silent connections",
            worst * 100.0
        ),
    );
    assert!(worst <= SPINNING, "{worst}");
}

/// A connection. Where many wait for their turn, connecting may be interrupted (connect(2)).
fn connected(socket: &std::path::Path) -> UnixStream {
    loop {
        match UnixStream::connect(socket) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            connected => return connected.unwrap(),
        }
    }
}
