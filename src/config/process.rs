//! `[process]`: the sandbox of the server process.

use serde::Deserialize;
use toml::Spanned;

use super::checker::Checker;
use super::source::unplaced;
use crate::sys::sandbox;

/// `[process]`: the sandbox of the server process.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Process {
    /// `on`: the process enters the sandbox, as far as the kernel supports it; `required`: it does not start
    /// if the kernel lacks support; or `off`. Not under CGI. Default: "on".
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
