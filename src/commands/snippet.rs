//! `snippet`: prints the configuration of the web server, nginx, systemd or fail2ban, with the values of this one.
//!
//! The templates are the files that are shipped in apache/, examples/ and fail2ban/: with the defaults, a snippet is
//! that file.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::{CommandError, Outcome, print_problems};
use crate::commands::cli::{SnippetArgs, SnippetWord};
use crate::config::{Config, DEFAULT_CONFIG};
use crate::nginx::mail_proxy::{AuthUrl, Host, Place};
use crate::nginx::request::KEY_HEADER;

const APACHE_CGI: &str = include_str!("../../apache/cgi.conf");
const APACHE_FCGID: &str = include_str!("../../apache/fcgid.conf");
const APACHE_PROXY: &str = include_str!("../../apache/proxy-fcgi.conf");
const NGINX: &str = include_str!("../../examples/nginx.conf");
const NGINX_FASTCGI: &str = include_str!("../../examples/nginx-fastcgi.conf");
const SERVICE: &str = include_str!("../../examples/nginx-mail-auth.service");
const SOCKET: &str = include_str!("../../examples/nginx-mail-auth.socket");
const JAIL: &str = include_str!("../../fail2ban/jail.d/nginx-mail-auth.conf");
const FILTER: &str = include_str!("../../fail2ban/filter.d/nginx-mail-auth.conf");

/// What the templates have, where a snippet has values of its own.
const PROGRAM: &str = "/usr/local/bin/nginx-mail-auth";
const SOCKET_PATH: &str = "/run/nginx-mail-auth.sock";
const PATH: &str = "/mail/auth";
const NGINX_ADDRESSES: &str = "Define NGINX_MAIL_AUTH_NGINX \"127.0.0.1 ::1\"";
const KEY_LINE: &str = "auth_http_header X-Auth-Key \"replace-this-key\";";
/// The usual `limits.deadline`. The web servers wait 35 s longer, nginx's mail proxy 15 s.
const DEADLINE: Duration = Duration::from_secs(5);

/// Prints a snippet.
pub(super) fn snippet(
    config: &Path,
    arguments: &SnippetArgs,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Outcome, CommandError> {
    let checked = match Config::load(config) {
        Ok(checked) => checked,
        Err(problems) => {
            print_problems(&problems, err)?;
            return Ok(Outcome::BrokenConfig);
        }
    };
    let values = Values::of(config, &checked, arguments).map_err(CommandError::Input)?;
    out.write_all(values.fill(arguments.snippet).as_bytes())?;
    Ok(Outcome::Done)
}

/// The values that replace those of the templates.
struct Values<'a> {
    config: &'a Config,
    arguments: &'a SnippetArgs,
    program: String,
    toml: String,
    socket: String,
    url: &'a AuthUrl,
    /// The path of the URL, without its query.
    path: &'a str,
}

impl<'a> Values<'a> {
    fn of(path: &Path, config: &'a Config, arguments: &'a SnippetArgs) -> Result<Self, String> {
        let toml =
            std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let program = match &arguments.program {
            Some(program) => program.clone(),
            None => std::env::current_exe()
                .map_err(|error| format!("where is this program? {error}"))?,
        };
        let url = &arguments.url;
        let path = url.uri.split('?').next().unwrap_or_default();
        if !path.starts_with('/') {
            return Err(format!(
                "the path of the URL does not begin with a slash: {path:?}"
            ));
        }
        Ok(Self {
            config,
            arguments,
            program: plain(&program)?,
            toml: plain(&toml)?,
            socket: plain(
                arguments
                    .socket
                    .as_deref()
                    .unwrap_or(Path::new(SOCKET_PATH)),
            )?,
            url,
            path: plain(Path::new(path)).map(|_| path)?,
        })
    }

