use super::*;

fn server(text: &str) -> ServerUrl {
    match Url::parse(text) {
        Ok(Url::Server(server)) => server,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn files() {
    for (text, path) in [
        ("sqlite:users.db", "users.db"),
        ("sqlite:../a%20b.db", "../a b.db"),
        ("sqlite:/srv/users.db", "/srv/users.db"),
        ("sqlite:///srv/users.db", "/srv/users.db"),
        ("SQLite:x", "x"),
    ] {
        assert_eq!(Url::parse(text), Ok(Url::Sqlite(path.to_owned())), "{text}");
    }
}

#[test]
fn servers() {
    let full = server("postgresql://mail%40x:p%3A%40ss@db.example.org:5433/mail");
    assert_eq!(full.family, Family::Postgres);
    assert_eq!(full.user, "mail@x");
    assert_eq!(full.password.as_deref().map(String::as_str), Some("p:@ss"));
    assert_eq!(full.host.as_deref(), Some("db.example.org"));
    assert_eq!(full.port, Some(5433));
    assert_eq!(full.database.as_deref(), Some("mail"));
    let lax = server("mariadb://u:a@b:c@[2001:db8::1]");
    assert_eq!(lax.password.as_deref().map(String::as_str), Some("a@b:c"));
    assert_eq!(lax.host.as_deref(), Some("2001:db8::1"));
    assert_eq!((lax.port, lax.database), (None, None));
    let local = server("mysql://u@/mail?socket=/run/mysqld/mysqld.sock");
    assert_eq!(local.host, None);
    assert_eq!(local.socket.as_deref(), Some("/run/mysqld/mysqld.sock"));
}

#[test]
fn errors_say_what_is_wrong_and_hold_no_password() {
    for (text, message) in [
        ("", "must be sqlite:FILE"),
        ("oracle://u:secret@h/d", "must be sqlite:FILE"),
        ("mysql:u:secret@h/d", "must be sqlite:FILE"),
        ("sqlite:", "names no file"),
        ("sqlite://x", "a file after sqlite:// must be absolute"),
        ("sqlite:x?mode=rw", "has options: leave them out"),
        ("postgres://h/d", "names no user"),
        ("postgres://:secret@h/d", "names no user"),
        ("postgres://u:secret@/d", "names no host"),
        (
            "postgres://u:secret@h:0/d",
            "has a port that is not 1 to 65535",
        ),
        ("postgres://u@h:secret", "has a port that is not 1 to 65535"),
        ("postgres://u:secret#@h/d", "# must be written as %23"),
        (
            "postgres://u:secret%zz@h/d",
            "has a password with a damaged percent-encoding",
        ),
        (
            "postgres://u:secret%00@h/d",
            "has a password with a NUL byte",
        ),
        ("postgres://u:secret@[::1/d", "lacks a ] behind the host"),
        (
            "postgres://u:secret@[x]/d",
            "has no IPv6 address in its brackets",
        ),
        (
            "postgres://u:secret@[::1]x/d",
            "has something behind the ] of the host",
        ),
        ("postgres://u:secret@h/d/e", "a / in the database's name"),
        (
            "postgres://u:secret@h h/d",
            "has a host that is neither a name nor an address",
        ),
        (
            "postgres://u:secret@h/d?sslmode=off",
            "has the option sslmode: use the key tls",
        ),
        (
            "postgres://u:secret@h/d?socket=/s",
            "has both a host and a socket",
        ),
        (
            "postgres://u:secret@/d?socket=s",
            "has a socket that is no absolute path",
        ),
        ("postgres://u:/secret@h/d", "has a / before its @"),
    ] {
        let error = Url::parse(text).unwrap_err();
        assert!(error.starts_with(message), "{text}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(!format!("{:?}", server("mysql://u:secret@h")).contains("secret"));
}

/// As libpq, PHP, SQLAlchemy, JDBC, MySQL's clients and Dovecot write it.
#[test]
fn what_is_written_elsewhere_is_told_how_to_write_here() {
    let socket = "write socket=PATH, and no host";
    for (options, advice) in [
        ("unix_socket=/run/mysqld/mysqld.sock", socket),
        ("unix-socket=/run/mysqld/mysqld.sock", socket),
        ("unixSocket=%2Frun%2Fmysqld%2Fmysqld.sock", socket),
        ("Socket=/run/mysqld/mysqld.sock", socket),
        ("host=/run/postgresql", socket),
        ("host=%2frun%2fpostgresql", socket),
        ("host=db.example.org", "write the host behind the @"),
        ("port=5433", "write it behind the host, HOST:PORT"),
        ("user=mail", "write USER@ before the host"),
        ("password=secret", "use the key password-file"),
        ("dbname=mail", "write it behind the host, HOST/DATABASE"),
        ("sslmode=verify-full", "use the key tls: \"verify\""),
        ("ssl-mode=REQUIRED", "use the key tls: \"verify\""),
        ("useSSL=false", "use the key tls: \"verify\""),
        ("sslrootcert=/ca.pem", "use the key ca-file"),
        ("ssl_ca=/ca.pem", "use the key ca-file"),
        (
            "sslcert=/c.pem",
            "certificates of clients are not supported",
        ),
        (
            "ssl-key=/k.pem",
            "certificates of clients are not supported",
        ),
        (
            "server-public-key-path=/k.pem",
            "use the key server-public-key-file",
        ),
        (
            "allowPublicKeyRetrieval=true",
            "a key that the server itself sends",
        ),
        ("connect_timeout=2", "use the key connect-timeout"),
        ("charset=utf8mb4", "leave it out"),
        ("target_session_attrs=any", "only socket can be given"),
    ] {
        let name = options.split('=').next().unwrap();
        for place in ["", "socket=/run/s&"] {
            let error = Url::parse(&format!("mysql://u@/d?{place}{options}")).unwrap_err();
            let expected = format!("has the option {name}: {advice}");
            assert!(error.starts_with(&expected), "{options}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
    for (text, message) in [
        ("mysql://u@/d?socket=/a&socket=/b", "has two sockets"),
        ("mysql://u@/d?socket=/a&", "has invalid options"),
        ("mysql://u@/d?", "has invalid options"),
        ("mysql://u@/d?a%20b=c", "has invalid options"),
        (
            "postgresql://u@/d?socket=/run/postgresql/.s.PGSQL.5432",
            "has a file for a socket: PostgreSQL's is named by its folder, \
             socket=/run/postgresql",
        ),
        (
            "postgresql://u@%2Frun%2Fpostgresql/d",
            "has a path for a host",
        ),
        ("mysql://u:a,b@one,two/d", "names several hosts"),
        ("postgresql://u@one:5432,two:5432/d", "names several hosts"),
        (
            "postgresql://u@[::1]:5432,[::2]:5432/d",
            "names several hosts",
        ),
    ] {
        let error = Url::parse(text).unwrap_err();
        assert!(error.starts_with(message), "{text}: {error}");
    }
    assert_eq!(
        server("mysql://u@/d?socket=%2Frun%2Fa%26b")
            .socket
            .as_deref(),
        Some("/run/a&b")
    );
}
