//! Servers that are asked, played by the bytes: whatever one of them says, a login gets in only if
//! it said yes.
#![cfg_attr(not(feature = "servers"), allow(dead_code, unused_imports))]

#[cfg(feature = "servers")]
use std::io::Read as _;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nginx_mail_auth::login::{Login, Protocol};
use nginx_mail_auth::secret::Password;
use nginx_mail_auth::users::{Account, PasswordCheck, Passwords, Question, StoreError, UserStore};

use super::world::Folder;

/// What fits into the buffer of a socket, so that nobody waits for a reader.
const MOST: usize = 64 * 1024;

//------------ Peer ----------------------------------------------------------

/// A server on a Unix socket that says what it is told to and then has nothing more to say.
struct Peer {
    folder: Folder,
    script: Arc<Mutex<Script>>,
    served: Receiver<(u64, UnixStream)>,
}

#[derive(Default)]
struct Script {
    /// What it says to the first connection, to the second and those after it.
    parts: [Vec<u8>; 2],
    connections: u64,
    round: u64,
}

impl Peer {
    fn new() -> Self {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path().join("s")).expect("a socket");
        let script = Arc::<Mutex<Script>>::default();
        let (sender, served) = channel();
        let heard = Arc::clone(&script);
        std::thread::spawn(move || serve(&listener, &heard, &sender));
        Self {
            folder,
            script,
            served,
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    fn play(&self, first: &[u8], others: &[u8]) {
        while self.served.try_recv().is_ok() {}
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = |part: &[u8]| part[..part.len().min(MOST)].to_vec();
        script.parts = [cut(first), cut(others)];
        script.connections = 0;
        script.round += 1;
    }

    /// What the next of this round's connections brought, once the other side has closed it.
    #[cfg(feature = "servers")]
    fn heard(&self) -> Vec<u8> {
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let now = script.round;
        drop(script);
        loop {
            let (round, mut stream) = self.served.recv().expect("the server runs");
            if round == now {
                let mut heard = Vec::new();
                stream.read_to_end(&mut heard).expect("it was closed");
                return heard;
            }
        }
    }
}

fn serve(listener: &UnixListener, script: &Mutex<Script>, served: &Sender<(u64, UnixStream)>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let mut script = script.lock().unwrap_or_else(PoisonError::into_inner);
        let part = script.parts[usize::from(script.connections > 0)].clone();
        script.connections += 1;
        let round = script.round;
        drop(script);
        // libFuzzer's main does not ignore SIGPIPE.
        let flags = rustix::net::SendFlags::NOSIGNAL;
        let _gone = rustix::net::send(&stream, &part, flags);
        let _gone = stream.shutdown(Shutdown::Write);
        // It stays open, so that the other side can write without an error.
        if served.send((round, stream)).is_err() {
            return;
        }
    }
}

thread_local! {
    static PEER: Peer = Peer::new();
}

