//! OpenLDAP's server, with a directory of its own.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;

use crate::support::certificates::Certificates;
use crate::support::process::{Server, free_port, installed, program};
use crate::support::temp_dir::TempDir;

/// {SSHA} and {CRYPT} of the password "right".
const SSHA: &str = "{SSHA}VRnVVuh+V5b2fbnvIY1G2RD/l45zYWx0c2FsdA==";
const CRYPT: &str = "{CRYPT}$6$saltsalt$gzY3OAolfMFSB9Ld7iMdOQlViFqO3IOPeU0zkHsD.58tcMxRAFD0Qjfi2\
                     sjus3i.8aqWarEvFPREqzp18Jm291";

/// The DN of the searching account, with the password `finder`.
pub(crate) const SEARCH_DN: &str = "cn=search,dc=example,dc=org";
pub(crate) const SEARCH_PASSWORD: &str = "finder";
pub(crate) const PEOPLE: &str = "ou=people,dc=example,dc=org";

const POLICY: &str = "cn=policy,dc=example,dc=org";

/// A login of nearly everything that means something in a DN or in a filter.
pub(crate) const ODD: &str = " #\u{f6}*(x)&|!~,=+<>;\"y\"\\2a{login}'$\u{20ac} ";

/// Attributes that a mail system might have; any text goes in.
const SCHEMA: &str = "
attributetype ( 1.3.6.1.4.1.99999.1 NAME 'mailServer' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.2 NAME 'mailPort' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.3 NAME 'mailLocked' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.5 NAME 'mailNets' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.7 NAME 'mailProtocols' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.99999.8 NAME 'mailUntil' EQUALITY generalizedTimeMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.99999.6 NAME 'mailService' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.99999.4 NAME 'mailUser' SUP top AUXILIARY MAY ( mailServer $ mailPort $ mailLocked $ mailNets $ mailService $ mailProtocols $ mailUntil ) )
";

/// A server that can be stopped and started again with the same addresses and data.
pub(crate) struct Slapd {
    folder: TempDir,
    address: Ipv4Addr,
    port: u16,
    tls_port: u16,
    certificates: Option<Certificates>,
    server: RefCell<Option<Server>>,
}

impl Slapd {
    /// Not started yet, with the people of these tests.
    pub(crate) fn stopped(address: Ipv4Addr) -> Self {
        Self::prepared(address, None, false)
    }

    /// With OpenLDAP's password policy, by which users must change a password, or have an expired one.
    pub(crate) fn with_policy() -> Self {
        let slapd = Self::prepared(Ipv4Addr::LOCALHOST, None, true);
        slapd.start();
        slapd
    }

    pub(crate) fn started() -> Self {
        let slapd = Self::stopped(Ipv4Addr::LOCALHOST);
        slapd.start();
        slapd
    }

    /// With StartTLS and `ldaps://`, by a certificate for `localhost` and 127.0.0.1.
    pub(crate) fn with_tls() -> Self {
        let certificates = Certificates::made_for("DNS:localhost,IP:127.0.0.1");
        let slapd = Self::prepared(Ipv4Addr::LOCALHOST, Some(certificates), false);
        slapd.start();
        slapd
    }

