//! `[process]`: what the server's process may still do once it has started.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::file::unplaced;
use crate::sys::sandbox;

/// `[process]`: what the server's process may still do once it has started.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Process {
    /// `on`: it shuts itself in, as far as the kernel can; `required`: it does not serve where the
    /// kernel cannot; or `off`. Not under CGI. Default: "on".
    pub(super) sandbox: Spanned<String>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            sandbox: unplaced("on".to_owned()),
        }
    }
}

impl Checker<'_> {
    pub(super) fn sandbox(&mut self, process: &Process) -> sandbox::Mode {
        let words = [
            ("on", sandbox::Mode::On),
            ("off", sandbox::Mode::Off),
            ("required", sandbox::Mode::Required),
        ];
        self.word("process.sandbox", &process.sandbox, &words)
            .unwrap_or(sandbox::Mode::On)
    }
}
