//! The command line of `user`, and the options for new hashes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::MadeScheme;
use crate::secret::{Costs, Scheme};

/// The password file.
#[derive(Debug, Args)]
pub struct WhichFile {
    /// The store, by its name in the configuration, where several are password files
    #[arg(long, global = true, value_name = "NAME", value_hint = clap::ValueHint::Other)]
    pub store: Option<String>,
    /// A password file. The rules for logins apply to it if the configuration names it
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "store")]
    pub file: Option<PathBuf>,
    /// Its file of app passwords, where no configuration names it
    #[arg(long, global = true, value_name = "PATH", requires = "file")]
    pub app_file: Option<PathBuf>,
}

/// How a new password is hashed.
#[derive(Debug, Args)]
pub struct HashOptions {
    /// How to hash it: argon2id, argon2i, yescrypt, blf-crypt, sha512-crypt, sha256-crypt,
    /// pbkdf2, scram-sha-256 or ssha512 [default: argon2id]
    #[arg(long, value_parser = MadeScheme, hide_possible_values = true)]
    pub scheme: Option<Scheme>,
    /// Memory of argon2id and argon2i, in KiB
    #[arg(long, value_name = "KIB")]
    pub memory: Option<u32>,
    /// Rounds of sha512-crypt, sha256-crypt, pbkdf2 and scram-sha-256; passes of argon2id and
    /// argon2i
    #[arg(long, value_name = "NUMBER")]
    pub rounds: Option<u32>,
    /// Lanes of argon2id and argon2i
    #[arg(long, value_name = "NUMBER")]
    pub lanes: Option<u32>,
    /// Cost of blf-crypt and yescrypt: one more takes twice as long
    #[arg(long, value_name = "NUMBER")]
    pub cost: Option<u32>,
}

impl HashOptions {
    /// The costs that are given.
    pub fn costs(&self) -> Costs {
        Costs {
            memory: self.memory,
            rounds: self.rounds,
            lanes: self.lanes,
            cost: self.cost,
        }
    }
}

/// Where a new password comes from.
#[derive(Debug, Args)]
pub struct NewPassword {
    /// Make a password of 24 letters and digits, and print it
    #[arg(long)]
    pub random: bool,
    /// Read a stored password, such as {SSHA512}..., in place of a password
    #[arg(long, conflicts_with_all = ["random", "scheme", "memory", "rounds", "lanes", "cost"])]
    pub hashed: bool,
    /// How the password is hashed
    #[command(flatten)]
    pub hash: HashOptions,
}

/// One user, or those of a batch.
#[derive(Debug, Args)]
pub struct Who {
    /// The login, as a user types it
    #[arg(required_unless_present = "batch")]
    pub login: Option<OsString>,
    /// Read lines from the input, each with a login, and LOGIN:PASSWORD where a password is needed.
    /// Changes all of them, or nothing
    #[arg(long, conflicts_with = "login")]
    pub batch: bool,
}

/// The actions of `user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Changes users
    #[command(flatten)]
    Change(ChangeCommand),
    /// List the users: login, state, scheme, number of app passwords, other fields
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one user, without the password
    Show {
        /// The user
        login: OsString,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// App passwords of a user
    App {
        /// The action
        #[command(subcommand)]
        command: AppCommand,
    },
}

/// The changes of `user`.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Add a user
    Add {
        /// The user
        #[command(flatten)]
        who: Who,
        /// The source of the password
        #[command(flatten)]
        password: NewPassword,
        /// The user has app passwords only
        #[arg(long, conflicts_with_all = ["random", "hashed"])]
        locked: bool,
        /// An extra field, such as host=mailhost01; may be given several times
        #[arg(long = "field", value_name = "KEY=VALUE")]
        fields: Vec<String>,
    },
    /// Change the password of a user
    Passwd {
        /// The user
        #[command(flatten)]
        who: Who,
        /// The source of the password
        #[command(flatten)]
        password: NewPassword,
    },
    /// Refuse a user, whatever the password, until unlock
    Lock {
        /// The user
        #[command(flatten)]
        who: Who,
        /// Why, for the log: one word
        #[arg(long, value_name = "WORD")]
        reason: Option<String>,
    },
    /// Let a locked user log in again, with the password from before
    Unlock {
        /// The user
        #[command(flatten)]
        who: Who,
    },
    /// Remove a user, with all app passwords
    Delete {
        /// The user
        #[command(flatten)]
        who: Who,
    },
}

/// The actions of `user app`.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Add an app password
    Add {
        /// The user
        login: OsString,
        /// A name for it, such as phone
        label: String,
        /// The source of the password
        #[command(flatten)]
        password: NewPassword,
        /// The protocols that it is valid for, such as imap,smtp
        #[arg(long, value_name = "LIST")]
        protocols: Option<String>,
        /// The networks that it may be used from, such as 192.0.2.0/24,2001:db8::/32
        #[arg(long, value_name = "LIST")]
        allow_nets: Option<String>,
        /// When it ends: 2027-01-31, 2027-01-31T12:00:00Z, or seconds since 1970
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// Remove an app password
    Revoke {
        /// The user
        login: OsString,
        /// Its name
        #[arg(required_unless_present = "all")]
        label: Option<String>,
        /// All app passwords of the user
        #[arg(long, conflicts_with = "label")]
        all: bool,
    },
    /// List the app passwords of a user
    List {
        /// The user
        login: OsString,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
}
