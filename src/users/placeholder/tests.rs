use super::*;

#[test]
fn a_text_is_taken_apart() {
    let text = "a {login}{domain} {PLAIN} {1,2} {\"a\":1} {} { login } {admin} { é {protocol}";
    let parts = parts(text).unwrap();
    let written: String = parts.iter().map(|part| part.text).collect();
    assert_eq!(written, text);
    for part in &parts {
        assert!(text[part.at..].starts_with(part.text));
        let display = part.placeholder.map(|placeholder| placeholder.to_string());
        assert!(display.is_none_or(|display| display == part.text));
    }
    let placeholders: Vec<_> = parts.iter().filter_map(|part| part.placeholder).collect();
    assert_eq!(
        placeholders,
        [
            Placeholder::Login,
            Placeholder::Domain,
            Placeholder::Protocol
        ]
    );
}

#[test]
fn what_looks_like_a_placeholder_and_is_none_is_named_with_its_place() {
    for name in [
        "user",
        "username",
        "user-name",
        "Login",
        "LOGIN",
        "loign",
        "logins",
        "locla",
        "domian",
        "protcol",
        "protokol",
        "client-ip",
        "clientip",
        "remote_ip",
        "local_part",
    ] {
        let flaw = parts(&format!("é = {{{name}}}")).unwrap_err();
        assert_eq!(
            flaw.to_string(),
            format!(
                "there is no {{{name}}}; known are {{login}}, {{local}}, {{domain}}, {{protocol}} and {{client_ip}}"
            )
        );
        assert_eq!(flaw.place(), Some(5));
    }
    for name in [
        "PLAIN",
        "SHA256-CRYPT",
        "admin",
        "imap",
        "total",
        "USER",
        "",
    ] {
        assert_eq!(
            Placeholder::read(&format!("{{{name}}}")),
            Ok(None),
            "{name}"
        );
    }
}
