//! Redis with more than one server, and guessing while one of them fails.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::support::process::{Server, free_port, program, wait_until};
use crate::support::redis::Redis;
use crate::support::serving::Serving;
use crate::support::temp_dir::TempDir;
use crate::support::throttled::{Asked, Said};

/// Wrong passwords of one login from one network after which it is refused, by [`BOUND_KEYS`].
pub(crate) const BOUND: usize = 400;

/// No login is accepted without the counts, and the answer shows the effect of the counts.
pub(crate) const BOUND_KEYS: &str = "without-state = \"refuse\"\nfree-failures = 399\nwaits = [1]\n\
                                     refuse-network = 100000\n";

/// A primary, its replica, and sentinels that watch them.
pub(crate) struct Sentinels {
    pub(crate) primary: Redis,
    _replica: Redis,
    pub(crate) sentinels: Vec<Sentinel>,
}

/// One sentinel, with the password "sentinel-password".
pub(crate) struct Sentinel {
    pub(crate) server: Server,
    pub(crate) port: u16,
    folder: TempDir,
}

impl Sentinel {
    /// Watches a primary on this port as the service `main`; `lines` are more of its configuration.
    pub(crate) fn start(primary: u16, quorum: u32, lines: &str) -> Self {
        let folder = TempDir::new();
        let port = free_port(Ipv4Addr::LOCALHOST);
        let conf = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nrequirepass sentinel-password\n\
             sentinel sentinel-pass sentinel-password\n\
             sentinel monitor main 127.0.0.1 {primary} {quorum}\n\
             sentinel auth-pass main redis-password\n\
             sentinel down-after-milliseconds main 400\n\
             sentinel failover-timeout main 3000\n{lines}\n",
            folder.path().display()
        );
        let conf = folder.write("sentinel.conf", conf);
        folder.write("password", "sentinel-password");
        let mut command = Command::new(program("redis-sentinel", "redis-sentinel"));
        command.arg(conf);
        let mut server = Server::start(&mut command, folder.path().join("output"));
        server.wait_for_port(Ipv4Addr::LOCALHOST, port);
        Self {
            server,
            port,
            folder,
        }
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    fn knows(&self, what: &str) -> bool {
        let output = Command::new(program("redis-cli", "redis-tools"))
            .env("REDISCLI_AUTH", "sentinel-password")
            .args(["-p", &self.port.to_string(), "SENTINEL", "MASTER", "main"])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        said.contains(what)
    }
}

impl Sentinels {
    pub(crate) fn start() -> Self {
        let primary = Redis::start_with(
            free_port(Ipv4Addr::LOCALHOST),
            "masterauth redis-password\nrepl-diskless-sync-delay 0",
        );
        let port = primary.port;
        let replica = Redis::start_with(
            free_port(Ipv4Addr::LOCALHOST),
            &format!("masterauth redis-password\nreplicaof 127.0.0.1 {port}"),
        );
        wait_until("the replica to follow", || {
            replica
                .command(&["INFO", "replication"])
                .contains("master_link_status:up")
        });
        let sentinels: Vec<_> = (0..3).map(|_| Sentinel::start(port, 2, "")).collect();
        for sentinel in &sentinels {
            wait_until("the sentinels to know each other", || {
                sentinel.knows("num-other-sentinels\n2\n") && sentinel.knows("num-slaves\n1\n")
            });
        }
        Self {
            primary,
            _replica: replica,
            sentinels,
        }
    }

    /// The keys of `[throttle]` for them.
    pub(crate) fn keys(&self) -> String {
        let ports = self.sentinels.iter().map(|one| one.port);
        let servers: Vec<_> = ports.map(|port| format!("127.0.0.1:{port}")).collect();
        format!(
            "state = \"redis-sentinel://{}/main\"\npassword-file = {:?}\n\
             sentinel-password-file = {:?}\ntimeout-ms = 1000\n{BOUND_KEYS}",
            servers.join(","),
            self.primary.password_file(),
            self.sentinels[0].password_file(),
        )
    }
}

