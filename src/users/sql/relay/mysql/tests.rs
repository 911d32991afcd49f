//! What servers say first, and what passwords become.

use super::*;

/// Of MariaDB 10.11, which has a longer version and names its own default.
const MARIADB: &[u8] =
    b"\x0a5.5.5-10.11.19-MariaDB\0\x08\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\
    \x15\0\0\0\0\0\0\x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

#[test]
fn greetings() {
    let parsed = Greeting::parse(MARIADB).unwrap();
    assert_eq!(parsed.nonce, b"abcdefghijklmnopqrst");
    assert_eq!(parsed.plugin, b"mysql_native_password");
    assert_eq!(parsed.capabilities, 0x81ff_f7fe);
    let at = parsed.capabilities_at;
    assert_eq!(MARIADB.get(at..at + 2), Some(b"\xfe\xf7".as_slice()));
    for end in 0..MARIADB.len() - "mysql_native_password\0".len() {
        assert_eq!(Greeting::parse(&MARIADB[..end]), None, "{end}");
    }
    assert_eq!(Greeting::parse(b"\x09old"), None);
    let other = |plugin: &[u8]| {
        let start = MARIADB.strip_suffix(b"mysql_native_password\0").unwrap();
        let greeting = Greeting::parse(&[start, plugin].concat()).unwrap();
        greeting.method().map_err(|error| error.to_string())
    };
    assert_eq!(other(b""), Ok(Method::Native));
    assert_eq!(other(b"caching_sha2_password\0"), Ok(Method::CachingSha2));
    for name in ["client_ed25519", "parsec"] {
        let error = unsupported(name.as_bytes()).to_string();
        assert_eq!(other(format!("{name}\0").as_bytes()), Err(error));
    }
}

/// Values of Python's hashlib.
#[test]
fn challenges() {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(
        hex(&native(b"secret", b"abcdefghijklmnopqrst")),
        "8817c50fa779daef010ee7577825b0847df9842e"
    );
    assert_eq!(
        hex(&caching_sha2(b"secret", b"abcdefghijklmnopqrst")),
        "c76e2898612a4cf042c77fa8c4702c4c64c0c2c557c53c4d75595aaa6abae809"
    );
}

#[test]
fn a_cleartext_password_is_sent_only_to_a_trusted_server() {
    for method in [Method::Sha256, Method::Clear, Method::CachingSha2] {
        assert_eq!(
            clear(method, b"secret", true).unwrap().as_slice(),
            b"secret\0"
        );
        let error = clear(method, b"secret", false).unwrap_err().to_string();
        let begin = format!("the server wants the password itself ({})", method.name());
        assert!(error.starts_with(&begin), "{error}");
        assert!(!error.contains("secret"), "{error}");
        // The log has that many characters of it.
        assert!(error.len() <= 160, "{error}");
        let by_key = method != Method::Clear;
        assert_eq!(
            error.ends_with("\" or server-public-key-file"),
            by_key,
            "{error}"
        );
    }
}

#[test]
fn plugins_that_are_not_supported_have_a_name() {
    for (plugin, name) in [
        (&b"client_ed25519"[..], "client_ed25519"),
        (b"parsec", "parsec"),
        (b"dialog", "dialog"),
        (b"", "mysql_old_password"),
        (&[b'x'; 4000], &"x".repeat(40)),
    ] {
        let error = unsupported(plugin).to_string();
        let begin = format!("the plugin {name:?} of our user is not supported: give the user ");
        assert!(error.starts_with(&begin) && error.len() <= 160, "{error}");
    }
}
