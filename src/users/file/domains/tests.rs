//! Tests of the password files of domains.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::login::Protocol;

/// A folder of this test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("nma-domains-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(folder.join("users")).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn settings(&self, path: &str) -> DomainSettings {
        let pattern = Pattern::parse(path, &self.0).unwrap().unwrap();
        DomainSettings {
            each: Settings {
                path: pattern.whole().to_owned(),
                allow_weak_schemes: true,
                max_hash_ms: 500,
                app_passwords: None,
                rehash: None,
                default_scheme: None,
                logins: Default::default(),
            },
            pattern,
        }
    }

    /// The same files, all read and each when it is asked for.
    fn both(&self, path: &str) -> [DomainFiles; 2] {
        let settings = self.settings(path);
        let open = |lifetime| DomainFiles::open(&settings, lifetime).unwrap();
        [Lifetime::Server, Lifetime::OneRequest].map(open)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn ask(files: &DomainFiles, login: &[u8]) -> (Result<Option<Account>, StoreError>, Decoy) {
    let login = Login::new(login.to_vec()).unwrap();
    let question = Question {
        login: &login,
        protocol: Protocol::Imap,
        client: None,
        session: Default::default(),
        network: None,
        deadline: Instant::now() + Duration::from_secs(5),
        steps: None,
    };
    (files.find(&question), files.decoy(&question))
}

#[test]
fn no_domain_of_a_client_leads_out_of_the_folder() {
    let scratch = Scratch::new("hostile");
    let long = "a".repeat(230);
    for name in [
        "users/example.org",
        "passwd",
        "users/.hidden",
        "users/EXAMPLE.com",
        "users/below/example.org",
        "users/a_b",
        "users/xn--bcher-kva.example",
        "users/a.",
        "users/-a",
        "users/x",
    ] {
        scratch.write(name, "eve:{PLAIN}secret\neve@example.org:!\n");
    }
    scratch.write("users/example.org", "eve:{PLAIN}secret\n");
    for files in scratch.both("users/{domain}") {
        for domain in [
            &b"../passwd"[..],
            b"..",
            b".",
            b"",
            b"/etc/passwd",
            b"below/example.org",
            b"./example.org",
            b"example.org/",
            b".hidden",
            b"EXAMPLE.com",
            b"a_b",
            b"a.",
            b"-a",
            b"b\xc3\xbccher.example",
            b"\xff",
            b"{domain}",
            b"nobody.example",
            long.as_bytes(),
        ] {
            let (found, decoy) = ask(&files, &[b"eve@", domain].concat());
            assert!(matches!(found, Ok(None)), "{}", domain.escape_ascii());
            // As slow as a user of a file.
            assert!(matches!(decoy, Decoy::Secret(_)));
        }
        for login in ["eve", "", "@", "eve@x@", "eve@example.org@.."] {
            assert!(
                matches!(ask(&files, login.as_bytes()).0, Ok(None)),
                "{login}"
            );
        }
        for login in ["eve@example.org", "eve@x", "eve@xn--bcher-kva.example"] {
            let account = ask(&files, login.as_bytes()).0.unwrap().unwrap();
            assert!(account.has_usable_password(), "{login}");
        }
        assert!(Login::new(b"eve@x\0".to_vec()).is_err());
    }
}

#[test]
fn a_broken_file_affects_only_its_own_domain() {
    let scratch = Scratch::new("broken");
    scratch.write("d/good.example/passwd", "eve:{PLAIN}secret\n");
    scratch.write("d/empty.example/passwd", "");
    fs::create_dir_all(scratch.0.join("d/none.example")).unwrap();
    fs::create_dir_all(scratch.0.join("d/folder.example/passwd")).unwrap();
    scratch.write("d/file.example", "eve:{PLAIN}secret\n");
    fs::create_dir_all(scratch.0.join("d/dangling.example")).unwrap();
    symlink("nothing", scratch.0.join("d/dangling.example/passwd")).unwrap();
    symlink("good.example", scratch.0.join("d/linked.example")).unwrap();
    symlink(
        "none.example/../good.example/passwd",
        scratch.0.join("d/odd.example"),
    )
    .unwrap();
    for files in scratch.both("d/{domain}/passwd") {
        for (domain, known) in [
            ("good.example", Some(true)),
            ("linked.example", Some(true)),
            ("empty.example", None),
            ("none.example", None),
            ("folder.example", None),
            ("file.example", None),
            ("odd.example", None),
            ("dangling.example", Some(false)),
        ] {
            let found = ask(&files, format!("eve@{domain}").as_bytes()).0;
            match known {
                Some(true) => assert!(found.unwrap().unwrap().has_usable_password(), "{domain}"),
                Some(false) => {
                    assert!(matches!(found, Err(StoreError::Unavailable(_))), "{domain}")
                }
                None => assert!(matches!(found, Ok(None)), "{domain}"),
            }
        }
    }
    let [loaded, _] = scratch.both("d/{domain}/passwd");
    let broken: Vec<_> = loaded.broken().iter().map(Problem::to_string).collect();
    let dangling = scratch.0.join("d/dangling.example/passwd");
    let what = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(broken, [format!("{}: {what}", dangling.display())]);
    let path = scratch.0.join("d/{domain}/passwd");
    let summary = format!("{}: 4 domains, 2 users", path.display());
    assert_eq!(loaded.summary(), summary);
}

#[test]
fn names_that_no_login_has_are_reported() {
    let scratch = Scratch::new("names");
    for name in [
        "EXAMPLE.org",
        "b\u{fc}cher.example",
        "a_b.example",
        ".x",
        "x~",
        "#x#",
        "other.txt",
    ] {
        scratch.write(&format!("users/{name}.pw"), "eve:{PLAIN}secret\n");
    }
    scratch.write("users/example.com", "eve:{PLAIN}secret\n");
    let files =
        DomainFiles::open(&scratch.settings("users/{domain}.pw"), Lifetime::Server).unwrap();
    let folder = scratch.0.join("users");
    let said: Vec<_> = files.warnings().iter().map(Problem::to_string).collect();
    let starts = |name: &str, what: &str| {
        let start = format!("{}: {what}", folder.join(name).display());
        assert!(
            said.iter().any(|said| said.starts_with(&start)),
            "{start}: {said:?}"
        );
    };
    starts(
        "EXAMPLE.org.pw",
        "logins have this domain as \"example.org\"",
    );
    #[cfg(feature = "servers")]
    starts(
        "b\u{fc}cher.example.pw",
        "logins have this domain as \"xn--bcher-kva.example\"",
    );
    starts("a_b.example.pw", "its name is not a domain");
    let names = files.all();
    assert_eq!(
        names.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
        ["other.txt"]
    );
}
