//! The path of the configuration file.

use std::fmt;
use std::path::PathBuf;

/// The default path.
pub const DEFAULT_CONFIG: &str = "/etc/nginx-mail-auth/auth.toml";

/// The environment variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "NGINX_MAIL_AUTH_CONFIG";

/// The path of the configuration file, and the source of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// The path.
    pub path: PathBuf,
    /// The source of the path.
    pub named_by: NamedBy,
}

/// The source of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// `--config`.
    Option,
    /// [`CONFIG_VARIABLE`].
    Variable,
    /// The default.
    Default,
}

impl ConfigFile {
    /// Uses `--config`, else the environment variable, else the default.
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
