//! What `check` finds: in the configuration, and at the servers.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nginx_mail_auth::config::{Config, StoreConfig};

use crate::support::certificates::Certificates;
use crate::support::program::{check, with_store};
use crate::support::slapd::{Mode, PEOPLE, SEARCH_DN, Slapd};
use crate::support::temp_dir::TempDir;

/// All problems of one `[[users]]` with these keys, and all warnings.
fn problems(keys: &str) -> (Vec<String>, Vec<String>) {
    let folder = TempDir::new();
    let path = folder.write(
        "auth.toml",
        with_store(&format!("store = \"ldap\"\n{keys}")),
    );
    let secret = folder.write("password", "secret\n");
    folder.write("empty", "\n");
    std::fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let texts = |problems: Vec<nginx_mail_auth::sys::problem::Problem>| {
        let home = format!("{}/", folder.path().display());
        let text = |problem: nginx_mail_auth::sys::problem::Problem| {
            problem.to_string().replace(&home, "")
        };
        problems.into_iter().map(text).collect::<Vec<_>>()
    };
    match Config::parse(&path, &bytes) {
        Ok(config) => (Vec::new(), texts(config.warnings)),
        Err(problems) => (texts(problems), Vec::new()),
    }
}

const BIND: &str = "urls = [\"ldaps://ldap\"]\nauth = \"bind\"\n";
const SEARCH: &str = "urls = [\"ldaps://ldap\"]\nauth = \"search-bind\"\n";