    pub(crate) fn prepared(
        address: Ipv4Addr,
        certificates: Option<Certificates>,
        policy: bool,
    ) -> Self {
        let folder = TempDir::new();
        let home = folder.path();
        std::fs::create_dir(home.join("db")).unwrap();
        let mut config = String::new();
        for schema in ["core", "cosine", "inetorgperson"] {
            let file = format!("/etc/ldap/schema/{schema}.schema");
            writeln!(config, "include {}", installed(&file, "slapd")).unwrap();
        }
        config.push_str(SCHEMA);
        let home = home.display();
        write!(
            config,
            "
modulepath {}
moduleload back_mdb
sizelimit unlimited
{}
database mdb
suffix dc=example,dc=org
rootdn cn=root,dc=example,dc=org
rootpw root
directory {home}/db
maxsize 10485760
dbnosync
index uid,mail eq
access to attrs=userPassword by dn.exact=\"{SEARCH_DN}\" read by anonymous auth by * none
access to * by * read
",
            installed("/usr/lib/ldap", "slapd"),
            certificates
                .as_ref()
                .map_or_else(String::new, |made| format!(
                    "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
                    made.certificate().display(),
                    made.key().display()
                )),
        )
        .unwrap();
        let mut ldif = people();
        if policy {
            config = config.replace(
                "moduleload back_mdb\n",
                "moduleload back_mdb\nmoduleload ppolicy\n",
            );
            config.push_str(&format!("overlay ppolicy\nppolicy_default \"{POLICY}\"\n"));
            ldif.push_str(&people_of_policy());
        }
        folder.write("slapd.conf", config);
        folder.write("people.ldif", ldif);
        let slapd = Self {
            folder,
            address,
            port: free_port(address),
            tls_port: free_port(address),
            certificates,
            server: RefCell::new(None),
        };
        let added = slapd
            .command("slapadd")
            .args(["-q", "-l"])
            .arg(slapd.folder.path().join("people.ldif"))
            .output()
            .unwrap();
        assert!(added.status.success(), "slapadd: {added:?}");
        slapd
    }

    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name, "slapd"));
        command.arg("-f").arg(self.folder.path().join("slapd.conf"));
        command
    }

    pub(crate) fn start(&self) {
        let mut urls = format!("{} {}", self.url(), self.socket_url());
        if self.certificates.is_some() {
            for address in ["127.0.0.1", "127.0.0.2"] {
                write!(urls, " {}", self.tls_url(address)).unwrap();
            }
        }
        let mut command = self.command("slapd");
        command.args(["-d", "0", "-h", &urls]);
        let mut server = Server::start(&mut command, self.folder.path().join("log"));
        let socket = self.folder.path().join("ldapi");
        server.wait_for("the socket", || UnixStream::connect(&socket).is_ok());
        server.wait_for_port(self.address, self.port);
        *self.server.borrow_mut() = Some(server);
    }

    /// Ends it, as by `systemctl stop`.
    pub(crate) fn stop(&self) {
        *self.server.borrow_mut() = None;
        let _stale = std::fs::remove_file(self.folder.path().join("ldapi"));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.borrow().as_ref().unwrap().signal_all(signal);
    }

    pub(crate) fn url(&self) -> String {
        format!("ldap://{}:{}", self.address, self.port)
    }

    /// The port of `ldap://`, by another name.
    pub(crate) fn url_by(&self, host: &str) -> String {
        format!("ldap://{host}:{}", self.port)
    }

    pub(crate) fn tls_url(&self, host: &str) -> String {
        format!("ldaps://{host}:{}", self.tls_port)
    }

    pub(crate) fn socket_url(&self) -> String {
        let path = self.folder.path().join("ldapi").display().to_string();
        format!("ldapi://{}", path.replace('/', "%2F"))
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.certificates.as_ref().unwrap().ca()
    }

    /// A file with the password of the searching account.
    pub(crate) fn password_file(&self) -> PathBuf {
        let file = self.folder.write("password", SEARCH_PASSWORD);
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        file
    }

    /// The keys of each mode, with the `urls` given.
    pub(crate) fn keys_at(&self, mode: Mode, urls: &[String]) -> String {
        let search = format!(
            "bind-dn = {SEARCH_DN:?}\nbind-password-file = {:?}\nbase = {PEOPLE:?}\n\
             filter = \"(&(objectClass=inetOrgPerson)(uid={{login}}))\"\n\
             host-attribute = \"mailServer\"\nport-attribute = \"mailPort\"\n\
             login-attribute = \"employeeNumber\"\nnologin-attribute = \"mailLocked\"\n",
            self.password_file().display().to_string()
        );
        let own = match mode {
            Mode::Bind => {
                format!("auth = \"bind\"\nuser-dn = \"uid={{login}},{PEOPLE}\"\n")
            }
            Mode::SearchBind => format!("auth = \"search-bind\"\n{search}"),
            Mode::Compare => format!("auth = \"compare\"\nallow-weak-schemes = true\n{search}"),
        };
        format!("store = \"ldap\"\nurls = {urls:?}\n{own}")
    }

    pub(crate) fn keys(&self, mode: Mode) -> String {
        self.keys_at(mode, &[self.url()])
    }
}

/// How passwords are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Bind,
    SearchBind,
    Compare,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Bind, Self::SearchBind, Self::Compare];
}

