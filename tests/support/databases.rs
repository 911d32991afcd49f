//! Database servers with data of their own, as their own users, on 127.0.0.1.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::process::{free_port, ids_of, is_stopped, need_root, program, wait_until};
use crate::support::temp_dir::TempDir;

/// The password of the user `mail` in every database.
pub(crate) const PASSWORD: &str = "of:the@database/%";
/// The same in a URL.
pub(crate) const IN_URL: &str = "of%3Athe%40database%2F%25";

/// Where Debian has the programs of its PostgreSQL, whichever version that is.
pub(crate) fn postgres(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    versions
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .find(|program| program.exists())
        .unwrap_or_else(|| panic!("this test needs {name}: apt-get install postgresql"))
}

/// Runs the server, and ends it when the pipe to this closes: whatever becomes of the tests.
pub(crate) const SUPERVISOR: &str = r#"
"$@" </dev/null >>"$FOLDER/log" 2>&1 &
server=$!
echo $server >"$FOLDER/pid.new" && mv "$FOLDER/pid.new" "$FOLDER/pid"
cat >/dev/null
kill -"$END" $server
wait $server
[ -z "$REMOVE" ] || rm -rf "$FOLDER"
"#;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    MariaDb,
}

/// A database server.
pub(crate) struct Engine {
    pub(crate) kind: Kind,
    folder: PathBuf,
    port: u16,
    running: Option<(Child, ChildStdin)>,
    shared: bool,
}