#[test]
fn each_broken_key_is_named_with_its_place() {
    let lookup = "base = \"o=x\"\nfilter = \"(uid={login})\"\n";
    let user = "user-dn = \"uid={login},o=x\"\n";
    for (keys, expected) in [
        (
            String::new(),
            &[
                "auth.toml:1:1: users.urls: is missing",
                "auth.toml:1:1: users.auth: is missing; it is one of \"bind\", \"search-bind\", \"compare\"",
            ][..],
        ),
        (
            format!("urls = []\nauth = \"bind\"\n{user}"),
            &["auth.toml:3:8: users.urls: must not be empty"],
        ),
        (
            format!(
                "urls = [\"ldap://a\", \"http://b\", \"ldap://c/o=x\"]\nauth = \"bind\"\n{user}"
            ),
            &[
                "auth.toml:3:21: users.urls: must begin with ldap://, ldaps:// or ldapi://",
                "auth.toml:3:33: users.urls: names more than a scheme, a host and a port; base, \
                 filter and the rest have keys of their own",
            ],
        ),
        (
            format!("urls = [\"ldap://a\"]\nauth = \"sasl\"\n{user}"),
            &[
                "auth.toml:4:8: users.auth: must be one of \"bind\", \"search-bind\", \"compare\", not \"sasl\"",
            ],
        ),
        (
            format!("{BIND}{user}starttls = true\n"),
            &["auth.toml:6:12: users.starttls: is for ldap:// only, and none of the urls is"],
        ),
        (
            BIND.to_owned(),
            &["auth.toml:1:1: users.user-dn: is missing; auth = \"bind\" needs it"],
        ),
        (
            format!("{BIND}user-dn = \"uid={{user}},o=x\"\n"),
            &[
                "auth.toml:5:16: users.user-dn: there is no {user}; known are {login}, \
               {local}, {domain}, {protocol} and {client_ip}; a brace itself is \\7b or \\7d",
            ],
        ),
        (
            format!("{BIND}user-dn = \"uid=alice,o={{domain}}\"\n"),
            &[
                "auth.toml:5:11: users.user-dn: has neither {login} nor {local} in it: all logins would \
               be the same user",
            ],
        ),
        (
            format!("{BIND}user-dn = \"{{local}}\"\n"),
            &[
                "auth.toml:5:11: users.user-dn: this is neither a DN nor user@domain \
               nor DOMAIN\\user",
            ],
        ),
        (
            format!("{BIND}{user}bind-dn = \"cn=x\"\nbind-password-file = \"password\"\n"),
            &[
                "auth.toml:6:11: users.bind-dn: has no effect without base and filter: nothing is searched",
            ],
        ),
        (
            format!("{BIND}{user}base = \"o=x\"\n"),
            &["auth.toml:1:1: users.filter: is missing; a search needs base and filter"],
        ),
        (
            format!(
                "{BIND}{user}scope = \"one\"\npassword-attribute = \"x\"\ndefault-scheme = \"PLAIN\"\n\
                     allow-weak-schemes = true\n"
            ),
            &[
                "auth.toml:6:9: users.scope: has no effect without base and filter",
                "auth.toml:7:22: users.password-attribute: is for auth = \"compare\" only",
                "auth.toml:8:18: users.default-scheme: is for auth = \"compare\" only",
                "auth.toml:9:22: users.allow-weak-schemes: is for auth = \"compare\" only",
            ],
        ),
        (
            format!("{BIND}user-dn = \"{{login}}\"\nhost-attribute = \"x\"\n"),
            &[
                "auth.toml:1:1: users.base: is missing, and so is filter: a user-dn that is not a DN names \
               no entry to read attributes from",
            ],
        ),
        (
            SEARCH.to_owned(),
            &[
                "auth.toml:1:1: users.base: is missing; a search needs base and filter",
                "auth.toml:1:1: users.filter: is missing; a search needs base and filter",
            ],
        ),
        (
            format!("{SEARCH}{lookup}{user}"),
            &["auth.toml:7:11: users.user-dn: is for auth = \"bind\" only"],
        ),
        (
            format!("{SEARCH}base = \"o=x\"\nfilter = \"(&(uid={{login}})(x)\"\n"),
            &[
                "auth.toml:6:28: users.filter: an attribute must be followed by =, >=, \
               <=, ~= or :=",
            ],
        ),
        (
            format!("{SEARCH}base = \"people\"\nfilter = \"(uid=alice)\"\n"),
            &["auth.toml:5:15: users.base: there is no = after the type of an attribute"],
        ),
        (
            format!("{SEARCH}base = \"o=x\"\nfilter = \"(uid=alice)\"\n"),
            &[
                "auth.toml:6:10: users.filter: has neither {login} nor {local} in it: all logins would \
               be the same user",
            ],
        ),
        (
            format!("{SEARCH}base = \"o=x\"\nfilter = \"(uid=%u)\"\n"),
            &[
                "auth.toml:6:16: users.filter: has neither {login} nor {local} in it: all logins would \
               be the same user: write {login} in place of %u",
            ],
        ),
        (
            format!("{SEARCH}base = \"o=x\"\nfilter = \"(uid={{login}}*)\"\n"),
            &[
                "auth.toml:6:10: users.filter: {login} must not be combined with *, nor follow >=, <=, ~= or a \
               rule for parts of values: the login o would find the entry of ok",
            ],
        ),
        (
            format!("{SEARCH}{lookup}bind-dn = \"cn=x\"\n"),
            &["auth.toml:7:11: users.bind-password-file: is missing; bind-dn needs it"],
        ),
        (
            format!("{SEARCH}{lookup}bind-password-file = \"password\"\n"),
            &["auth.toml:7:22: users.bind-password-file: has no effect without bind-dn"],
        ),
        (
            format!("{SEARCH}{lookup}bind-dn = \"\"\nbind-password-file = \"empty\"\n"),
            &[
                "auth.toml:7:11: users.bind-dn: must not be empty; leave it out to search anonymously",
                "auth.toml:8:22: users.bind-password-file: the password is empty",
            ],
        ),
        (
            format!(
                "{SEARCH}{lookup}scope = \"all\"\nhost-attribute = \"a b\"\nconnections = 0\ntimeout = 61\n"
            ),
            &[
                "auth.toml:7:9: users.scope: must be one of \"base\", \"one\", \"sub\", not \"all\"",
                "auth.toml:8:18: users.host-attribute: is not an attribute name",
                "auth.toml:9:15: users.connections: must be from 1 to 1000, not 0",
                "auth.toml:10:11: users.timeout: must be from 1 to 60, not 61",
            ],
        ),
        (
            format!(
                "urls = [\"ldaps://a\"]\nauth = \"compare\"\n{lookup}default-scheme = \"ROT13\"\n"
            ),
            &["auth.toml:7:18: users.default-scheme: there is no scheme \"ROT13\" here"],
        ),
    ] {
        assert_eq!(
            problems(&keys),
            (
                expected.iter().map(|&text| text.to_owned()).collect(),
                Vec::new()
            ),
            "{keys}"
        );
    }
}