    fn fill(&self, snippet: SnippetWord) -> String {
        let more = self
            .config
            .limits
            .deadline
            .saturating_sub(DEADLINE)
            .as_secs();
        let wait = |usual: u64| usual + more;
        let mut text = Template::default();
        match snippet {
            SnippetWord::ApacheCgi | SnippetWord::ApacheFcgid => {
                text.start(if snippet == SnippetWord::ApacheCgi {
                    APACHE_CGI
                } else {
                    APACHE_FCGID
                });
                text.replace(PROGRAM, &self.program);
                text.replace(DEFAULT_CONFIG, &self.toml);
                if snippet == SnippetWord::ApacheFcgid {
                    text.replace("IOTimeout 40", &format!("IOTimeout {}", wait(40)));
                    self.of_url(&mut text, "127.0.0.1:8080");
                }
            }
            SnippetWord::ApacheProxy => {
                text.start(APACHE_PROXY);
                text.replace(DEFAULT_CONFIG, &self.toml);
                text.replace(SOCKET_PATH, &self.socket);
                text.replace("timeout=40", &format!("timeout={}", wait(40)));
            }
            SnippetWord::Nginx => {
                text.start(NGINX);
                self.of_url(&mut text, "127.0.0.1:8080");
                text.replace(
                    "auth_http_timeout 20s;",
                    &format!("auth_http_timeout {}s;", wait(20)),
                );
                text.replace(KEY_LINE, &self.key_line());
                return text.text;
            }
            SnippetWord::NginxFastcgi => {
                text.start(NGINX_FASTCGI);
                text.replace(DEFAULT_CONFIG, &self.toml);
                text.replace(SOCKET_PATH, &self.socket);
                self.of_url(&mut text, "127.0.0.1:8143");
                text.replace(
                    "fastcgi_read_timeout 40s;",
                    &format!("fastcgi_read_timeout {}s;", wait(40)),
                );
            }
            SnippetWord::Systemd => {
                text.start(SERVICE);
                let start = match self.toml == DEFAULT_CONFIG {
                    true => format!("ExecStart={} serve", self.program),
                    false => format!("ExecStart={} --config {} serve", self.program, self.toml),
                };
                text.replace(&format!("ExecStart={PROGRAM} serve"), &start);
                return text.text;
            }
            SnippetWord::SystemdSocket => {
                text.start(SOCKET);
                let socket = &self.config.socket;
                let name = |named: &Option<(String, (usize, usize))>| {
                    named.as_ref().map(|(name, _)| name.clone())
                };
                text.replace(SOCKET_PATH, &self.socket);
                if let Some(owner) = name(&socket.owner) {
                    text.replace("SocketUser=root", &format!("SocketUser={owner}"));
                }
                if let Some(group) = name(&socket.group) {
                    text.replace("SocketGroup=www-data", &format!("SocketGroup={group}"));
                }
                text.replace(
                    "SocketMode=0660",
                    &format!("SocketMode={:04o}", socket.mode),
                );
                return text.text;
            }
            SnippetWord::Fail2ban => {
                text.start(JAIL);
                self.of_jail(&mut text);
                return text.text;
            }
            SnippetWord::Fail2banFilter => {
                text.start(FILTER);
                return text.text;
            }
        }
        text.replace(PATH, self.path);
        if let Some(places) = &self.config.fronts.allowed
            && !places.networks.is_empty()
            && snippet != SnippetWord::NginxFastcgi
        {
            let networks: Vec<_> = places.networks.iter().map(ToString::to_string).collect();
            let line = format!("Define NGINX_MAIL_AUTH_NGINX \"{}\"", networks.join(" "));
            text.replace(NGINX_ADDRESSES, &line);
        }
        text.text
    }

    /// The URL, if one is named; `usual` is the address in the template.
    fn of_url(&self, text: &mut Template, usual: &str) {
        if *self.url == default_url() {
            return;
        }
        let Place::Tcp(host, port) = &self.url.place else {
            text.replace(
                &format!("http://{usual}{PATH}"),
                &format!("{}:{}", self.url.place, self.url.uri),
            );
            return;
        };
        let host = match host {
            Host::Name(name) => name.clone(),
            Host::Address(_) => self.url.host.clone(),
        };
        text.replace(
            &format!("http://{usual}{PATH}"),
            &format!("http://{host}:{port}{}", self.url.uri),
        );
        text.replace_if_there(
            &format!("listen {usual};"),
            &format!("listen {host}:{port};"),
        );
    }

    /// The line with the key. Without a key it is a comment.
    fn key_line(&self) -> String {
        let Some(keys) = &self.config.fronts.keys else {
            return format!("#{KEY_LINE}");
        };
        let header = keys.header.name();
        let key = keys.keys.first().filter(|_| self.arguments.with_secrets);
        let key = key.map_or_else(
            || "replace-this-key".to_owned(),
            |key| {
                let text = String::from_utf8_lossy(key.reveal());
                text.replace('\\', "\\\\").replace('"', "\\\"")
            },
        );
        KEY_LINE
            .replace(KEY_HEADER, header)
            .replace("replace-this-key", &key)
    }

    /// The log, and the networks that the throttle never counts.
    fn of_jail(&self, text: &mut Template) {
        if let Some(log) = &self.arguments.log {
            let log = log.display();
            text.replace("backend = systemd\n", "backend = auto\n");
            text.replace(
                "#backend = auto\n#logpath = /var/log/apache2/error.log\n",
                &format!("logpath = {log}\n"),
            );
        }
        let throttle = self.config.throttle.as_ref();
        let allowed: Vec<_> = throttle
            .iter()
            .flat_map(|throttle| &throttle.settings.always_allow)
            .map(ToString::to_string)
            .collect();
        if !allowed.is_empty() {
            let line = format!("ignoreip = 127.0.0.1/8 {}", allowed.join(" "));
            text.replace("#ignoreip = 127.0.0.1/8 192.0.2.10", &line);
        }
    }
}

/// The URL of the templates for Apache.
pub(crate) fn default_url() -> AuthUrl {
    AuthUrl {
        place: Place::Tcp(Host::Address([127, 0, 0, 1].into()), 8080),
        host: "127.0.0.1".to_owned(),
        uri: PATH.to_owned(),
    }
}

/// A path that means the same in all of these formats.
fn plain(path: &Path) -> Result<String, String> {
    let safe = |c: char| c.is_alphanumeric() || "/._-+@:~".contains(c);
    match path
        .to_str()
        .filter(|text| text.chars().all(safe) && !text.is_empty())
    {
        Some(text) => Ok(text.to_owned()),
        None => Err(format!(
            "{path:?} has a character with a meaning in the configuration of a server: name a path of letters, digits \
             and /._-+@:~ only"
        )),
    }
}

#[derive(Default)]
struct Template {
    text: String,
}

impl Template {
    fn start(&mut self, text: &str) {
        text.clone_into(&mut self.text);
    }

    /// Replaces a text that the template has.
    fn replace(&mut self, old: &str, new: &str) {
        debug_assert!(self.text.contains(old), "{old}");
        self.replace_if_there(old, new);
    }

    fn replace_if_there(&mut self, old: &str, new: &str) {
        self.text = self.text.replace(old, new);
    }
}

#[cfg(test)]
mod tests;