/// Three nodes of a cluster with a part of the slots each, and a replica of the first one, which has
/// the counts.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::start_with(4, String::new)
    }

    /// This many nodes, each with more lines of configuration.
    pub(crate) fn start_with(count: usize, lines: impl Fn() -> String) -> Self {
        let nodes: Vec<_> = (0..count)
            .map(|_| {
                let port = free_port(Ipv4Addr::LOCALHOST);
                let bus = free_port(Ipv4Addr::LOCALHOST);
                let lines = format!(
                    "cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 1000\n\
                     cluster-config-file nodes.conf\ncluster-require-full-coverage no\n\
                     masterauth redis-password\nrepl-diskless-sync-delay 0\n{}",
                    lines()
                );
                (Redis::start_with(port, &lines), bus)
            })
            .collect();
        for ((node, _), slots) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            let (first, last) = (slots.0.to_string(), slots.1.to_string());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
        }
        for (node, bus) in &nodes[1..] {
            let (port, bus) = (node.port.to_string(), bus.to_string());
            nodes[0]
                .0
                .command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Self {
            nodes: nodes.into_iter().map(|(node, _)| node).collect(),
        };
        cluster.wait_for("cluster_known_nodes:", &count.to_string());
        if let [owner, _, _, replica, ..] = cluster.nodes.as_slice() {
            let owner = owner.command(&["CLUSTER", "MYID"]);
            wait_until("the replica to know its primary", || {
                replica.command(&["CLUSTER", "NODES"]).contains(&owner)
            });
            replica.command(&["CLUSTER", "REPLICATE", &owner]);
            wait_until("the replica to follow", || {
                replica
                    .command(&["INFO", "replication"])
                    .contains("master_link_status:up")
            });
        }
        cluster.wait_for("cluster_state:", "ok");
        cluster
    }

    fn wait_for(&self, field: &str, value: &str) {
        let line = format!("{field}{value}\r\n");
        wait_until(&line, || {
            let infos = self
                .nodes
                .iter()
                .map(|node| node.command(&["CLUSTER", "INFO"]));
            infos
                .into_iter()
                .all(|info| format!("{info}\r\n").contains(&line))
        });
    }

    /// The keys of `[throttle]` that name these nodes.
    pub(crate) fn keys(&self, nodes: &[usize]) -> String {
        let servers: Vec<_> = nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", self.nodes[*node].port))
            .collect();
        format!(
            "state = \"redis-cluster://{}\"\npassword-file = {:?}\ntimeout-ms = 1000\n{BOUND_KEYS}",
            servers.join(","),
            self.nodes[0].password_file(),
        )
    }
}

const GUESSER: &str = "192.0.2.10";
const OWNER: &str = "198.51.100.7";

/// Three clients guess the password of alice as fast as they can, and bob logs in, before `fail`, while
/// it has its effect, and until the guesses are refused. Each guess beyond the bound is refused, and
/// nobody gets another answer than the right one or the temporary failure.
pub(crate) fn guess_through(server: &Serving, fail: impl FnOnce()) {
    let (answered, missed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let refused = AtomicBool::new(false);
    thread::scope(|scope| {
        for guesser in 0..3 {
            let (answered, missed, refused) = (&answered, &missed, &refused);
            scope.spawn(move || {
                let mut at_the_bound = 0;
                for number in 0.. {
                    let password = format!("secret-wrong-{guesser}-{number}");
                    wait_until("an answer to a guess", || {
                        match server.log_in(GUESSER, "alice", &password) {
                            Said::Out(0) => {}
                            Said::Out(1) => at_the_bound += 1,
                            Said::Temporary => {
                                missed.fetch_add(1, Ordering::Relaxed);
                                return false;
                            }
                            other => panic!("{other:?}"),
                        }
                        true
                    });
                    answered.fetch_add(1, Ordering::Relaxed);
                    if at_the_bound == 20 {
                        refused.store(true, Ordering::Relaxed);
                        return;
                    }
                }
            });
        }
        scope.spawn(|| {
            wait_until("the guesses to be refused", || {
                let said = server.log_in(OWNER, "bob", "secret-right");
                assert!(matches!(said, Said::In | Said::Temporary), "{said:?}");
                refused.load(Ordering::Relaxed)
            });
        });
        wait_until("some guesses", || answered.load(Ordering::Relaxed) >= 50);
        fail();
    });
    let log = server.log();
    assert!(missed.load(Ordering::Relaxed) > 0, "nothing failed: {log}");
    let checked = log.matches("cause=wrong-password").count();
    // A guess that was counted when the server failed was answered with the temporary failure.
    assert!((BOUND - 10..=BOUND).contains(&checked), "{checked}");
    assert_eq!(
        log.matches("throttle: can read the counts again").count(),
        1,
        "{log}"
    );
    is_at_the_bound(server);
}

/// The right password of alice is refused where the guesses came from, and bob logs in.
pub(crate) fn is_at_the_bound(server: &dyn Asked) {
    assert_eq!(
        server.log_in(GUESSER, "alice", "secret-right"),
        Said::Out(1)
    );
    assert_eq!(server.log_in(OWNER, "bob", "secret-right"), Said::In);
}

/// When a server that was stopped, and replaced, comes back, its old counts are not used. It takes
/// itself for the primary until it is told: a sentinel waits for eight seconds.
pub(crate) fn is_not_used_again(stopped: &Redis, servers: [&dyn Asked; 3]) {
    stopped.server.signal_all(Signal::CONT);
    for _ in 0..10 {
        servers.into_iter().for_each(is_at_the_bound);
    }
}

/// The rules of the line of docs/throttling.md for this kind of server.
pub(crate) fn documented(begins: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new("docs/throttling.md")).unwrap();
    let line = page.lines().find(|line| line.contains(begins));
    let words = line
        .unwrap_or_else(|| panic!("{begins}"))
        .split_whitespace();
    let rules = words.skip_while(|word| !word.starts_with(['~', '+']));
    rules.map(str::to_owned).collect()
}
