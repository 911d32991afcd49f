//! Whole decisions, with stores that give the answers of the test.

mod guessing;
mod inbound;
mod masters;
mod passwords;

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::auth::certificate;
use crate::login::{Likeness, Network, Protocol};
use crate::net::dns::Resolver;
use crate::nginx::request::{Client, Connection, Envelope, LoginRequest, MailRequest, Tls};
use crate::route::{Host, MasterLogin, MasterUse, Ports, Server, State, Table, Target};
use crate::secret::{ChallengeResponse, Proof, Secret, WeakSchemes};
use crate::sys::semaphore::machine::MachineSemaphore;
use crate::users::{Credential, Passwords, StoreError, UserStore};

/// Knows these logins, and how often it was asked.
struct Users(Vec<(&'static str, Account)>, Arc<AtomicUsize>);

impl UserStore for Users {
    fn find(&self, asked: &Question<'_>) -> Result<Option<Account>, StoreError> {
        self.1.fetch_add(1, SeqCst);
        let is = |(login, _): &&(&str, Account)| login.as_bytes() == asked.login.as_bytes();
        let found = self.0.iter().find(is).map(|(_, account)| account.clone());
        match asked.login.as_bytes() {
            b"down" => Err(StoreError::Unavailable("it is down".to_owned())),
            _ => Ok(found),
        }
    }

    fn host_field(&self) -> String {
        "column host".to_owned()
    }
}

fn credential(text: &str) -> Credential {
    let secret = Secret::parse(text.as_bytes(), WeakSchemes::Allowed);
    secret.unwrap().unwrap().into()
}

fn app(label: &str, text: &str) -> Credential {
    Credential {
        label: Some(label.to_owned()),
        ..credential(text)
    }
}

fn account(credentials: Vec<Credential>) -> Account {
    Account {
        passwords: Passwords::Stored(credentials),
        likeness: Likeness::Same,
        ..Account::default()
    }
}

fn clear(password: &str) -> Account {
    account(vec![credential(&format!("{{PLAIN}}{password}"))])
}

fn port(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text.into()).unwrap()
}

/// All users have the mail server 192.0.2.1, with or without the master login `nginx`.
fn routes(master: Option<MasterUse>) -> Routes {
    let ports = Ports {
        imap: port(143),
        pop3: port(110),
        smtp: port(25),
    };
    let host = Host {
        name: "one".into(),
        servers: vec![Server::only(
            Target::parse("192.0.2.1").unwrap(),
            None,
            String::new(),
        )],
        state: State::Serving,
        ports,
        master: master.map(|usage| {
            Arc::new(MasterLogin {
                login: "nginx".to_owned(),
                password: password("proxied"),
                separator: "*".to_owned(),
                usage,
            })
        }),
    };
    let mut table = Table::new(vec![host], ports, Duration::from_secs(3600));
    let one = table.declared("one").unwrap();
    table.route_default(one);
    let nobody = Resolver::system();
    Routes::lazy(&table, nobody)
}

fn gate(users: Vec<(&'static str, Account)>, master: Option<MasterUse>) -> Gate {
    counting(users, master).0
}

/// A gate, and how often its store was asked.
fn counting(
    users: Vec<(&'static str, Account)>,
    master: Option<MasterUse>,
) -> (Gate, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let source = Source {
        table: 0,
        name: "users".to_owned(),
        store: Arc::new(Users(users, Arc::clone(&asked))),
        bound: None,
        cache: None,
        domains: None,
        wrong: Then::Stop,
        trouble: Then::Stop,
        refusal_time: RefusalTime::default(),
        counts: Arc::default(),
        app_passwords: false,
    };
    let gate = Gate {
        logins: LoginRules::default(),
        masters: None,
        methods: Methods::default(),
        chain: Chain::new(vec![source], MachineSemaphore::new(NonZeroUsize::MIN), 10),
        routes: routes(master),
        retry: None,
        throttle: None,
        deadline: Duration::from_secs(20),
    };
    (gate, asked)
}

fn connection<'a>() -> Connection<'a> {
    Connection {
        protocol: Protocol::Imap,
        attempt: Some(1),
        client: Client {
            address: Some([192, 0, 2, 7].into()),
            vouched_for: true,
            ..Client::default()
        },
        tls: None,
    }
}

fn request<'a>(login: &str, proof: Proof) -> LoginRequest<'a> {
    LoginRequest {
        connection: connection(),
        login: Login::new(login.into()).unwrap(),
        proof,
    }
}

fn plain(login: &str, text: &str) -> LoginRequest<'static> {
    request(login, Proof::Password(password(text)))
}

/// `ADDRESS USER PASSWORD`, the latter two each `-` if it is the client's own.
fn sent(gate: &Gate, request: &LoginRequest<'_>) -> Result<String, Refusal> {
    decided(gate, AuthRequest::LogIn(request.clone()))
}

/// The same for every request.
fn decided(gate: &Gate, request: AuthRequest<'_>) -> Result<String, Refusal> {
    let admitted = gate.admit(&request, &mut |_| {});
    let admission = admitted.map_err(|denial| denial.why)?;
    let word = |bytes: Option<&[u8]>| match bytes {
        Some(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        None => "-".to_owned(),
    };
    let user = word(admission.user.as_deref());
    let password = word(admission.password.as_ref().map(Password::reveal));
    let upstream = admission.destination.upstream;
    Ok(format!("{upstream} {user} {password}"))
}

fn says(text: &str) -> Result<String, Refusal> {
    Ok(text.to_owned())
}