fn people() -> String {
    let mut ldif = String::from(
        "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: example\n\n",
    );
    for unit in ["people", "others"] {
        write!(
            ldif,
            "dn: ou={unit},dc=example,dc=org\nobjectClass: organizationalUnit\nou: {unit}\n\n"
        )
        .unwrap();
    }
    write!(
        ldif,
        "dn: {SEARCH_DN}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\n\
         cn: search\nuserPassword: {SEARCH_PASSWORD}\n\n"
    )
    .unwrap();
    for (uid, rest) in [
        ("alice", format!("userPassword: {SSHA}")),
        (
            "bob",
            format!(
                "userPassword: {CRYPT}\nmailServer: 192.0.2.9\nmailPort: 1143\nmailLocked: FALSE\n\
                 employeeNumber: robert"
            ),
        ),
        ("off", format!("userPassword: {SSHA}\nmailLocked: TRUE")),
        ("bare", String::new()),
        (
            "both",
            format!("userPassword: {CRYPT}\nuserPassword: {SSHA}"),
        ),
        ("unknown-scheme", "userPassword: {SASL}bob".to_owned()),
        (
            "twins",
            format!("userPassword: {SSHA}\nmail: twin@example.org"),
        ),
        ("bad-port", format!("userPassword: {SSHA}\nmailPort: many")),
        (
            "two-hosts",
            format!("userPassword: {SSHA}\nmailServer: one\nmailServer: two"),
        ),
        (
            "office",
            format!(
                "userPassword: {SSHA}\nmailNets: 192.0.2.0/24, 198.51.100.7\nmailNets: 2001:db8::/32"
            ),
        ),
        (
            "bad-nets",
            format!("userPassword: {SSHA}\nmailNets: everywhere"),
        ),
        (
            "imap-only",
            format!("userPassword: {SSHA}\nmailProtocols: imap"),
        ),
        (
            "bad-protocols",
            format!("userPassword: {SSHA}\nmailProtocols: imap\nmailProtocols: http"),
        ),
        (
            "ended",
            format!("userPassword: {SSHA}\nmailUntil: 20200131120000Z"),
        ),
        (
            "later",
            format!("userPassword: {SSHA}\nmailUntil: 21200131120000Z"),
        ),
        (
            "reader",
            format!("userPassword: {SSHA}\nmailService: imap\nmailService: 192.0.2.7"),
        ),
        (ODD, format!("userPassword: {SSHA}")),
    ] {
        let dn = dn_of(uid, "people");
        let class = "objectClass: inetOrgPerson\nobjectClass: mailUser\nsn: x";
        writeln!(ldif, "{dn}\n{class}\ncn: x\n{}\n{rest}", base64("uid", uid)).unwrap();
        ldif = ldif.trim_end().to_owned() + "\n\n";
    }
    // The same uid elsewhere.
    write!(
        ldif,
        "{}\nobjectClass: inetOrgPerson\nsn: x\ncn: x\nuid: twins\nuserPassword: {SSHA}\n",
        dn_of("twins", "others")
    )
    .unwrap();
    ldif
}

/// A policy, and users that it refuses and accepts.
fn people_of_policy() -> String {
    let mut ldif = format!(
        "\ndn: {POLICY}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n\
         pwdAttribute: userPassword\npwdMustChange: TRUE\npwdMaxAge: 86400\n\
         pwdGraceAuthNLimit: 2\npwdExpireWarning: 86000\n"
    );
    let today = "pwdChangedTime: 20991231000000Z";
    for (uid, state) in [
        ("sound", today.to_owned()),
        ("reset", format!("{today}\npwdReset: TRUE")),
        ("expired", "pwdChangedTime: 20200101000000Z".to_owned()),
    ] {
        write!(
            ldif,
            "\n{}\nobjectClass: inetOrgPerson\nobjectClass: mailUser\nsn: x\ncn: x\nuid: {uid}\n\
             userPassword: {SSHA}\n{state}\n",
            dn_of(uid, "people")
        )
        .unwrap();
    }
    ldif
}

fn dn_of(uid: &str, unit: &str) -> String {
    let escaped = uid.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "\\{byte:02x}").unwrap();
        text
    });
    base64("dn", &format!("uid={escaped},ou={unit},dc=example,dc=org"))
}

/// A line of LDIF whose value may hold anything (RFC 2849).
fn base64(name: &str, value: &str) -> String {
    use base64::Engine as _;
    let value = base64::engine::general_purpose::STANDARD.encode(value);
    format!("{name}:: {value}")
}
