//! The printed snippets.

use clap::ValueEnum as _;

use super::*;

const MINIMAL: &str = "[[users]]\nstore = \"accept\"\n[routes]\ndefault = \"192.0.2.1\"\n";

fn filled(config: &str, arguments: SnippetArgs) -> String {
    let path = Path::new(DEFAULT_CONFIG);
    let checked = Config::parse(path, config.as_bytes()).ok().unwrap();
    let values = Values::of(path, &checked, &arguments).unwrap();
    values.fill(arguments.snippet)
}

fn arguments(snippet: SnippetWord) -> SnippetArgs {
    SnippetArgs {
        snippet,
        program: Some(PROGRAM.into()),
        url: default_url(),
        socket: None,
        log: None,
        with_secrets: false,
    }
}

/// The shipped files are the templates, and every text that a snippet replaces is in them.
#[test]
fn with_the_defaults_a_snippet_is_the_shipped_file() {
    const KEY: &str = "[nginx]\nkey = \"3b1c6e0d9f-3b1c6e0d9f\"\n";
    for snippet in SnippetWord::value_variants() {
        let shipped = match snippet {
            SnippetWord::ApacheCgi => APACHE_CGI,
            SnippetWord::ApacheFcgid => APACHE_FCGID,
            SnippetWord::ApacheProxy => APACHE_PROXY,
            SnippetWord::Nginx => NGINX,
            SnippetWord::NginxFastcgi => NGINX_FASTCGI,
            SnippetWord::Systemd => SERVICE,
            SnippetWord::SystemdSocket => SOCKET,
            SnippetWord::Fail2ban => JAIL,
            SnippetWord::Fail2banFilter => FILTER,
        };
        let printed = filled(&format!("{KEY}{MINIMAL}"), arguments(*snippet));
        assert_eq!(printed, shipped, "{snippet:?}");
    }
}

#[test]
fn the_values_of_the_configuration_are_in_it() {
    let config = format!(
        "[nginx]\nkey = \"a\\\"b\\\\c-0123456789\"\nkey-header = \"X-Mine\"\nallowed-fronts = [\"192.0.2.1\", \"unix\"]\n\
         [fastcgi]\nsocket-owner = \"root\"\nsocket-group = \"www-data\"\nsocket-mode = \"0666\"\n\
         [limits]\ndeadline = 9\n[throttle]\nalways-allow = [\"192.0.2.64/26\"]\n{MINIMAL}"
    );
    let more = |snippet| SnippetArgs {
        program: Some("/opt/auth".into()),
        url: AuthUrl::parse("http://192.0.2.9:99/ask?x").unwrap(),
        socket: Some("/run/x.sock".into()),
        log: Some("/var/log/x".into()),
        with_secrets: true,
        ..arguments(snippet)
    };
    for (snippet, lines) in [
        (
            SnippetWord::ApacheCgi,
            &[
                "Define NGINX_MAIL_AUTH_PROGRAM /opt/auth\n",
                "Define NGINX_MAIL_AUTH_NGINX \"192.0.2.1/32\"\n",
                "ScriptAlias \"/ask\"",
                "<Location \"/ask\">",
            ][..],
        ),
        (
            SnippetWord::ApacheFcgid,
            &["IOTimeout 44\n", "http://192.0.2.9:99/ask?x\n"],
        ),
        (
            SnippetWord::ApacheProxy,
            &[
                "Define NGINX_MAIL_AUTH_SOCKET /run/x.sock\n",
                " timeout=44\n",
            ],
        ),
        (
            SnippetWord::Nginx,
            &[
                "auth_http http://192.0.2.9:99/ask?x;",
                "auth_http_header X-Mine \"a\\\"b\\\\c-0123456789\";",
                "auth_http_timeout 24s;",
            ],
        ),
        (
            SnippetWord::NginxFastcgi,
            &[
                "listen 192.0.2.9:99;",
                "location /ask {",
                "unix:/run/x.sock;",
                "timeout 44s;",
            ],
        ),
        (SnippetWord::Systemd, &["ExecStart=/opt/auth serve\n"]),
        (
            SnippetWord::SystemdSocket,
            &[
                "ListenStream=/run/x.sock\n",
                "SocketGroup=www-data\n",
                "SocketMode=0666\n",
            ],
        ),
        (
            SnippetWord::Fail2ban,
            &[
                "logpath = /var/log/x\n",
                "\nignoreip = 127.0.0.1/8 192.0.2.64/26\n",
            ],
        ),
    ] {
        let printed = filled(&config, more(snippet));
        for line in lines {
            assert!(printed.contains(line), "{snippet:?}: {line} {printed}");
        }
    }
}

#[test]
fn a_key_is_printed_only_on_request() {
    let config = format!("[nginx]\nkey = \"3b1c6e0d9f-3b1c6e0d9f\"\n{MINIMAL}");
    assert!(!filled(&config, arguments(SnippetWord::Nginx)).contains("3b1c6e0d9f"));
    let without = filled(MINIMAL, arguments(SnippetWord::Nginx));
    assert!(without.contains("    #auth_http_header"), "{without}");
}

#[test]
fn a_path_with_a_meaning_is_refused() {
    for path in [
        "/run/a b",
        "/run/\"",
        "/run/$x",
        "/run/%i",
        "/run/a;b",
        "/run/x\ny",
        "",
    ] {
        assert!(plain(Path::new(path)).is_err(), "{path}");
    }
}
