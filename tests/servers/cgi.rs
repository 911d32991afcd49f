//! What only another program can ask by CGI.

use std::process::{Command, Stdio};

use crate::support::cgi::REFUSED;

#[test]
fn an_environment_with_a_name_twice_is_refused() {
    // No shell makes one; execve does as it is told.
    let script = r#"
import ctypes, sys
strings = lambda items: (ctypes.c_char_p * (len(items) + 1))(*[i.encode() for i in items], None)
argv = strings([sys.argv[1], "--config", sys.argv[2]])
envp = strings(["HTTP_AUTH_USER=alice", "HTTP_AUTH_PASS=x", "HTTP_AUTH_USER=mallory"])
ctypes.CDLL(None).execve(sys.argv[1].encode(), argv, envp)
"#;
    let output = Command::new("python3")
        .args(["-c", script, env!("CARGO_BIN_EXE_nginx-mail-auth")])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/php-script.toml"
        ))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), REFUSED);
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("cause=duplicate-header detail=\"Auth-User\"")
    );
}
