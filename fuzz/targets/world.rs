//! A whole service whose stores are overheard, so that of every login that gets in it can be said
//! which store said yes, and to what.

use std::fs;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};

use nginx_mail_auth::auth::{Chain, Gate, RefusalTime, Source, Then};
use nginx_mail_auth::config::Config;
use nginx_mail_auth::front::pace::SendTime;
use nginx_mail_auth::front::params::{Params, Peer};
use nginx_mail_auth::login::Likeness;
use nginx_mail_auth::login::Login;
use nginx_mail_auth::net::dns::Resolver;
use nginx_mail_auth::route::Routes;
use nginx_mail_auth::secret::{Password, Proof, Secret, WeakSchemes};
use nginx_mail_auth::service::Service;
use nginx_mail_auth::service::methods;
use nginx_mail_auth::service::open::open;
use nginx_mail_auth::sys::Lifetime;
use nginx_mail_auth::sys::semaphore::machine::MachineSemaphore;
use nginx_mail_auth::throttle::{CountingMode, Throttle};
use nginx_mail_auth::users::{
    Account, Credential, Decoy, PasswordCheck, Passwords, Question, StoreError, UserStore,
};

use super::rules::Codes;
use super::words::undo;

const USERS: &str = "\
alice:{PLAIN}pw
bob@example.com:{PLAIN}s3cret:::::: host=two
carl:*
dora:{PLAIN}pw:::::: allow_nets=192.0.2.0/24
emil:{PLAIN}pw:::::: nologin
frida:{SSHA}ZskOy/kP5/rVIqq6ezHfVj8BVmlzYWx0
moved:{PLAIN}pw:::::: host=spring port=1993
";
/// The password of everybody who can use a digest, `pw`, as this challenge has it.
pub(crate) const CHALLENGE: &[u8] = b"<1585632142.1700000000@mail.example.com>";
pub(crate) const CRAM_MD5: &[u8] = b"f85970d783ffa3071f0c28381246f092";
pub(crate) const APOP: &[u8] = b"643b3652babeda250eb7097eb7f09355";
/// A master and the password.
const MASTER: (&[u8], &[u8]) = (b"boss", b"m4ster");

const CONFIG: &str = r#"
[[users]]
store = "file"
path = "users"
allow-weak-schemes = true
[[users]]
store = "accept"
domains = ["open.example"]
[master]
path = "masters"
allow-weak-schemes = true
[logins]
lower-case = true
strip-domains = ["strip.example"]
[logins.aliases]
"sales" = "alice"
[answers]
retry-wait = 3
codes = false
[external]
login = "common-name"
[inbound]
domains = ["example.com"]
[routes]
default = "one"
[routes.domain]
"example.com" = "two"
"nowhere.example" = "2001:db8::9"
"master.example" = "three"
[routes.first-letter]
"a-m" = "one"
[hosts]
one = { address = "192.0.2.1", imap = 1143 }
two = "2001:db8::2"
three = { address = "192.0.2.3", master-login = "proxy", master-password-file = "three.master" }
[moves]
spring = { old = "one", new = "two", moved = 30, moving = 60 }
"#;

/// The service, and what its stores said last.
pub(crate) struct World {
    service: Service,
    said: Arc<Said>,
    key: Option<&'static [u8]>,
}

/// What a store said of a login.
struct Word {
    login: Login,
    said: Yes,
}

/// What can let somebody in.
enum Yes {
    /// The login is known, and these are its passwords.
    Found(Passwords),
    /// This password is right.
    Right(Vec<u8>),
}

impl Word {
    fn is_yes(&self, password: &[u8]) -> bool {
        match &self.said {
            Yes::Found(Passwords::Any) => true,
            Yes::Found(_) => self.holds(password),
            Yes::Right(right) => right == password,
        }
    }

    /// Whether a password is stored that the store did not check itself.
    fn holds(&self, password: &[u8]) -> bool {
        let Ok(password) = Password::new(password.to_vec()) else {
            return false;
        };
        let proof = Proof::Password(password);
        match &self.said {
            Yes::Found(Passwords::Stored(credentials)) => credentials
                .iter()
                .any(|credential| credential.secret.matches(&proof)),
            _ => false,
        }
    }
}

