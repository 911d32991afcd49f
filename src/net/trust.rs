//! The certificates that a connection is checked against.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;

use crate::tls::client_config;

/// Which certificates are trusted. They are loaded when first needed: reading all those of the
/// system costs a CGI process more than everything else that it does.
pub struct Trust {
    ca_file: Option<PathBuf>,
    loaded: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    /// Those in a file in PEM form, else those that the system trusts.
    pub fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            loaded: OnceLock::new(),
        }
    }

    /// How to make TLS connections; the error says which certificates cannot be used, and why.
    pub fn config(&self) -> Result<&Arc<ClientConfig>, String> {
        if let Some(config) = self.loaded.get() {
            return Ok(config);
        }
        let config = client_config(self.ca_file.as_deref())?;
        Ok(self.loaded.get_or_init(|| config))
    }
}
