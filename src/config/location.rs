//! Where the configuration file is.

use std::fmt;
use std::path::PathBuf;

/// The configuration file where none is named.
pub const DEFAULT_CONFIG: &str = "/etc/nginx-mail-auth/auth.toml";

/// The environment variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "NGINX_MAIL_AUTH_CONFIG";

/// The configuration file, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What names it.
    pub named_by: NamedBy,
}

/// What names the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// `--config`.
    Option,
    /// [`CONFIG_VARIABLE`].
    Variable,
    /// Neither.
    Default,
}

impl ConfigFile {
    /// What `--config` says, else the environment, else the default.
    pub fn find(option: Option<PathBuf>) -> Self {
        let variable = || std::env::var_os(CONFIG_VARIABLE).filter(|name| !name.is_empty());
        let (path, named_by) = match option {
            Some(path) => (path, NamedBy::Option),
            None => match variable() {
                Some(path) => (path.into(), NamedBy::Variable),
                None => (DEFAULT_CONFIG.into(), NamedBy::Default),
            },
        };
        Self { path, named_by }
    }
}

/// `configuration: /etc/nginx-mail-auth/auth.toml (the default: NGINX_MAIL_AUTH_CONFIG is not set, or empty)`.
impl fmt::Display for ConfigFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {} (", self.path.display())?;
        match self.named_by {
            NamedBy::Option => f.write_str("named by --config)"),
            NamedBy::Variable => write!(f, "named by {CONFIG_VARIABLE})"),
            NamedBy::Default => write!(f, "the default: {CONFIG_VARIABLE} is not set, or empty)"),
        }
    }
}