#[derive(Default)]
struct Said(Mutex<Vec<Word>>);

impl Said {
    fn hear(&self, asked: &Question<'_>, said: Yes) {
        let login = asked.login.clone();
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        words.push(Word { login, said });
    }
}

impl World {
    /// All stores, a master, external, inbound; with a key of nginx or without, and with all codes
    /// guesses are counted too. `store` is asked last.
    pub(crate) fn new(key: Option<&'static str>, codes: Codes, store: Box<dyn UserStore>) -> Self {
        static QUIET: Once = Once::new();
        QUIET.call_once(quiet);
        let folder = Folder::new();
        folder.write("users", USERS);
        folder.write("masters", "boss:{PLAIN}m4ster\n");
        folder.write("three.master", "proxied\n");
        let nginx = key.map_or_else(String::new, |key| format!("[nginx]\nkey = \"{key}\"\n"));
        let (all, throttle) = match codes {
            Codes::Few => ("codes = false", ""),
            Codes::All => ("codes = true", "[throttle]\nfree-failures = 1\n"),
        };
        let config = CONFIG.replace("codes = false", all);
        let path = folder.write("auth.toml", &[&config, throttle, &nginx].concat());
        let config = Config::load(&path).unwrap_or_else(|problems| panic!("{problems:?}"));
        let opened = open(&config, Lifetime::Server);
        assert!(opened.problems.is_empty(), "{:?}", opened.problems);
        let said = Arc::<Said>::default();
        let last = Source {
            bound: None,
            cache: None,
            table: opened.sources.len(),
            name: "memory".to_owned(),
            store: store.into(),
            domains: None,
            wrong: Then::Stop,
            trouble: Then::Stop,
            refusal_time: RefusalTime::default(),
            counts: Arc::default(),
            app_passwords: false,
        };
        let overheard = |source: Source| Source {
            bound: None,
            cache: None,
            store: Arc::new(Overheard {
                store: source.store,
                said: Arc::clone(&said),
            }),
            ..source
        };
        let sources = opened.sources.into_iter().chain([last]).map(overheard);
        let gate = Gate {
            logins: config.logins.clone(),
            masters: opened.masters,
            methods: methods::open(
                &config,
                Lifetime::Server,
                &mut Vec::new(),
                &mut Vec::new(),
                &mut Vec::new(),
            ),
            chain: Chain::new(
                sources.collect(),
                MachineSemaphore::new(config.limits.max_hashes()),
                0,
            ),
            routes: Routes::open(&config.routes, Resolver::system(), None),
            retry: config.retry,
            throttle: config
                .throttle
                .as_ref()
                .map(|throttle| Throttle::open(&throttle.settings, CountingMode::Server, None)),
            deadline: config.limits.deadline,
        };
        Self {
            service: Service::new(config, gate),
            said,
            key: key.map(str::as_bytes),
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// The answer to a request, and why it should not have been `OK` if it was.
    pub(crate) fn respond(
        &self,
        params: &Params<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        let said = &self.said.0;
        said.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let start = out.len();
        let departure = self.service.respond(Peer::Unix, params, out);
        let said = said.lock().unwrap_or_else(PoisonError::into_inner);
        match out[start..].starts_with(b"Auth-Status: OK\n") {
            true if departure != SendTime::AtOnce => Err("it leaves as a refusal does"),
            false if departure == SendTime::AtOnce => Err("it does not leave as a refusal does"),
            true => self.rightly(params, &said),
            false => Ok(()),
        }
    }

    /// The login that stores are to be asked about.
    fn canonical(&self, typed: &[u8]) -> Option<Login> {
        let rules = &self.service.config().logins;
        rules.canonical(&Login::new(typed.to_vec()).ok()?).ok()
    }

    /// Why this request must be refused after these answers of the stores.
    fn rightly(&self, params: &Params<'_>, said: &[Word]) -> Result<(), &'static str> {
        let asked = |name: &[u8]| {
            let mut values = params.iter().filter(|(n, _)| *n == name);
            let first = values.next().map(|(_, value)| value);
            match values.next() {
                Some(_) => Err("OK to a request that says it twice"),
                None => Ok(first),
            }
        };
        if self.key.is_some() && asked(b"HTTP_X_AUTH_KEY")? != self.key {
            return Err("OK without the key");
        }
        let user = || asked(b"HTTP_AUTH_USER")?.ok_or("OK without a login");
        let pass = || asked(b"HTTP_AUTH_PASS")?.ok_or("OK without a password");
        let found = !said.is_empty();
        match asked(b"HTTP_AUTH_METHOD")?.unwrap_or_default() {
            b"" | b"plain" => {
                let (user, pass) = (user()?, pass()?);
                let typed = undo(user).ok_or("OK to a login that is not escaped")?;
                let pass = undo(pass).ok_or("OK to a password that is not escaped")?;
                let login = self.canonical(&typed);
                let yes = said
                    .iter()
                    .any(|word| login.as_ref() == Some(&word.login) && word.is_yes(&pass));
                let (boss, word) = MASTER;
                let user = typed.strip_suffix(&[b"*", boss].concat()[..]);
                let master = pass == word
                    && user.is_some_and(|user| {
                        let user = self.canonical(user);
                        said.iter().any(|word| user.as_ref() == Some(&word.login))
                    });
                match yes || master {
                    true => Ok(()),
                    false => Err("OK without a store that said yes"),
                }
            }
            method @ (b"cram-md5" | b"apop") => {
                let (user, pass) = (user()?, pass()?);
                let digest = if method == b"apop" { APOP } else { CRAM_MD5 };
                let challenge = asked(b"HTTP_AUTH_SALT")?;
                let typed = undo(user).ok_or("OK to a login that is not escaped")?;
                let pass = undo(pass).ok_or("OK to a digest that is not escaped")?;
                let login = self.canonical(&typed);
                let has_pw = said
                    .iter()
                    .any(|word| login.as_ref() == Some(&word.login) && word.holds(b"pw"));
                let right = challenge == Some(CHALLENGE) && pass.eq_ignore_ascii_case(digest);
                match right && has_pw {
                    true => Ok(()),
                    false => Err("OK to a wrong digest"),
                }
            }
            b"external" => {
                let verified = asked(b"HTTP_AUTH_SSL_VERIFY")? == Some(b"SUCCESS");
                let subject = asked(b"HTTP_AUTH_SSL_SUBJECT")?.unwrap_or_default();
                let named = contains(&subject.to_ascii_uppercase(), b"CN=")
                    || contains(subject, b"2.5.4.3=");
                match verified && named && found {
                    true => Ok(()),
                    false => Err("OK to a certificate that was not verified"),
                }
            }
            b"none" => {
                let to = asked(b"HTTP_AUTH_SMTP_TO")?
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                let ours = contains(&to, b"@example.com");
                match ours && asked(b"HTTP_AUTH_PROTOCOL")? == Some(b"smtp") {
                    true => Ok(()),
                    false => Err("OK to mail for somebody else"),
                }
            }
            _ => Err("OK by a way that is not configured"),
        }
    }
}

/// Stores that panic are a part of it, and what they say then of no interest. libFuzzer's own hook
/// would end the program.
fn quiet() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        if !text.starts_with("a store that panics") {
            hook(info);
        }
    }));
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A store with a listener.
struct Overheard {
    store: Arc<dyn UserStore>,
    said: Arc<Said>,
}

