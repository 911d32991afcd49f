//! The arguments of `snippet`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::nginx::mail_proxy::AuthUrl;

/// The arguments of `snippet`.
#[derive(Debug, Args)]
pub struct SnippetArgs {
    /// The configuration to print
    pub snippet: SnippetWord,
    /// The program as the other side starts it [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// The URL of auth_http, whose path the web server has
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/mail/auth", value_parser = AuthUrl::parse)]
    pub url: AuthUrl,
    /// The Unix socket of serve [default: /run/nginx-mail-auth.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// fail2ban: the file that the program logs to; without it the journal is read
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// nginx: print the key of the configuration, not a placeholder
    #[arg(long)]
    pub with_secrets: bool,
}

/// The snippets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SnippetWord {
    /// Apache: CGI
    ApacheCgi,
    /// Apache: mod_fcgid
    ApacheFcgid,
    /// Apache: mod_proxy_fcgi
    ApacheProxy,
    /// nginx: the mail proxy
    Nginx,
    /// nginx: fastcgi_pass, in place of Apache
    NginxFastcgi,
    /// systemd: the service of serve
    Systemd,
    /// systemd: its socket
    SystemdSocket,
    /// fail2ban: the jails
    Fail2ban,
    /// fail2ban: the filter
    Fail2banFilter,
}
