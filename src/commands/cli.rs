//! The command line as typed: options, commands, and their help.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::login::Network;
use crate::login::Protocol;
use crate::secret::Scheme;

/// The hint for a user who starts the program at a terminal without a request.
pub const HINT: &str = "
nginx-mail-auth answers the auth_http requests of NGINX's mail proxy, and there is none in the
environment. A web server starts it as CGI or FastCGI program. By hand:
  HTTP_AUTH_USER=alice HTTP_AUTH_PASS=secret HTTP_AUTH_PROTOCOL=imap nginx-mail-auth
  nginx-mail-auth test alice     asks for the password and tells step by step why
  nginx-mail-auth route alice    tells where alice goes and why
  nginx-mail-auth check          looks at the configuration
  nginx-mail-auth help           all commands
";

/// Answers the auth_http requests of NGINX's mail proxy
///
/// Without a command it answers as a web server asks: FastCGI if descriptor 0 is a listening
/// socket, else one CGI request from the environment.
#[derive(Debug, Parser)]
#[command(name = "nginx-mail-auth", version, max_term_width = 100)]
pub struct Cli {
    /// The configuration file [default: $NGINX_MAIL_AUTH_CONFIG, else
    /// /etc/nginx-mail-auth/auth.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// What to do; to answer, if nothing is asked for.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve FastCGI in the foreground
    ///
    /// Also on sockets that systemd passes. SIGHUP looks at the configuration again, SIGTERM ends
    /// it.
    Serve {
        /// Where to listen: unix:/run/x.sock or 127.0.0.1:9000; may be given several times
        #[arg(long, value_name = "ADDRESS")]
        listen: Vec<String>,
    },
    /// Load everything as serve would, and name all that is wrong
    ///
    /// Opens the stores and resolves the names. Exit status 0, or 78 if there is a problem.
    ///
    /// root may read more than the user that the service runs as: --user finds what that user may
    /// not.
    Check {
        /// Whose rights it has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Ask for a password, and show the answer and step by step why
    ///
    /// The password is asked for at the terminal, or read from the first line of the input.
    /// Counts nothing; where `[throttle]` would have the login refused, it says until when.
    /// Exit status 0 if nginx would let the login in, 1 if not, 78 if the configuration is broken.
    Test {
        /// The login, as a user types it
        login: String,
        /// The mail protocol
        #[arg(long, default_value = "imap")]
        protocol: ProtocolWord,
        /// The address that the mail client comes from
        #[arg(long, value_name = "ADDRESS")]
        client_ip: Option<IpAddr>,
        /// Whose rights it has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Show where a login goes and why, without its password
    ///
    /// Probes the mail servers of a host that has several. Exit status 0 if it goes somewhere, 1
    /// if it would be refused or gets nowhere at the moment, 78 if the configuration is broken.
    Route {
        /// The login, as a user types it
        login: String,
        /// The mail protocol
        #[arg(long, default_value = "imap")]
        protocol: ProtocolWord,
        /// The address that the mail client comes from
        #[arg(long, value_name = "ADDRESS")]
        client_ip: Option<IpAddr>,
        /// Whose rights it has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Ask for a password, and print its hash for a password file
    ///
    /// The password is asked for twice at the terminal, or read from the first line of the input.
    Hash {
        /// How to hash it: argon2id, argon2i, yescrypt, blf-crypt, sha512-crypt, sha256-crypt,
        /// pbkdf2, scram-sha-256 or ssha512
        #[arg(long, default_value = "argon2id", value_parser = MadeScheme, hide_possible_values = true)]
        scheme: Scheme,
        /// Whose it is: makes it a whole line, LOGIN:HASH
        login: Option<String>,
    },
    /// Look at who is slowed down or refused for wrong passwords, or forgive them
    ///
    /// Of counts that processes share: throttle.state = "sqlite:…" or "redis://…". Those in the
    /// memory of a server end with it. Exit status 0, 1 if there are none that can be read, 78 if the
    /// configuration is broken.
    Throttle {
        /// What to do
        #[command(subcommand)]
        command: ThrottleCommand,
        /// Whose rights it has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Print the manual page: nginx-mail-auth man | man -l -
    Man,
    /// Print what makes a shell complete commands and options
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Whose rights a command has.
#[derive(Debug, Args)]
pub struct RunAs {
    /// The user that the service runs as: the command, run by root, has its rights and no others.
    /// USER:GROUP for a number that the system does not know
    #[arg(long, global = true, value_name = "USER", value_hint = clap::ValueHint::Other)]
    pub user: Option<String>,
}

impl Command {
    /// The user whose rights the command is to have.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Check { rights }
            | Self::Test { rights, .. }
            | Self::Route { rights, .. }
            | Self::Throttle { rights, .. } => rights.user.as_deref(),
            Self::Serve { .. } | Self::Hash { .. } | Self::Man | Self::Completions { .. } => None,
        }
    }
}

/// What `throttle` does.
#[derive(Debug, Subcommand)]
pub enum ThrottleCommand {
    /// Print what is counted, those who are refused first
    List,
    /// Forget what is counted: all of it, or of one network, one login, or one from the other
    Clear {
        /// The network, as it is listed, or an address in it
        #[arg(long, value_name = "NETWORK", value_parser = network)]
        network: Option<Network>,
        /// The login
        #[arg(long)]
        login: Option<OsString>,
    },
}

fn network(text: &str) -> Result<Network, &'static str> {
    Network::parse(text).ok_or("is neither an address nor a network")
}

/// nginx's words for the mail protocols.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProtocolWord {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP.
    Smtp,
}

impl From<ProtocolWord> for Protocol {
    fn from(word: ProtocolWord) -> Self {
        match word {
            ProtocolWord::Imap => Self::Imap,
            ProtocolWord::Pop3 => Self::Pop3,
            ProtocolWord::Smtp => Self::Smtp,
        }
    }
}

/// Reads a scheme of [`Scheme::MADE`], and offers them all to the completion of a shell.
#[derive(Clone)]
struct MadeScheme;

impl TypedValueParser for MadeScheme {
    type Value = Scheme;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Scheme, clap::Error> {
        let parser = StringValueParser::new().try_map(|name| name.parse::<Scheme>());
        parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(
            Scheme::MADE
                .map(|scheme| PossibleValue::new(scheme.name()))
                .into_iter(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_takes_a_password() {
        for command in Cli::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert!(!argument.get_id().as_str().contains("pass"), "{argument}");
            }
        }
        assert!(Cli::try_parse_from(["nginx-mail-auth", "test", "alice", "secret"]).is_err());
        assert!(Cli::try_parse_from(["nginx-mail-auth", "hash", "alice", "secret"]).is_err());
    }

    #[test]
    fn all_schemes_that_are_made_are_named_in_the_help() {
        let command = Cli::command();
        let hash = command.find_subcommand("hash").unwrap();
        let scheme = hash
            .get_arguments()
            .find(|argument| argument.get_id() == "scheme")
            .unwrap();
        let help = scheme.get_help().unwrap().to_string();
        for scheme in Scheme::MADE {
            assert!(help.contains(scheme.name()), "{scheme}");
            assert!(
                Cli::try_parse_from(["nginx-mail-auth", "hash", "--scheme", scheme.name()]).is_ok()
            );
        }
    }

    #[test]
    fn the_option_stands_before_or_behind_the_command() {
        for line in [["--config", "x", "check"], ["check", "--config", "x"]] {
            let cli = Cli::try_parse_from(["nginx-mail-auth"].into_iter().chain(line)).unwrap();
            assert_eq!(cli.config, Some("x".into()));
            assert!(matches!(cli.command, Some(Command::Check { .. })));
        }
    }
}
