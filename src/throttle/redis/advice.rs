//! What to do about an error of a Redis server.

use super::settings::Kind;

/// The ACL rules (redis.io, "ACL") that grant a user exactly the permissions that the program needs.
const RULES: &str = "~{nginx-mail-auth}:* +eval +get +set +del +time +scan +select";

/// The commands that the program sends.
const COMMANDS: &str = "EVAL, GET, SET, DEL, TIME, SCAN, SELECT";

/// The further permissions that a user needs with sentinels, and in a cluster.
const SENTINEL_COMMAND: &str = "role";
const CLUSTER_COMMAND: &str = "asking";

/// Parts of error texts, compared without regard to case, and their meanings.
const CAUSES: [(&str, Cause); 17] = [
    ("readonly", Cause::Replica),
    ("read only replica", Cause::Replica),
    ("masterdown", Cause::Replica),
    ("noperm", Cause::Rights),
    ("no permissions", Cause::Rights),
    ("acl failure", Cause::Rights),
    // Redis 6 about a command in a script.
    ("user executing the script can't", Cause::Rights),
    ("can't run this command", Cause::Rights),
    ("unknown command", Cause::Renamed),
    // Redis 6 about a renamed command in a script.
    ("unknown redis command", Cause::Renamed),
    ("noauth", Cause::Password),
    ("moved ", Cause::Cluster),
    ("clusterdown", Cause::Down),
    ("tryagain", Cause::Moving),
    ("oom ", Cause::Full),
    ("noreplicas", Cause::Alone),
    ("cluster support disabled", Cause::NoCluster),
];

#[derive(Clone, Copy)]
enum Cause {
    Replica,
    Rights,
    Renamed,
    Password,
    Cluster,
    Down,
    Moving,
    Full,
    Alone,
    NoCluster,
}

fn cause(words: &str) -> Option<Cause> {
    let words = words.to_ascii_lowercase();
    let found = CAUSES.iter().find(|(text, _)| words.contains(text));
    found.map(|(_, cause)| *cause)
}

/// What to do about an error of a sentinel; `None` for an unknown error text.
pub(super) fn of_sentinel(words: &str, user: Option<&str>) -> Option<String> {
    match cause(words)? {
        Cause::Password => Some("set sentinel-password-file".to_owned()),
        Cause::Rights => {
            let user = user.unwrap_or("default");
            Some(format!(
                "the user needs ACL SETUSER {user} +sentinel|get-master-addr-by-name"
            ))
        }
        Cause::Renamed => Some("the server is not a sentinel: name sentinels in state".to_owned()),
        _ => None,
    }
}

/// What to do about an error of a server; `None` for an unknown error text.
pub(super) fn of_server(words: &str, user: Option<&str>, kind: &Kind) -> Option<String> {
    let more = match kind {
        Kind::Single => None,
        Kind::Sentinels(_) => Some(SENTINEL_COMMAND),
        Kind::Cluster => Some(CLUSTER_COMMAND),
    };
    let (plus, comma) = match more {
        None => (String::new(), String::new()),
        Some(name) => (
            format!(" +{name}"),
            format!(", {}", name.to_ascii_uppercase()),
        ),
    };
    Some(match cause(words)? {
        Cause::Replica if *kind != Kind::Single => return None,
        Cause::Replica => "a replica cannot count: name the primary in state".to_owned(),
        Cause::Rights => {
            let user = user.unwrap_or("default");
            format!("the user needs ACL SETUSER {user} {RULES}{plus}")
        }
        Cause::Renamed => {
            format!("remove rename-command for these commands: {COMMANDS}{comma}")
        }
        Cause::Password => "set password-file".to_owned(),
        Cause::Cluster => "the server is a node of a cluster: write \
            redis-cluster://HOST:PORT,…"
            .to_owned(),
        Cause::Down => "the cluster has no node for the counts at the moment".to_owned(),
        Cause::Moving => "the keys are being moved to another node".to_owned(),
        Cause::Full => "the server is out of memory: raise maxmemory, or set a maxmemory-policy \
            that evicts keys"
            .to_owned(),
        Cause::Alone => "too few replicas are connected for min-replicas-to-write".to_owned(),
        Cause::NoCluster => "the server is not a node of a cluster: write \
            redis://HOST:PORT"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of Redis 6.0, 6.2, 7.0 and Valkey 8.
    #[test]
    fn errors_say_what_to_do() {
        let rights = "the user needs ACL SETUSER mail ~{nginx-mail-auth}:* +eval";
        let replica = "a replica cannot count";
        for (error, advice) in [
            (
                "READONLY You can't write against a read only replica.",
                replica,
            ),
            (
                "ERR Error running script (call to f_1): @user_script:8: @user_script: 8: -READONLY \
                 You can't write against a read only replica.",
                replica,
            ),
            ("MASTERDOWN Link with MASTER is down", replica),
            (
                "NOPERM this user has no permissions to run the 'eval' command or its subcommand",
                rights,
            ),
            (
                "NOPERM User mail has no permissions to run the 'scan' command",
                rights,
            ),
            ("NOPERM No permissions to access a key", rights),
            (
                "ERR The user executing the script can't run this command or subcommand script: f_1",
                rights,
            ),
            (
                "ERR ACL failure in script: User mail has no permissions to run the 'time' command",
                rights,
            ),
            (
                "ERR unknown command 'EVAL', with args",
                "remove rename-command for these commands: EVAL, GET",
            ),
            ("NOAUTH Authentication required.", "set password-file"),
            (
                "MOVED 866 127.0.0.1:7001",
                "the server is a node of a cluster: write redis-cluster://",
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "the server is out of memory",
            ),
            (
                "NOREPLICAS Not enough good replicas to write.",
                "too few replicas are connected",
            ),
            (
                "ERR This instance has cluster support disabled",
                "the server is not a node of a cluster",
            ),
        ] {
            let found = of_server(error, Some("mail"), &Kind::Single).unwrap_or_default();
            assert!(found.starts_with(advice), "{error}: {found}");
        }
        let loading = "LOADING Redis is loading the dataset in memory";
        assert_eq!(of_server(loading, None, &Kind::Single), None);
    }

    #[test]
    fn the_acl_rules_depend_on_the_kind_of_server() {
        let rights = |kind| of_server("NOPERM", Some("mail"), &kind).unwrap();
        assert!(rights(Kind::Single).ends_with(" +select"));
        assert!(rights(Kind::Sentinels("main".to_owned())).ends_with(" +select +role"));
        assert!(rights(Kind::Cluster).ends_with(" +select +asking"));
        let advice = of_sentinel("NOPERM", None);
        let expected = "the user needs ACL SETUSER default +sentinel|get-master-addr-by-name";
        assert_eq!(advice.as_deref(), Some(expected));
    }
}