/// Asks for `alice` and, if she is known, whether `pw` is her password.
fn ask(store: &dyn UserStore) -> Result<Option<(Account, bool)>, StoreError> {
    let login = Login::new(b"alice@example.org".to_vec()).expect("a good login");
    let asked = Question {
        login: &login,
        protocol: Protocol::Imap,
        client: None,
        session: nginx_mail_auth::nginx::request::Session::default(),
        network: None,
        deadline: Instant::now() + Duration::from_secs(5),
        steps: None,
    };
    let Some(mut account) = store.find(&asked)? else {
        return Ok(None);
    };
    let right = match account.passwords {
        Passwords::AskStore => {
            let password = Password::new(b"pw".to_vec()).expect("a good password");
            store.verify(&asked, &mut account, &password)? == PasswordCheck::Right
        }
        _ => false,
    };
    Ok(Some((account, right)))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

//------------ LDAP ----------------------------------------------------------

#[cfg(feature = "servers")]
fn directory(
    path: &std::path::Path,
    auth: nginx_mail_auth::users::ldap::Auth,
) -> nginx_mail_auth::users::ldap::LdapStore {
    use nginx_mail_auth::sys::Lifetime;
    use nginx_mail_auth::users::ldap;
    let encoded = path.to_str().expect("a plain path").replace('/', "%2F");
    let settings = ldap::Settings {
        urls: vec![ldap::Url::parse(&format!("ldapi://{encoded}")).expect("a URL")],
        starttls: false,
        ca_file: None,
        auth,
        search_as: None,
        lookup: Some(ldap::Lookup {
            base: ldap::DnTemplate::parse("ou={domain},o=x").expect("a DN"),
            scope: ldap::Scope::Sub,
            filter: ldap::FilterTemplate::parse("(&(mail={login})(uid={local}))")
                .expect("a filter"),
        }),
        attributes: ldap::Attributes {
            host: Some("mailHost".to_owned()),
            port: Some("mailPort".to_owned()),
            login: Some("uid".to_owned()),
            nologin: Some("locked".to_owned()),
            allow_nets: Some("allowNets".to_owned()),
            protocols: Some("protocols".to_owned()),
            expires: Some("until".to_owned()),
        },
        connections: std::num::NonZeroUsize::MIN,
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        cache: Duration::ZERO,
    };
    ldap::LdapStore::open(&settings, Lifetime::OneRequest).expect("good settings")
}

/// A directory: a byte that says how passwords are checked, two that say where the answers of the
/// second connection begin, and its messages.
#[cfg(feature = "servers")]
pub(crate) fn ldap(data: &[u8]) {
    use nginx_mail_auth::secret::WeakSchemes;
    use nginx_mail_auth::users::ldap::{Auth, Stored};

    let Some((&[mode, high, low], rest)) = data.split_first_chunk() else {
        return;
    };
    let at = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
    let (first, second) = rest.split_at(at);
    let compares = mode & 1 == 1;
    let auth = match compares {
        false => Auth::SearchBind,
        true => Auth::Compare(Stored {
            attribute: "userPassword".to_owned(),
            default_scheme: None,
            accepted: WeakSchemes::Allowed.into(),
        }),
    };
    PEER.with(|peer| {
        peer.play(first, second);
        let store = directory(&peer.path(), auth);
        if let Ok(Some((account, right))) = ask(&store)
            // Several entries are no user.
            && account.unusable.is_none()
        {
            // Found below the base, so never by an empty name, which would bind anonymously.
            let dn = account
                .handle
                .expect("the name of the entry")
                .to_ascii_lowercase();
            assert!(dn.len() > b"ou=example.org,o=x".len());
            assert_eq!(matches!(account.passwords, Passwords::AskStore), !compares);
            // A bind's answer (RFC 4511, 4.2.2) with the code 0.
            assert!(!right || (contains(second, b"\x0a\x01\0") && second.contains(&0x61)));
            if let Some(user) = account.user {
                assert!(!user.is_empty() && Login::new(user).is_ok());
            }
        }
    });
}

/// A login: what a directory is asked holds it as a counted value in the filter, and escaped in
/// the DN, whatever it is.
#[cfg(feature = "servers")]
pub(crate) fn ldap_login(data: &[u8]) {
    use nginx_mail_auth::users::ldap::Auth;

    let Ok(login) = Login::new(data.to_vec()) else {
        return;
    };
    // "operationsError" to the first message: that it was asked can be told from its failure.
    const FAILED: &[u8] = b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x01\x04\0\x04\0";
    PEER.with(|peer| {
        peer.play(FAILED, FAILED);
        let store = directory(&peer.path(), Auth::SearchBind);
        let asked = Question {
            login: &login,
            protocol: Protocol::Imap,
            client: None,
            session: nginx_mail_auth::nginx::request::Session::default(),
            network: None,
            deadline: Instant::now() + Duration::from_secs(5),
            steps: None,
        };
        let found = store.find(&asked);
        drop(store);
        let Some(domain) = login.domain() else {
            assert!(matches!(found, Ok(None)));
            return;
        };
        if matches!(found, Ok(None)) {
            // A part that is empty can be nobody's.
            assert!(domain.is_empty() || login.local().is_empty());
            return;
        }
        let heard = peer.heard();
        let (message, _) = element(&heard, 0x30);
        let (_, rest) = element(message, 0x02);
        let (search, _) = element(rest, 0x63);
        let (base, mut rest) = element(search, 0x04);
        let value = base
            .strip_prefix(b"ou=")
            .and_then(|base| base.strip_suffix(b",o=x"));
        assert_eq!(unescaped(value.expect("the base")), domain);
        for tag in [0x0a, 0x0a, 0x02, 0x02, 0x01] {
            rest = element(rest, tag).1;
        }
        let (and, _) = element(rest, 0xa0);
        let (mail, and) = element(and, 0xa3);
        let (uid, and) = element(and, 0xa3);
        assert!(and.is_empty());
        let of = |equality, name: &[u8]| {
            let (attribute, value) = element(equality, 0x04);
            assert_eq!(attribute, name);
            let (value, rest) = element(value, 0x04);
            assert!(rest.is_empty());
            value
        };
        assert_eq!(of(mail, b"mail"), login.as_bytes());
        assert_eq!(of(uid, b"uid"), login.local());
    });
}

/// The content of an element of BER with this tag, and what follows it.
#[cfg(feature = "servers")]
fn element(bytes: &[u8], tag: u8) -> (&[u8], &[u8]) {
    assert_eq!(bytes[0], tag);
    let (length, rest) = match bytes[1] {
        short @ ..=0x7f => (usize::from(short), &bytes[2..]),
        0x81 => (usize::from(bytes[2]), &bytes[3..]),
        0x82 => (
            usize::from(bytes[2]) << 8 | usize::from(bytes[3]),
            &bytes[4..],
        ),
        other => panic!("a length of {other}"),
    };
    rest.split_at(length)
}

/// The value of an attribute in a DN, read as a directory would (RFC 4514, 3).
#[cfg(feature = "servers")]
fn unescaped(value: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), value);
    assert!(
        !matches!(value, [b' ' | b'#', ..]) && (!value.ends_with(b" ") || value.ends_with(b"\\ "))
    );
    while let [byte, after @ ..] = rest {
        (bytes, rest) = match (byte, after) {
            (b'\\', [high, low, after @ ..]) if high.is_ascii_hexdigit() => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("hex");
                bytes.push(u8::from_str_radix(digits, 16).expect("hex"));
                (bytes, after)
            }
            (b'\\', [escaped, after @ ..]) => {
                assert!(b" \"#+,;<=>\\".contains(escaped));
                bytes.push(*escaped);
                (bytes, after)
            }
            (plain, after) => {
                assert!(!b"\"+,;<>\\\0".contains(plain));
                bytes.push(*plain);
                (bytes, after)
            }
        };
    }
    bytes
}

