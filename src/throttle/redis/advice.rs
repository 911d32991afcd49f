//! What to do about an error of a Redis server.

/// The rules of an ACL (redis.io, "ACL") under which a user may do all that we do, and no more.
const RULES: &str = "~{nginx-mail-auth}:* +eval +get +set +del +time +scan +select";

/// The commands that we give.
const COMMANDS: &str = "EVAL, GET, SET, DEL, TIME, SCAN, SELECT";

/// What the texts of errors hold, in any case, and what that means.
const CAUSES: [(&str, Cause); 14] = [
    ("readonly", Cause::Replica),
    ("read only replica", Cause::Replica),
    ("masterdown", Cause::Replica),
    ("noperm", Cause::Rights),
    ("no permissions", Cause::Rights),
    ("acl failure", Cause::Rights),
    // Redis 6 of a command in a script.
    ("user executing the script can't", Cause::Rights),
    ("can't run this command", Cause::Rights),
    ("unknown command", Cause::Renamed),
    // Redis 6 of a renamed command in a script.
    ("unknown redis command", Cause::Renamed),
    ("noauth", Cause::Password),
    ("moved ", Cause::Cluster),
    ("clusterdown", Cause::Cluster),
    ("oom ", Cause::Full),
];

#[derive(Clone, Copy)]
enum Cause {
    Replica,
    Rights,
    Renamed,
    Password,
    Cluster,
    Full,
}

/// What to do; `None` where the text says nothing that we know.
pub(super) fn of(error: &str, user: &str) -> Option<String> {
    let error = error.to_ascii_lowercase();
    let (_, cause) = CAUSES.iter().find(|(text, _)| error.contains(text))?;
    Some(match cause {
        Cause::Replica => "a replica cannot count: name the primary in state".to_owned(),
        Cause::Rights => format!("the user needs ACL SETUSER {user} {RULES}"),
        Cause::Renamed => format!("no rename-command can be used for these commands: {COMMANDS}"),
        Cause::Password => "name a password-file".to_owned(),
        Cause::Cluster => "all counts are on one node of a cluster: name that node".to_owned(),
        Cause::Full => "it has no memory left: raise maxmemory, or let it evict keys".to_owned(),
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
                "no rename-command can be used for these commands: EVAL, GET",
            ),
            ("NOAUTH Authentication required.", "name a password-file"),
            ("MOVED 866 127.0.0.1:7001", "all counts are on one node"),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "it has no memory left",
            ),
        ] {
            let found = of(error, "mail").unwrap_or_default();
            assert!(found.starts_with(advice), "{error}: {found}");
        }
        assert_eq!(
            of("LOADING Redis is loading the dataset in memory", "mail"),
            None
        );
    }
}
