//! What is fuzzed: one function for each parser of bytes from outside. Each panics if what it
//! promises does not hold. libFuzzer calls them from fuzz_targets/, the tests call them too.

use std::path::{Path, PathBuf};

use nginx_mail_auth::answer::Messages;
use nginx_mail_auth::config::Config;
use nginx_mail_auth::fcgi::conn::{Connection, Event};
use nginx_mail_auth::fcgi::record::{Header, pairs};
use nginx_mail_auth::fcgi::{Limits, NoRequest};
use nginx_mail_auth::journal::Decision;
use nginx_mail_auth::method::inbound;
use nginx_mail_auth::params::Params;
use nginx_mail_auth::refusal::Refusal;
use nginx_mail_auth::request::{AuthRequest, Envelope, Login, MAX_LOGIN_BYTES, Outline, Protocol};
use nginx_mail_auth::secret::{
    MAX_PASSWORD_BYTES, Password, Proof, Secret, SharedKey, WeakSchemes,
};
use nginx_mail_auth::store::file::{AppPasswords, FileStore, Settings};

/// Takes any bytes at all.
pub(crate) type Target = fn(&[u8]);

/// Every target by name.
pub(crate) const ALL: &[(&str, Target)] = &[
    ("records", records),
    ("connection", connection),
    ("request", request),
    ("config", config),
    ("password_file", password_file),
    ("secret", secret),
    ("log", log),
    ("app_passwords", app_passwords),
    ("recipient", recipient),
    #[cfg(feature = "sql")]
    ("statement", statement),
    #[cfg(feature = "ldap")]
    ("directory", directory),
];

/// Record headers and name-value pairs: what is read is within what is there, and headers are
/// written as they were read.
pub(crate) fn records(data: &[u8]) {
    if let Some(bytes) = data.first_chunk::<8>()
        && let Some(header) = Header::decode(*bytes)
    {
        assert_eq!(header.encode()[..7], bytes[..7]);
    }
    let mut length = 0;
    for pair in pairs(data) {
        let Ok((name, value)) = pair else { break };
        length += 2 + name.len() + value.len();
    }
    assert!(length <= data.len());
}

/// A whole connection: the same answers however the bytes are cut, and bounded memory.
pub(crate) fn connection(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else {
        return;
    };
    let whole = drive(stream, usize::MAX);
    let in_pieces = drive(stream, usize::from(cut) + 1);
    assert_eq!(whole, in_pieces);
}

fn drive(stream: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let limits = Limits {
        params_bytes: 8192,
        params_pairs: 32,
        ..Limits::default()
    };
    let mut conn = Connection::new(limits);
    let (mut out, mut rest) = (Vec::new(), stream);
    loop {
        match conn.next(&mut out) {
            Event::Answer => conn.answer(&mut out, |request, out| match request {
                Ok(params) => {
                    assert!(params.iter().count() <= limits.params_pairs);
                    out.extend_from_slice(b"Answer: yes\n\n");
                }
                Err(NoRequest::TooLarge) => out.extend_from_slice(b"Answer: too-large\n\n"),
                Err(_) => out.extend_from_slice(b"Answer: no\n\n"),
            }),
            Event::More(_) => {
                if rest.is_empty() {
                    return (out, false);
                }
                let room = conn.room();
                assert!(room.capacity() - room.len() <= 64 * 1024);
                let length = piece.min(rest.len()).min(room.capacity() - room.len());
                assert!(length > 0);
                let (now, later) = rest.split_at(length);
                room.extend_from_slice(now);
                rest = later;
            }
            Event::Over => return (out, false),
            Event::Broken(_) => return (out, true),
        }
    }
}

/// Variables to a request: what comes through is checked and bounded.
pub(crate) fn request(data: &[u8]) {
    let mut params = Params::bounded(512);
    for line in data.split(|byte| *byte == b'\n') {
        let mut parts = line.splitn(2, |byte| *byte == b'=');
        if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
            let _full = params.push(name, value);
        }
    }
    let key = SharedKey::new(b"key".to_vec());
    let _outline = Outline::of(&params);
    for key in [None, key.as_ref()] {
        let Ok(request) = AuthRequest::from_params(&params, key) else {
            continue;
        };
        let login = request.login.as_bytes();
        assert!(login.len() <= MAX_LOGIN_BYTES && !login.iter().any(u8::is_ascii_control));
        if let Proof::Password(password) = &request.proof {
            let password = password.reveal();
            assert!(password.len() <= MAX_PASSWORD_BYTES);
            assert!(
                !password
                    .iter()
                    .any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
            );
        }
    }
}

/// The TOML: a configuration, or problems that name a place within the file.
pub(crate) fn config(data: &[u8]) {
    match Config::parse(Path::new("/nonexistent/auth.toml"), data) {
        Ok(config) => assert!(!config.users.is_empty()),
        Err(problems) => {
            assert!(!problems.is_empty());
            let lines = data.iter().filter(|byte| **byte == b'\n').count() + 1;
            for (line, column) in problems.iter().filter_map(|problem| problem.place) {
                assert!((1..=lines).contains(&line) && column >= 1);
            }
        }
    }
}