//------------ Redis ---------------------------------------------------------

/// A server that has the counts of wrong passwords: two bytes that say where the replies of the
/// second connection begin, and its replies. Whatever they are, answers are not held back for
/// longer than is configured.
#[cfg(feature = "servers")]
pub(crate) fn redis(data: &[u8]) {
    use nginx_mail_auth::net::Endpoint;
    use nginx_mail_auth::nginx::request::Client;
    use nginx_mail_auth::secret::Proof;
    use nginx_mail_auth::throttle::{
        CountingMode, Settings, Spans, StateLocation, Throttle, redis,
    };

    let Some((&[high, low], rest)) = data.split_first_chunk() else {
        return;
    };
    let at = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
    let (first, others) = rest.split_at(at);
    PEER.with(|peer| {
        peer.play(first, others);
        let server = redis::Settings {
            kind: redis::Kind::Single,
            endpoints: vec![Endpoint::Unix(peer.path(), None)],
            tls: false,
            ca_file: None,
            database: 0,
            account: redis::RedisAccount::default(),
            sentinel_account: redis::RedisAccount::default(),
        };
        let settings = Settings {
            place: StateLocation::Redis(Box::new(server)),
            go_on: false,
            timeout: Duration::from_secs(1),
            free: 4,
            waits: vec![2, 4, 8, 15],
            refuse_network: Some(30),
            refuse_login: None,
            spans: Spans {
                window: Duration::from_secs(600),
                exempt: Duration::from_secs(604_800),
            },
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            always_allow: Vec::new(),
            wait_after_digests: false,
        };
        let throttle = Throttle::open(&settings, CountingMode::Server, None);
        let proof = Proof::Password(Password::new(b"pw".to_vec()).expect("a good password"));
        let client = Client {
            address: Some([192, 0, 2, 7].into()),
            vouched_for: true,
            ..Client::default()
        };
        let deadline = Instant::now() + Duration::from_secs(2);
        match throttle.begin_attempt(&client, b"alice", &proof, deadline) {
            Ok(Some(visit)) if visit.refused().is_none() => {
                let counted = visit.failed(&proof, Duration::ZERO);
                let wait = counted.ok().and_then(|counted| counted.wait);
                assert!(wait.is_none_or(|seconds| seconds.get() <= 15));
            }
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => panic!("a password that is not counted"),
        }
        peer.play(first, others);
        if let Ok(list) = throttle.list(deadline) {
            assert!(list.len() <= rest.len());
        }
    });
}

