//! PgBouncer between the program and PostgreSQL, in each of its modes: several clients share two
//! connections, and each gets the rows of its own statement.

use std::net::Ipv4Addr;
use std::process::Command;
use std::thread;

use crate::support::databases::{Engine, Kind, PASSWORD};
use crate::support::process::{Server, free_port, program};
use crate::support::sql_service::{Ask, OK, Service, cgi, command, folder, users};
use crate::support::temp_dir::TempDir;

/// Two tables of the same form. A row of the wrong one shows.
const TABLES: &str = "CREATE TYPE kind AS ENUM ('one'); \
    CREATE TABLE users (login TEXT, password TEXT, host INET, kind KIND); \
    CREATE TABLE customers (login TEXT, password TEXT, host INET, kind KIND); \
    INSERT INTO users VALUES ('alice', '{PLAIN}right', '192.0.2.1', 'one'); \
    INSERT INTO customers VALUES ('alice', '{PLAIN}other', '192.0.2.2', 'one')";

const THERE: &str = "Auth-Status: OK\nAuth-Server: 192.0.2.2\nAuth-Port: 143\n";

struct Pooler {
    _server: Server,
    _folder: TempDir,
    port: u16,
}

impl Pooler {
    fn start(engine: &Engine, mode: &str) -> Self {
        let folder = TempDir::new();
        let port = free_port(Ipv4Addr::LOCALHOST);
        // Those who keep a session need one each; all others share two.
        let size = if mode == "session" { 20 } else { 2 };
        let list = folder.write("users.txt", format!("\"mail\" \"{PASSWORD}\"\n"));
        let conf = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {}\npool_mode = {mode}\ndefault_pool_size = {size}\n",
            engine.port(),
            list.display(),
        );
        let conf = folder.write("bouncer.ini", conf);
        // It does not run as root.
        let mut chown = Command::new("chown");
        chown.args(["-R", "postgres"]).arg(folder.path());
        assert!(chown.status().unwrap().success());
        let mut command = Command::new(program("setpriv", "util-linux"));
        command
            .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
            .arg(program("pgbouncer", "pgbouncer"))
            .arg(conf);
        let mut server = Server::start(&mut command, folder.path().join("output"));
        server.wait_for_port(Ipv4Addr::LOCALHOST, port);
        Self {
            _server: server,
            _folder: folder,
            port,
        }
    }
}

fn query(table: &str) -> String {
    format!("SELECT password, host, kind, login FROM {table} WHERE login = {{login}}")
}

fn through(mode: &str) {
    let engine = Engine::shared(Kind::Postgres);
    let database = format!("pooler_{mode}");
    engine.make_database(&database, TABLES);
    let pooler = Pooler::start(engine, mode);
    let own = format!(":{}/", engine.port());
    let url = engine
        .url(&database)
        .replace(&own, &format!(":{}/", pooler.port));
    let of_users = Service::start(&users(&url, &query("users"), ""));
    let of_customers = Service::start(&users(&url, &query("customers"), ""));
    assert!(command(of_users.dir(), &["check"]).status.success());
    let ask = |password| Ask::new("alice", password);
    thread::scope(|scope| {
        for (service, password, answer) in
            [(&of_users, "right", OK), (&of_customers, "other", THERE)]
        {
            for _ in 0..2 {
                let asker = service.asker();
                scope.spawn(move || {
                    for _ in 0..50 {
                        let said = asker(&Ask::new("alice", password)).0;
                        assert_eq!(said, answer.trim_end_matches('\n').to_owned() + "\n");
                    }
                });
            }
        }
    });
    // Processes that come and go meet what others have prepared.
    let folder = folder(&users(&url, &query("customers"), ""));
    for _ in 0..3 {
        cgi(&folder, &ask("other")).must_be(THERE, "accepted");
    }
    // Columns that change under a statement that is prepared: no value is taken for another column's.
    engine.admin(
        &database,
        "BEGIN; ALTER TABLE users DROP COLUMN host; ALTER TABLE users ADD COLUMN host TEXT; \
         UPDATE users SET host = '192.0.2.2'; COMMIT",
    );
    of_users.ask(&ask("right")).must_be(THERE, "accepted");
    // A limit of ours would be that of all who share the connection.
    let limit = Command::new(program("psql", "postgresql-client"))
        .env("PGPASSWORD", PASSWORD)
        .args(["-X", "-A", "-t", "-h", "127.0.0.1", "-U", "mail", "-p"])
        .arg(pooler.port.to_string())
        .args(["-d", &database, "-c", "SHOW statement_timeout"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&limit.stdout), "0\n");
}

#[test]
fn sessions() {
    through("session");
}

#[test]
fn transactions() {
    through("transaction");
}

#[test]
fn statements() {
    through("statement");
}