impl UserStore for Overheard {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        let found = self.store.find(asked);
        if let Ok(Some(account)) = &found
            && !account.disabled
        {
            let passwords = account.passwords.clone();
            self.said.hear(asked, Yes::Found(passwords));
        }
        found
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        password: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        let right = self.store.verify(asked, account, password);
        if right == Ok(PasswordCheck::Right) {
            self.said
                .hear(asked, Yes::Right(password.reveal().to_vec()));
        }
        right
    }

    fn knows_users(&self) -> bool {
        self.store.knows_users()
    }

    fn decoy(&self, asked: &Question<'_>) -> Decoy {
        self.store.decoy(asked)
    }

    fn host_field(&self) -> String {
        self.store.host_field()
    }
}

//------------ Fickle --------------------------------------------------------

/// A store that says anything at all of a login, always the same of the same one; among it what no
/// answer may hold. One in two thousand logins makes it panic.
pub(crate) struct Fickle;

impl UserStore for Fickle {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        let random = &mut Numbers::of(asked.login.as_bytes());
        if random.one_in(2000) {
            panic!("a store that panics");
        }
        if random.one_in(5) {
            return Ok(None);
        }
        if random.one_in(5) {
            return Err(StoreError::Unusable(random.text(40)));
        }
        let hosts = [
            "one",
            "two",
            "three",
            "spring",
            "192.0.2.77",
            "255.255.255.255",
            "0.0.0.0",
            "[::1]",
            "four",
            "192.0.2.1\r\nAuth-Status: OK",
        ];
        Ok(Some(Account {
            likeness: Likeness::Same,
            passwords: match random.below(6) {
                0 | 1 => {
                    let secret = Secret::parse(b"{PLAIN}pw", WeakSchemes::Allowed);
                    let secret = secret.expect("a good secret");
                    Passwords::Stored(secret.map(Credential::from).into_iter().collect())
                }
                2 => Passwords::default(),
                _ => Passwords::AskStore,
            },
            user: random.one_in(2).then(|| {
                let long = random.below(900);
                let length = if random.one_in(2) { long } else { long % 8 };
                random.bytes(length)
            }),
            host: match random.below(3) {
                0 => None,
                1 => Some(random.text(20)),
                _ => Some(hosts[random.below(hosts.len() as u64) as usize].to_owned()),
            },
            port: NonZeroU16::new(random.below(70000) as u16).filter(|_| random.one_in(2)),
            disabled: random.one_in(9),
            reason: random.one_in(2).then(|| random.text(9)),
            protocols: random.one_in(9).then(Vec::new),
            expires: random.one_in(9).then_some(std::time::UNIX_EPOCH),
            allow_nets: random.one_in(9).then(Vec::new),
            handle: None,
            source: None,
            unusable_password: random.one_in(20).then(|| random.text(40)),
            unusable: random.one_in(20).then(|| random.text(40)),
            upstream_password: random.one_in(4).then(|| {
                let length = random.below(300);
                let mut bytes = random.bytes(length);
                bytes.retain(|byte| !b"\0\r\n".contains(byte));
                Password::new(bytes).expect("a good password")
            }),
        }))
    }

    fn verify(
        &self,
        asked: &Question<'_>,
        account: &mut Account,
        _: &Password,
    ) -> Result<PasswordCheck, StoreError> {
        let random = &mut Numbers::of(&[asked.login.as_bytes(), b"?"].concat());
        if random.one_in(300) {
            panic!("a store that panics over a password");
        }
        if random.one_in(3) {
            account.host = Some(random.text(20));
        }
        match random.below(9) {
            0 => Err(StoreError::Unavailable(random.text(40))),
            1 => Err(StoreError::Unanswered(random.text(40))),
            2 => Ok(PasswordCheck::Wrong),
            3 => Ok(PasswordCheck::NotPermitted(random.text(40))),
            _ => Ok(PasswordCheck::Right),
        }
    }
}

/// Numbers that follow from a seed (splitmix64).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn of(seed: &[u8]) -> Self {
        Self(seed.iter().fold(7, |sum: u64, byte| {
            sum.wrapping_mul(31).wrapping_add((*byte).into())
        }))
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }

    fn text(&mut self, longest: u64) -> String {
        const CHARS: [char; 24] = [
            'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', '1', '2', '3', '4', '5', '.', '-', ':', '[',
            ']', '\n', '\r', '\0', ' ', '\u{e9}', '\u{7f}',
        ];
        let length = self.below(longest);
        (0..length)
            .map(|_| CHARS[self.below(24) as usize])
            .collect()
    }
}

//------------ Folder --------------------------------------------------------

/// A folder for what a program reads, which goes when it has been read.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nginx-mail-auth-fuzz-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.join(name);
        fs::write(&path, content).expect("a file");
        // The program does not trust files that others may write or read.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