/// A password file: searched with an index and without, it says the same of a login.
pub(crate) fn password_file(data: &[u8]) {
    let settings = Settings {
        path: "/nonexistent/users".into(),
        allow_weak_schemes: true,
        app_passwords: None,
    };
    let Ok(indexed) = FileStore::load(data.to_vec(), &settings) else {
        return;
    };
    let lazy = FileStore::lazy(data.to_vec(), &settings).expect("it has a user");
    for name in [&b"alice"[..], b"bob", b"", b"nobody"] {
        let login = Login::new(name.to_vec()).expect("a good login");
        let found = indexed.account(&login);
        if name.is_empty() {
            assert!(matches!(found, Ok(None)));
        }
        if name == b"alice" {
            assert_eq!(format!("{found:?}"), format!("{:?}", lazy.account(&login)));
        }
        let _of_any_line = indexed.decoy_for(&login);
    }
}

/// A file of app passwords: searched with an index and without, it says the same of a login.
pub(crate) fn app_passwords(data: &[u8]) {
    let path = PathBuf::from("/nonexistent/apps");
    let weak = WeakSchemes::Allowed;
    let users = |apps| {
        let settings = Settings {
            path: "/nonexistent/users".into(),
            allow_weak_schemes: true,
            app_passwords: None,
        };
        let users = FileStore::lazy(b"alice:*\nbob:*\n".to_vec(), &settings);
        users.expect("it has users").with_app_passwords(apps)
    };
    let Ok(indexed) = AppPasswords::load(data.to_vec(), path.clone(), weak) else {
        return;
    };
    let lazy = AppPasswords::lazy(data.to_vec(), path, weak).expect("it was loaded");
    let (indexed, lazy) = (users(indexed), users(lazy));
    for name in [&b"alice"[..], b"bob"] {
        let login = Login::new(name.to_vec()).expect("a good login");
        let found = indexed.account(&login);
        assert_eq!(format!("{found:?}"), format!("{:?}", lazy.account(&login)));
    }
    let nobody = Login::new(b"nobody".to_vec()).expect("a good login");
    assert!(matches!(indexed.account(&nobody), Ok(None)));
}

/// The RCPT command of another mail server: whoever it is for is of our domain, at most once.
pub(crate) fn recipient(data: &[u8]) {
    let settings = inbound::Settings {
        domains: vec!["example.org".to_owned()],
        host: None,
        recipients: inbound::Recipients::All,
    };
    let envelope = Envelope {
        helo: b"",
        from: b"MAIL FROM:<>",
        to: data,
    };
    if let Ok(login) = settings.recipient(Protocol::Smtp, Some(&envelope)) {
        let bytes = login.as_bytes();
        let domain = login.domain().expect("it has one");
        assert!(domain.eq_ignore_ascii_case(b"example.org"));
        assert_eq!(bytes.iter().filter(|byte| **byte == b'@').count(), 1);
        assert!(!bytes.contains(&b'%') && !bytes.contains(&b'!') && !login.local().is_empty());
    }
    assert!(settings.recipient(Protocol::Imap, Some(&envelope)).is_err());
}

/// The statement of an administrator: what is read holds no parameter of ours any more.
#[cfg(feature = "sql")]
pub(crate) fn statement(data: &[u8]) {
    use nginx_mail_auth::store::sql::template::{Dialect, Template};
    let text = String::from_utf8_lossy(data);
    for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql] {
        if let Ok(read) = Template::parse(&text, dialect) {
            assert!(!read.parameters.is_empty());
            // Reading adds placeholders and nothing else.
            assert!(read.sql.len() <= text.len() + 8 * read.parameters.len());
        }
    }
}

/// The templates of a directory: one that is taken names a user.
#[cfg(feature = "ldap")]
pub(crate) fn directory(data: &[u8]) {
    use nginx_mail_auth::store::ldap::{BindName, FilterTemplate, Url};
    let text = String::from_utf8_lossy(data);
    let _any_flaw = FilterTemplate::parse(&text).map(|filter| filter.names_a_user());
    let _any_flaw = BindName::parse(&text).map(|name| name.names_a_user());
    if let Ok(url) = Url::parse(&text) {
        assert!(!url.to_string().is_empty());
    }
}

/// A stored secret: read or refused, and an empty password never fits. Hashes are not computed
/// here: those within the bounds may still take a second.
pub(crate) fn secret(data: &[u8]) {
    if let Ok(Some(secret)) = Secret::parse(data, WeakSchemes::Allowed) {
        let empty = Password::new(Vec::new()).expect("no rule against it");
        assert!(!secret.matches(&Proof::Password(empty)));
        assert!(!format!("{secret:?}").contains("$"));
    }
}

/// The log line: one line of printable ASCII, and the client's address is where it belongs.
pub(crate) fn log(data: &[u8]) {
    let refusal = Refusal::WrongPassword;
    let line = Decision {
        login: Some(data),
        protocol: "imap",
        client: Some([192, 0, 2, 7].into()),
        recipient: None,
        host: Some(Messages::REFUSED),
        user: Some(data),
        app_password: None,
        refusal: Some(&refusal),
        peer: None,
        took: std::time::Duration::ZERO,
    }
    .to_string();
    assert!(line.len() <= 900 && line.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    let mut after = line
        .strip_prefix("login=\"")
        .expect("the login comes first");
    loop {
        let end = after.find(['"', '\\']).expect("the login ends");
        let escape = after.as_bytes()[end] == b'\\';
        after = &after[end + 1 + usize::from(escape)..];
        if !escape {
            break;
        }
    }
    assert!(
        after.starts_with(" protocol=imap client=192.0.2.7 "),
        "{line}"
    );
}