#[test]
fn what_works_but_should_not_be_is_warned_of() {
    let in_clear = |url: &str| {
        format!(
            "auth.toml:3:9: users.urls: passwords go over the network in clear to {url}: set starttls \
             = true, or use ldaps://"
        )
    };
    let domains = "takes {local} with whatever domain: list the domains in domains, or use {login} or \
                   {domain}";
    for (keys, expected) in [
        (
            "urls = [\"ldap://ldap\"]\nauth = \"bind\"\nuser-dn = \"uid={login},o=x\"\n",
            vec![in_clear("ldap://ldap")],
        ),
        (
            "urls = [\"ldap://127.0.0.1\"]\nauth = \"bind\"\nuser-dn = \"uid={login},o=x\"\n",
            vec![],
        ),
        (
            "urls = [\"ldap://ldap\"]\nstarttls = true\nauth = \"bind\"\nuser-dn = \"uid={login},o=x\"\n",
            vec![],
        ),
        (
            "urls = [\"ldapi://\"]\nauth = \"bind\"\nuser-dn = \"uid={local},o=x\"\n",
            vec![format!("auth.toml:5:11: users.user-dn: {domains}")],
        ),
        (
            "urls = [\"ldapi://\"]\nauth = \"search-bind\"\nbase = \"o=x\"\nfilter = \"(uid={local})\"\n",
            vec![format!("auth.toml:6:10: users.filter: {domains}")],
        ),
        (
            "urls = [\"ldapi://\"]\nauth = \"search-bind\"\nbase = \"o={domain}\"\nfilter = \"(uid={local})\"\n",
            vec![],
        ),
        (
            "urls = [\"ldapi://\"]\ndomains = [\"x\"]\nauth = \"bind\"\nuser-dn = \"uid={local},o=x\"\n",
            vec![],
        ),
    ] {
        assert_eq!(problems(keys), (Vec::new(), expected), "{keys}");
    }
}

#[test]
fn the_examples_are_sound() {
    for (name, stores) in [("ldap.toml", 3), ("active-directory.toml", 2)] {
        let example = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(name);
        let folder = TempDir::new();
        let certificates = Certificates::made_for("DNS:localhost");
        for (file, content) in [
            ("ldap.password", b"secret\n".to_vec()),
            ("ad.password", b"secret\n".to_vec()),
            ("corp-ca.pem", std::fs::read(certificates.ca()).unwrap()),
        ] {
            let file = folder.write(file, content);
            std::fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        }
        let bytes = std::fs::read(example).unwrap();
        let config = Config::parse(&folder.path().join(name), &bytes)
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let directories = config
            .users
            .iter()
            .filter(|users| matches!(users.store, StoreConfig::Ldap(_)));
        assert_eq!(directories.count(), stores, "{name}");
        assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    }
}

#[test]
fn everything_is_tried_at_each_server() {
    let slapd = Slapd::started();
    for mode in Mode::ALL {
        let (code, complaints) = check(&with_store(&slapd.keys(mode)));
        assert_eq!((code, complaints.as_str()), (0, ""), "{mode:?}");
    }
    let wrong = TempDir::new();
    let wrong = wrong.write("password", "wrong");
    std::fs::set_permissions(&wrong, Permissions::from_mode(0o600)).unwrap();
    let dead = Slapd::stopped(std::net::Ipv4Addr::new(127, 0, 0, 4));
    let keys = |mode| slapd.keys(mode);
    let password_file = slapd.password_file().display().to_string();
    for (keys, complaint) in [
        (
            keys(Mode::SearchBind).replace(&password_file, &wrong.display().to_string()),
            "bind-dn is refused: invalidCredentials (49)",
        ),
        (
            keys(Mode::SearchBind).replace(SEARCH_DN, "mail"),
            "bind-dn is refused: invalidDNSyntax (34)",
        ),
        (
            keys(Mode::SearchBind).replace(PEOPLE, "ou=nowhere,dc=example,dc=org"),
            "noSuchObject (32)",
        ),
        (
            keys(Mode::Compare).replace("(uid={login})", "(|(uid={login})(objectClass=*))"),
            "finds an entry for an invented login",
        ),
        (
            keys(Mode::Bind).replace("uid={login}", "nosuchtype={login}"),
            "invalidDNSyntax (34)",
        ),
    ] {
        let (code, complaints) = check(&with_store(&keys));
        assert_eq!(code, 78, "{complaints}");
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
        assert!(
            complaints.contains(&slapd.url()) && complaints.contains(complaint),
            "{complaints}"
        );
    }
    // One that is down is named, the others are tried all the same.
    let keys = slapd.keys_at(Mode::SearchBind, &[dead.url(), slapd.url()]);
    let (code, complaints) = check(&with_store(&keys));
    assert_eq!(code, 78);
    assert_eq!(complaints.lines().count(), 1, "{complaints}");
    assert!(
        complaints.contains(&format!("{}: Connection refused", dead.url())),
        "{complaints}"
    );
}