//------------ Mail servers and other services -------------------------------

#[cfg(feature = "servers")]
fn mail_server(
    data: &[u8],
    dialect: nginx_mail_auth::users::server::Dialect,
) -> Result<bool, StoreError> {
    use nginx_mail_auth::net::Endpoint;
    use nginx_mail_auth::sys::Lifetime;
    use nginx_mail_auth::users::server::{Security, ServerStore, Settings, Texts};

    PEER.with(|peer| {
        peer.play(data, data);
        let settings = Settings {
            dialect,
            endpoint: Endpoint::Unix(peer.path(), None),
            security: Security::None,
            ca_file: None,
            texts: Texts::default(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            cache: Duration::ZERO,
        };
        let store = ServerStore::open(&settings, Lifetime::OneRequest).expect("good settings");
        ask(&store).map(|found| found.is_some_and(|(_, right)| right))
    })
}

/// What an IMAP server says.
#[cfg(feature = "servers")]
pub(crate) fn imap(data: &[u8]) {
    use nginx_mail_auth::users::server::Dialect;
    if mail_server(data, Dialect::Imap) == Ok(true) {
        let greets = data.to_ascii_uppercase().starts_with(b"* OK");
        let yes = |line: &[u8]| {
            let line = line.strip_prefix(b"c ").unwrap_or_default();
            line.get(..2)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"OK"))
        };
        assert!(greets && data.split(|byte| *byte == b'\n').any(yes));
    }
}

/// What a POP3 server says.
#[cfg(feature = "servers")]
pub(crate) fn pop3(data: &[u8]) {
    use nginx_mail_auth::users::server::Dialect;
    if mail_server(data, Dialect::Pop3) == Ok(true) {
        let lines = data.split(|byte| *byte == b'\n');
        let yes = lines.filter(|line| line.starts_with(b"+OK")).count();
        // The greeting, and the answer to the password.
        assert!(data.starts_with(b"+OK") && yes >= 2);
    }
}

/// What another `auth_http` service says.
#[cfg(feature = "servers")]
pub(crate) fn http(data: &[u8]) {
    use nginx_mail_auth::sys::Lifetime;
    use nginx_mail_auth::users::http::{HttpStore, Settings, Url};

    PEER.with(|peer| {
        peer.play(data, data);
        let path = peer.path();
        let settings = Settings {
            url: Url::parse(&format!("unix:{}:/", path.display())).expect("a URL"),
            headers: Vec::new(),
            key: None,
            ca_file: None,
            temporary: vec!["later".to_owned()],
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(2),
            cache: Duration::ZERO,
        };
        let store = HttpStore::open(&settings, Lifetime::OneRequest).expect("good settings");
        if let Ok(Some((account, true))) = ask(&store) {
            let lower = data.to_ascii_lowercase();
            assert!(contains(&lower, b"auth-status:") && contains(data, b"OK"));
            let host = account.host.expect("a server");
            assert!(host.parse::<std::net::IpAddr>().is_ok() && account.port.is_some());
        }
    });
}