impl Engine {
    /// The one that all tests share which leave it alone.
    pub(crate) fn shared(kind: Kind) -> &'static Self {
        static POSTGRES: OnceLock<Engine> = OnceLock::new();
        static MARIADB: OnceLock<Engine> = OnceLock::new();
        let engine = match kind {
            Kind::Postgres => &POSTGRES,
            Kind::MariaDb => &MARIADB,
        };
        engine.get_or_init(|| {
            let mut engine = Self::prepared(kind);
            engine.shared = true;
            engine.start();
            engine
        })
    }

    /// One that can be ended and started at will; it is not running yet.
    pub(crate) fn prepared(kind: Kind) -> Self {
        need_root();
        // It is removed by hand: a static is never dropped.
        let folder = TempDir::new().keep();
        let engine = Self {
            kind,
            port: free_port(Ipv4Addr::LOCALHOST),
            folder,
            running: None,
            shared: false,
        };
        for name in ["data", "run"] {
            engine.own(&engine.make_folder(name), 0o700);
        }
        fs::set_permissions(engine.path("run"), fs::Permissions::from_mode(0o755)).unwrap();
        engine.make_certificates();
        match kind {
            Kind::Postgres => engine.init_postgres(),
            Kind::MariaDb => engine.init_mariadb(),
        }
        engine
    }

    pub(crate) fn user(&self) -> (&'static str, &'static str) {
        match self.kind {
            Kind::Postgres => ("postgres", "postgresql"),
            Kind::MariaDb => ("mysql", "mariadb-server"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn make_folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        path
    }

    pub(crate) fn own(&self, path: &Path, mode: u32) {
        let (user, package) = self.user();
        let (uid, gid) = ids_of(user, package);
        chown(path, Some(uid), Some(gid)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A CA, a certificate by it for `localhost` and no other name, and a CA that nobody uses.
    pub(crate) fn make_certificates(&self) {
        let openssl = program("openssl", "openssl");
        let run = |arguments: &str| {
            let output = Command::new(&openssl)
                .args(arguments.split(' '))
                .current_dir(&self.folder)
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments}: {printed}");
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for name in ["ca", "other"] {
            run(&format!(
                "req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"
            ));
        }
        run(&format!(
            "req -x509 {key} -keyout server.key -out server.pem -subj /CN=database -days 2 -CA \
             ca.pem -CAkey ca.key -addext subjectAltName=DNS:localhost -addext \
             basicConstraints=critical,CA:FALSE"
        ));
        self.own(&self.path("server.key"), 0o600);
    }

    pub(crate) fn init_postgres(&self) {
        let (user, package) = self.user();
        let (uid, gid) = ids_of(user, package);
        let output = {
            use std::os::unix::process::CommandExt as _;
            Command::new(postgres("initdb"))
                .arg("-D")
                .arg(self.path("data"))
                .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
                .args(["--locale=C.UTF-8", "--no-instructions"])
                .env_clear()
                .current_dir(self.path("run"))
                .gid(gid)
                .uid(uid)
                .output()
                .unwrap()
        };
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {printed}");
        let rules = "local all all trust\nhost all all 127.0.0.0/8 scram-sha-256\n";
        fs::write(self.path("data").join("pg_hba.conf"), rules).unwrap();
    }

    pub(crate) fn init_mariadb(&self) {
        let install = program("mariadb-install-db", "mariadb-server");
        let output = Command::new(install)
            // Two at once would get into each other's way in /tmp.
            .env("TMPDIR", self.path("run"))
            .args(["--no-defaults", "--user=mysql", "--skip-test-db"])
            .args(["--auth-root-authentication-method=normal"])
            .arg(format!("--datadir={}", self.path("data").display()))
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mariadb-install-db: {printed}");
    }

    pub(crate) fn server(&self) -> (PathBuf, Vec<String>, &'static str) {
        let path = |name: &str| self.path(name).display().to_string();
        let port = self.port;
        match self.kind {
            Kind::Postgres => {
                let mut arguments = vec![
                    "-D".to_owned(),
                    path("data"),
                    "-k".to_owned(),
                    path("run"),
                    "-h".to_owned(),
                    "127.0.0.1".to_owned(),
                    format!("-p{port}"),
                ];
                for setting in [
                    "fsync=off".to_owned(),
                    "shared_buffers=16MB".to_owned(),
                    "max_connections=50".to_owned(),
                    "ssl=on".to_owned(),
                    format!("ssl_cert_file={}", path("server.pem")),
                    format!("ssl_key_file={}", path("server.key")),
                ] {
                    arguments.extend(["-c".to_owned(), setting]);
                }
                // A fast shutdown.
                (postgres("postgres"), arguments, "INT")
            }
            Kind::MariaDb => {
                let arguments = vec![
                    "--no-defaults".to_owned(),
                    format!("--datadir={}", path("data")),
                    format!("--socket={}", path("run/socket")),
                    format!("--tmpdir={}", path("run")),
                    format!("--pid-file={}", path("run/mariadbd.pid")),
                    format!("--port={port}"),
                    "--bind-address=127.0.0.1".to_owned(),
                    "--skip-name-resolve".to_owned(),
                    "--innodb-buffer-pool-size=16M".to_owned(),
                    // What is thrown away need not reach the disk.
                    "--innodb-flush-log-at-trx-commit=0".to_owned(),
                    "--innodb-flush-method=nosync".to_owned(),
                    "--sync-frm=0".to_owned(),
                    format!("--ssl-ca={}", path("ca.pem")),
                    format!("--ssl-cert={}", path("server.pem")),
                    format!("--ssl-key={}", path("server.key")),
                ];
                (program("mariadbd", "mariadb-server"), arguments, "TERM")
            }
        }
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        let (server, arguments, end) = self.server();
        let _ = fs::remove_file(self.path("pid"));
        let (user, _) = self.user();
        let mut child = Command::new("/bin/sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(program("setpriv", "util-linux"))
            .arg(format!("--reuid={user}"))
            .arg(format!("--regid={user}"))
            .arg("--clear-groups")
            .arg(server)
            .args(arguments)
            .env("FOLDER", &self.folder)
            .env("END", end)
            .env("REMOVE", if self.shared { "yes" } else { "" })
            .current_dir(self.path("run"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pipe = child.stdin.take().unwrap();
        self.running = Some((child, pipe));
        wait_until("the database to answer", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok()
                && self.try_admin(None, "SELECT 1").is_ok()
        });
    }

    /// Ends it in an orderly way.
    pub(crate) fn stop(&mut self) {
        if let Some((mut child, pipe)) = self.running.take() {
            drop(pipe);
            child.wait().unwrap();
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.stop();
    }

    /// To the server and all its processes. To be stopped takes their threads a moment, in which
    /// they may answer still; that is waited for.
    pub(crate) fn signal(&self, signal: Signal) {
        let everyone = self.everyone();
        for pid in &everyone {
            // One of them may have ended by now.
            let _ = kill_process(*pid, signal);
        }
        if signal == Signal::STOP {
            wait_until("every thread to stop", || {
                everyone.iter().all(|pid| is_stopped(*pid))
            });
        }
    }

    pub(crate) fn everyone(&self) -> Vec<Pid> {
        let main: i32 = fs::read_to_string(self.path("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let mut all = vec![main];
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            // The name, in parentheses, may hold anything.
            let Some((pid, rest)) = stat.split_once(" (") else {
                continue;
            };
            let parent = rest
                .rsplit(')')
                .next()
                .and_then(|rest| rest.split(' ').nth(2));
            if parent.and_then(|parent| parent.parse().ok()) == Some(main) {
                all.push(pid.parse().unwrap());
            }
        }
        all.into_iter().filter_map(Pid::from_raw).collect()
    }

    /// Runs statements as its administrator; what they give, one row a line, tabs between.
    #[track_caller]
    pub(crate) fn admin(&self, database: &str, sql: &str) -> String {
        self.try_admin(Some(database), sql)
            .unwrap_or_else(|error| panic!("{sql}\n{error}"))
    }

    pub(crate) fn try_admin(&self, database: Option<&str>, sql: &str) -> Result<String, String> {
        let mut command = match self.kind {
            Kind::Postgres => {
                let mut command = Command::new(program("psql", "postgresql-client"));
                command
                    .args(["-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1"])
                    .args(["-U", "postgres", "-p", &self.port.to_string(), "-h"])
                    .arg(self.path("run"))
                    .args(["-d", database.unwrap_or("postgres")]);
                command
            }
            Kind::MariaDb => {
                let mut command = Command::new(program("mariadb", "mariadb-client"));
                command
                    .args(["--no-defaults", "-u", "root", "-N", "-B", "-S"])
                    .arg(self.path("run/socket"))
                    .arg("--default-character-set=utf8mb4")
                    .args(database);
                command
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // One that cannot connect ends without reading, and says why.
        let _ = input.write_all(sql.as_bytes());
        drop(input);
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Makes a database with these tables, which the user `mail` may read.
    pub(crate) fn make_database(&self, name: &str, tables: &str) {
        match self.kind {
            Kind::Postgres => {
                let user = format!(
                    "DO $$BEGIN CREATE USER mail PASSWORD '{PASSWORD}'; \
                     EXCEPTION WHEN duplicate_object OR unique_violation THEN END$$;"
                );
                self.try_admin(None, &user).unwrap();
                self.try_admin(None, &format!("CREATE DATABASE {name}"))
                    .unwrap();
                self.admin(name, tables);
                self.admin(name, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO mail");
            }
            Kind::MariaDb => {
                let database = format!(
                    "CREATE USER IF NOT EXISTS mail@'%' IDENTIFIED BY '{PASSWORD}'; \
                     CREATE DATABASE {name} CHARACTER SET utf8mb4; \
                     GRANT SELECT, EXECUTE ON {name}.* TO mail@'%'"
                );
                self.try_admin(None, &database).unwrap();
                self.admin(name, tables);
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn scheme(&self) -> &'static str {
        match self.kind {
            Kind::Postgres => "postgresql",
            Kind::MariaDb => "mysql",
        }
    }

    /// The URL of a database, with the password in it.
    pub(crate) fn url(&self, name: &str) -> String {
        let (scheme, port) = (self.scheme(), self.port);
        format!("{scheme}://mail:{IN_URL}@127.0.0.1:{port}/{name}")
    }

    /// The same by the name that the certificate has.
    pub(crate) fn url_by_name(&self, name: &str) -> String {
        self.url(name).replace("127.0.0.1", "localhost")
    }

    /// The same by its Unix socket.
    pub(crate) fn url_by_socket(&self, name: &str) -> String {
        let scheme = self.scheme();
        match self.kind {
            Kind::Postgres => format!(
                "{scheme}://mail@:{}/{name}?socket={}",
                self.port,
                self.path("run").display()
            ),
            Kind::MariaDb => format!(
                "{scheme}://mail:{IN_URL}@/{name}?socket={}",
                self.path("run/socket").display()
            ),
        }
    }

    /// How many statements sleep at the moment.
    pub(crate) fn sleeping(&self) -> usize {
        let sql = match self.kind {
            Kind::Postgres => "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
            Kind::MariaDb => {
                "SELECT count(*) FROM information_schema.processlist WHERE state = 'User sleep'"
            }
        };
        self.try_admin(None, sql).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.kill();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
