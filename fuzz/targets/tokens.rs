//! Tokens, the keys that sign them, and the service that knows about the others.

use std::cell::LazyCell;
use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use nginx_mail_auth::auth::token::{IntrospectionSettings, Rules, Settings, Tokens};
use nginx_mail_auth::login::rules::LoginRules;
use nginx_mail_auth::login::{Login, Protocol};
use nginx_mail_auth::net::http::endpoint_of;
use nginx_mail_auth::secret::Token;
use nginx_mail_auth::sys::Lifetime;
use nginx_mail_auth::users::Question;
use serde_json::Value;

use super::world::Folder;

/// The key of the examples in RFC 8037, appendix A, which everybody knows.
const PUBLIC: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k",
"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
const PRIVATE: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// Before it, in PKCS #8 (RFC 8410, 7).
const PKCS8: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

fn settings() -> Settings {
    Settings {
        rules: Rules {
            issuer: None,
            audience: Some("mail".to_owned()),
            scope: None,
            login: "email".to_owned(),
        },
        jwks_file: None,
        introspection: None,
    }
}

struct Signed {
    tokens: Tokens,
    key: EncodingKey,
}

thread_local! {
    static SIGNED: LazyCell<Signed> = LazyCell::new(|| {
        let folder = Folder::new();
        let settings = Settings {
            jwks_file: Some(folder.write("jwks", PUBLIC)),
            ..settings()
        };
        let tokens = Tokens::open(&settings, NonZeroUsize::MIN, Lifetime::Server, &mut Vec::new());
        let private = URL_SAFE_NO_PAD.decode(PRIVATE).expect("base64");
        Signed {
            tokens: tokens.unwrap_or_else(|fault| panic!("{}", fault.message)),
            key: EncodingKey::from_ed_der(&[PKCS8, &private].concat()),
        }
    });
    static FILE: LazyCell<Folder> = LazyCell::new(Folder::new);
    static SERVICE: LazyCell<Service> = LazyCell::new(Service::start);
}

fn is_alices(tokens: &Tokens, token: &[u8]) -> bool {
    let Some(token) = Token::new(token.to_vec()) else {
        return false;
    };
    let login = Login::new(b"alice".to_vec()).expect("a good login");
    let asked = Question {
        login: &login,
        protocol: Protocol::Imap,
        client: None,
        session: nginx_mail_auth::nginx::request::Session::default(),
        network: None,
        deadline: Instant::now() + Duration::from_secs(5),
        steps: None,
    };
    tokens.check(&token, &asked, &LoginRules::default()).is_ok()
}

fn names_alice(claims: &[u8]) -> bool {
    let claims = serde_json::from_slice::<Value>(claims);
    claims.is_ok_and(|claims| claims["email"] == "alice")
}

/// A token as it came, which cannot have a right signature; or, behind `!`, a header and claims,
/// each in a line, which are signed.
pub(crate) fn token(data: &[u8]) {
    SIGNED.with(|signed| {
        let Some(parts) = data.strip_prefix(b"!") else {
            assert!(!is_alices(&signed.tokens, data));
            return;
        };
        let mut lines = parts.splitn(2, |byte| *byte == b'\n');
        let (header, claims) = (
            lines.next().unwrap_or_default(),
            lines.next().unwrap_or_default(),
        );
        let encoded = [header, claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let signature = crypto::sign(encoded.as_bytes(), &signed.key, Algorithm::EdDSA);
        let token = format!("{encoded}.{}", signature.expect("a signature"));
        if is_alices(&signed.tokens, token.as_bytes()) {
            assert!(names_alice(claims));
            // What it does not look at, it does not read.
            if let Ok(header) = serde_json::from_slice::<Value>(header) {
                assert!(header["alg"] == "EdDSA" || header["alg"] == "Ed25519");
            }
        }
    });
}

/// A file with keys, damaged or not: no token of the key above is right by it unless that very
/// key is in it.
pub(crate) fn keys(data: &[u8]) {
    let path = FILE.with(|folder| folder.write("jwks", &String::from_utf8_lossy(data)));
    let settings = Settings {
        jwks_file: Some(path),
        ..settings()
    };
    if let Ok(tokens) = Tokens::open(
        &settings,
        NonZeroUsize::MIN,
        Lifetime::Server,
        &mut Vec::new(),
    ) {
        let claims = br#"{"email":"alice","aud":"mail","exp":4102444800}"#;
        let encoded = [&br#"{"alg":"EdDSA"}"#[..], claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".");
        let signature = SIGNED.with(|signed| {
            crypto::sign(encoded.as_bytes(), &signed.key, Algorithm::EdDSA).expect("a signature")
        });
        let right = is_alices(&tokens, format!("{encoded}.{signature}").as_bytes());
        let key = b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert!(
            !right || data.windows(key.len()).any(|window| window == key) || data.contains(&b'\\')
        );
    }
}

/// What a service says of a token: the body of its answer. Only `"active": true` lets anybody in.
pub(crate) fn introspection(data: &[u8]) {
    SERVICE.with(|service| {
        *service.body.lock().unwrap_or_else(PoisonError::into_inner) = data.to_vec();
        if is_alices(&service.tokens, b"opaque") {
            let told: Value = serde_json::from_slice(data).expect("JSON");
            assert!(told["active"] == true && names_alice(data));
        }
    });
}

struct Service {
    tokens: Tokens,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Service {
    /// Answers everything with the same body.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let body = Arc::<Mutex<Vec<u8>>>::default();
        let said = Arc::clone(&body);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Ok(clone) = stream.try_clone() else {
                    continue;
                };
                let mut reader = BufReader::new(clone);
                while read_question(&mut reader).is_some() {
                    let body = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                    if stream
                        .write_all(&[head.as_bytes(), &body].concat())
                        .is_err()
                    {
                        break;
                    }
                }
            }
        });
        let settings = Settings {
            introspection: Some(IntrospectionSettings {
                endpoint: endpoint_of(&format!("http://127.0.0.1:{port}/")).expect("a host"),
                url: format!("http://127.0.0.1:{port}/"),
                client: None,
                ca_file: None,
                timeout: Duration::from_secs(4),
            }),
            ..settings()
        };
        let tokens = Tokens::open(
            &settings,
            NonZeroUsize::MIN,
            Lifetime::OneRequest,
            &mut Vec::new(),
        );
        Self {
            tokens: tokens.unwrap_or_else(|fault| panic!("{}", fault.message)),
            body,
        }
    }
}

fn read_question(reader: &mut impl std::io::BufRead) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return reader.read_exact(&mut vec![0; length]).ok();
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
}
