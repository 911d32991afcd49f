//! The command line as typed: options, commands, and their help.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::front::fcgi::client::Address;
use crate::login::Network;
use crate::login::Protocol;
use crate::secret::Scheme;
use crate::sys::built;

mod probe;
mod snippet;
mod user;

pub use probe::{MethodWord, ProbeArgs};
pub use snippet::{SnippetArgs, SnippetWord};
pub use user::{AppCommand, ChangeCommand, HashOptions, NewPassword, UserCommand, WhichFile, Who};

/// The hint for a user who starts the program at a terminal without a request.
pub const HINT: &str = "
nginx-mail-auth answers the auth_http requests of NGINX's mail proxy. There is no request in the
environment: a web server starts the program by CGI or FastCGI. By hand:
  HTTP_AUTH_USER=alice HTTP_AUTH_PASS=secret HTTP_AUTH_PROTOCOL=imap nginx-mail-auth
  nginx-mail-auth test alice     try a login and show each step of the decision
  nginx-mail-auth route alice    show the mail server of a login, without a password
  nginx-mail-auth check          check the configuration and everything that it names
  nginx-mail-auth help           list all commands
";

/// Answers the auth_http requests of NGINX's mail proxy
///
/// Without a command, it serves FastCGI if descriptor 0 is a listening socket. Otherwise it answers
/// one CGI request from the environment.
#[derive(Debug, Parser)]
#[command(name = "nginx-mail-auth", version, long_version = built::REPORT, max_term_width = 100)]
pub struct Cli {
    /// The configuration file [default: $NGINX_MAIL_AUTH_CONFIG, else
    /// /etc/nginx-mail-auth/auth.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The command; without one, the program answers requests.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve FastCGI in the foreground
    ///
    /// Listens on the addresses of --listen and on sockets that systemd passes. SIGHUP checks for a
    /// changed configuration at once. SIGTERM stops the server after the requests in progress.
    Serve {
        /// Listen on this address, unix:/run/x.sock or 127.0.0.1:9000. Can be repeated
        #[arg(long, value_name = "ADDRESS")]
        listen: Vec<String>,
    },
    /// Check the configuration, the stores and all files that it names
    ///
    /// Loads everything that serve loads, opens the stores, resolves host names, and prints all
    /// problems. At the end it prints how many users each store has, and how many of them can never
    /// log in and why. Exit status: 0 without problems, 78 with problems.
    ///
    /// root can read files that the user of the service cannot. Use --user to check with the
    /// permissions of that user.
    Check {
        /// Read files only: no connections, no host names, no databases
        #[arg(long)]
        offline: bool,
        /// The folder that the configuration will be in; for a temporary file. Implies --offline
        #[arg(long, value_name = "DIR")]
        base: Option<PathBuf>,
        /// Print problems, warnings and stores as JSON
        #[arg(long)]
        json: bool,
        /// The user whose permissions the command has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Try a login with its password, and show each step of the decision
    ///
    /// Prompts for the password at a terminal, otherwise reads it from the first line of the input.
    /// The attempt is not counted. If `[throttle]` refuses the login, prints until when. Exit
    /// status: 0 if the login is accepted, 1 if it is refused, 78 if the configuration is invalid.
    Test {
        /// The login, as the user types it
        login: String,
        /// The mail protocol
        #[arg(long, default_value = "imap")]
        protocol: ProtocolWord,
        /// The address of the mail client
        #[arg(long, value_name = "ADDRESS")]
        client_ip: Option<IpAddr>,
        /// The user whose permissions the command has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Show the mail server of a login and the rule that selects it, without a password
    ///
    /// Probes the mail servers of a host that has several. Exit status: 0 if there is a mail
    /// server, 1 if the login is refused or no mail server is available, 78 if the configuration is
    /// invalid.
    Route {
        /// The login, as the user types it
        login: String,
        /// The mail protocol
        #[arg(long, default_value = "imap")]
        protocol: ProtocolWord,
        /// The address of the mail client
        #[arg(long, value_name = "ADDRESS")]
        client_ip: Option<IpAddr>,
        /// The user whose permissions the command has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Print the configuration in force, with every default
    ///
    /// As TOML that gives the same configuration when it is loaded. Opens only the configuration and the files with
    /// secrets that it names. Exit status: 0, or 78 if the configuration is invalid.
    Config {
        /// Only the keys whose value is not the default
        #[arg(short = 'n', long)]
        changed: bool,
        /// Print keys and passwords of the file as they are, not as (hidden)
        #[arg(long)]
        with_secrets: bool,
    },
    /// Print the configuration of Apache, nginx, systemd or fail2ban for this one
    ///
    /// With the paths, the socket and the networks of the configuration. Exit status: 0, or 78 if the configuration is
    /// invalid.
    Snippet(Box<SnippetArgs>),
    /// Ask an auth_http URL as nginx does, and show what nginx would do with the answer
    ///
    /// Works with any auth_http service. Prompts for the password at a terminal, otherwise reads it from the first
    /// line of the input; a wrong password counts as a guess there. Sends the key of the configuration, if there is
    /// one, or that of --key-file.
    ///
    /// Exit status: 0 if nginx would accept the login, 1 if it would refuse it, 69 if the URL cannot be asked, 75 for
    /// a temporary failure, 76 if nginx cannot use the answer, 78 if the configuration is invalid.
    Probe(Box<ProbeArgs>),
    /// Hash a password for a password file
    ///
    /// Prompts twice for the password at a terminal, otherwise reads it from the first line of the
    /// input.
    Hash {
        /// The scheme and its costs
        #[command(flatten)]
        options: HashOptions,
        /// Check a password against the stored one in the first line of FILE, or of the input for
        /// "-" (the password is in the next line). With LOGIN, FILE is a password file. Exit status
        /// 0 if it matches, 1 if not
        #[arg(long, value_name = "FILE", conflicts_with_all = ["scheme", "memory", "rounds", "lanes", "cost"])]
        verify: Option<PathBuf>,
        /// List all schemes: whether each is weak, and the costs of new hashes
        #[arg(long, conflicts_with_all = ["verify", "login", "scheme", "memory", "rounds", "lanes", "cost"])]
        list: bool,
        /// Print a whole line for this login, LOGIN:HASH
        login: Option<String>,
    },
    /// Manage the users of password files
    ///
    /// A running server notices the changes by itself. Exit status 0, 1 if it failed or there is no
    /// such user, 78 if the configuration is broken.
    User {
        /// The action
        #[command(subcommand)]
        command: UserCommand,
        /// The password file
        #[command(flatten)]
        which: WhichFile,
    },
    /// List or clear the failure counts of networks and logins
    ///
    /// Needs a throttle state that processes share: throttle.state = "sqlite:…" or "redis://…".
    /// Counts in the memory of a server cannot be read. Exit status: 0 on success, 1 if the counts
    /// are unavailable, 78 if the configuration is invalid.
    Throttle {
        /// The action
        #[command(subcommand)]
        command: ThrottleCommand,
        /// The user whose permissions the command has
        #[command(flatten)]
        rights: RunAs,
    },
    /// Ask a running server for its status
    ///
    /// The configuration must have `[status] path`; docs/status.md says what is shown. Exit status 0, 1 if
    /// something needs attention, 69 if the server does not answer, 78 if the configuration cannot be read or
    /// has no `[status] path`.
    Status {
        /// Where the server listens: unix:/run/x.sock or 127.0.0.1:9000 [default: the one of `[status] socket`]
        #[arg(value_name = "SOCKET", value_parser = Address::parse)]
        socket: Option<Address>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Also print the logins that are refused
        #[arg(long)]
        full: bool,
        /// Seconds until the answer must be there
        #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = clap::value_parser!(u64).range(1..=60))]
        timeout: u64,
    },
    /// Print a manual page. To read it: nginx-mail-auth man | man -l -
    Man {
        /// 8: the commands; 5: the keys of the configuration file
        #[arg(default_value = "8", hide_possible_values = true)]
        section: Section,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The user whose permissions a command has.
#[derive(Debug, Args)]
pub struct RunAs {
    /// Run with the permissions of this user, normally the user of the service. Needs root. Write
    /// USER:GROUP for a user number that the system does not know
    #[arg(long, global = true, value_name = "USER", value_hint = clap::ValueHint::Other)]
    pub user: Option<String>,
}

impl Command {
    /// The user whose permissions the command has.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Check { rights, .. }
            | Self::Test { rights, .. }
            | Self::Route { rights, .. }
            | Self::Throttle { rights, .. } => rights.user.as_deref(),
            Self::Serve { .. }
            | Self::Config { .. }
            | Self::Snippet(_)
            | Self::Probe(_)
            | Self::Hash { .. }
            | Self::User { .. }
            | Self::Status { .. }
            | Self::Man { .. }
            | Self::Completions { .. } => None,
        }
    }
}

/// A section of the manual.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Section {
    /// Section 8: the commands.
    #[value(name = "8")]
    Commands,
    /// Section 5: the keys of the configuration file.
    #[value(name = "5")]
    Keys,
}

/// The actions of `throttle`.
#[derive(Debug, Subcommand)]
pub enum ThrottleCommand {
    /// List all counts, refused networks and logins first
    List,
    /// Clear all counts, or those of a network, of a login, or of a login from a network
    Clear {
        /// Clear only counts of this network, written as in the list or as an address in it
        #[arg(long, value_name = "NETWORK", value_parser = network)]
        network: Option<Network>,
        /// Clear only counts of this login
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
        let cli = Cli::command();
        let mut commands: Vec<_> = cli.get_subcommands().collect();
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
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
    fn options_are_allowed_before_and_after_the_command() {
        for line in [["--config", "x", "check"], ["check", "--config", "x"]] {
            let cli = Cli::try_parse_from(["nginx-mail-auth"].into_iter().chain(line)).unwrap();
            assert_eq!(cli.config, Some("x".into()));
            assert!(matches!(cli.command, Some(Command::Check { .. })));
        }
    }
}
