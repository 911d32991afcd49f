//! The program under CGI: every test that asks it so starts it here.

use std::process::{Command, Stdio};

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};

use crate::support::binary;
use crate::support::temp_dir::TempDir;

pub(crate) const REFUSED: &str = "Auth-Status: Invalid login or password\n\n";
pub(crate) const TEMPORARY: &str = "Auth-Status: Temporary server problem, try again later\n\n";

pub(crate) const CHALLENGE: &str = "<1585632142.1700000000@mail.example.com>";

/// The program with the configuration in the folder. What asks it goes into its environment.
pub(crate) fn program(dir: &TempDir) -> Command {
    let mut command = binary::command();
    command
        .env("NGINX_MAIL_AUTH_CONFIG", dir.path().join("auth.toml"))
        .stdin(Stdio::null());
    command
}

/// Its answer to these variables, and what it logs.
pub(crate) fn ask(dir: &TempDir, variables: &[(&str, &str)]) -> (String, String) {
    let output = binary::output(program(dir).envs(variables.iter().copied()));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// The output of `check` for the configuration in the folder, and its exit code.
pub(crate) fn check(dir: &TempDir) -> (String, Option<i32>) {
    let mut command = binary::command();
    command.arg("--config").arg(dir.path().join("auth.toml"));
    let output = binary::output(command.arg("check"));
    let text = [output.stderr, output.stdout].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

/// The word that the log has as cause.
pub(crate) fn cause(log: &str) -> &str {
    let line = log.lines().last().unwrap_or_default();
    let word = line.split(" cause=").nth(1).unwrap_or(line);
    word.split(' ').next().unwrap_or_default()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn cram_md5(password: &str) -> String {
    let mut mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).unwrap();
    mac.update(CHALLENGE.as_bytes());
    hex(&mac.finalize().into_bytes())
}

pub(crate) fn apop(password: &str) -> String {
    hex(&Md5::digest([CHALLENGE, password].concat()))
}

pub(crate) const CONFIG: &str = "\
[[users]]
store = \"file\"
path = \"users\"
allow-weak-schemes = true
[routes]
default = \"192.0.2.1\"
[answers]
retry-wait = 2
";

/// `alice`'s password is at hand, of `carol`'s there is what CRAM-MD5 needs, of `dave`'s a hash.
pub(crate) const USERS: &str = "\
alice:{PLAIN}pass word
off:{PLAIN}pass word::::::nologin
renamed:{PLAIN}pass word::::::user=alice@example.com
office:{PLAIN}pass word::::::allow_nets=192.0.2.0/24
carol:{CRAM-MD5}cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56
dave:{SSHA256}xybuwjCTcU8Y0T/pQpzcuuIia7DEYULuJFv8d+/WmkrJLW6/
nobody-knows:*
blank:{PLAIN} pass
";

pub(crate) fn folder() -> TempDir {
    let dir = TempDir::new();
    dir.write("auth.toml", CONFIG);
    dir.write("users", USERS);
    dir
}

pub(crate) fn certificate<'a>(subject: &'a str, verify: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("HTTP_AUTH_METHOD", "external"),
        ("HTTP_AUTH_PROTOCOL", "imap"),
        // Left over from an attempt with another method.
        ("HTTP_AUTH_PASS", "stale%"),
        ("HTTP_AUTH_SSL", "on"),
        ("HTTP_AUTH_SSL_VERIFY", verify),
        ("HTTP_AUTH_SSL_SUBJECT", subject),
        ("HTTP_AUTH_SSL_ISSUER", "CN=Our CA"),
    ]
}
