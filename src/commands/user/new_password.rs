//! A new password: typed, read, or made, and what is stored of it.

use std::io;

use zeroize::Zeroizing;

use crate::commands::CommandError;
use crate::commands::cli::NewPassword;
use crate::commands::password::{PasswordPrompt, ask_new, password};
use crate::secret::{Password, Recipe, Scheme, Secret};

/// The password field of a user without a password.
pub(super) const NO_PASSWORD: &str = "*";

/// What is stored, and the password if it was made here.
pub(super) struct Stored {
    /// The password field.
    pub(super) field: Zeroizing<String>,
    /// The password that nobody knows yet.
    pub(super) made: Option<Password>,
}

/// How passwords become fields.
pub(super) struct Maker {
    random: bool,
    hashed: bool,
    recipe: Recipe,
}

impl Maker {
    /// Checks the options. `fast` is the scheme of a password that is made here, where that is enough.
    pub(super) fn new(options: &NewPassword, fast: Option<Scheme>) -> Result<Self, CommandError> {
        let default = fast.filter(|_| options.random).unwrap_or(Scheme::Argon2id);
        let scheme = options.hash.scheme.unwrap_or(default);
        let recipe = Recipe::new(scheme, options.hash.costs());
        Ok(Self {
            random: options.random,
            hashed: options.hashed,
            recipe: recipe.map_err(|bad| CommandError::Input(bad.to_string()))?,
        })
    }

    /// Whether a password must be typed.
    pub(super) fn asks(&self) -> bool {
        !self.random
    }

    /// Asks for the password, if it is not made here.
    pub(super) fn ask(&self, whom: &mut impl PasswordPrompt) -> Result<Stored, CommandError> {
        if self.random {
            return self.made();
        }
        if self.hashed {
            let typed = whom
                .ask("Stored password: ")
                .map_err(CommandError::ReadPassword)?;
            return self.read(&typed).map_err(CommandError::Input);
        }
        let password = ask_new(whom)?;
        self.hash(&password).map_err(CommandError::Input)
    }

    /// A password of a batch.
    pub(super) fn read(&self, typed: &[u8]) -> Result<Stored, String> {
        if !self.hashed {
            return self.hash(&password(typed)?);
        }
        let field =
            str::from_utf8(typed).map_err(|_| "a stored password is not UTF-8".to_owned())?;
        if field.contains(':') || field.chars().any(char::is_control) {
            return Err("a stored password holds no colon and no control characters".to_owned());
        }
        if field.is_empty() {
            return Err("the stored password is empty: use --locked, or lock".to_owned());
        }
        Ok(Stored {
            field: Zeroizing::new(field.to_owned()),
            made: None,
        })
    }

    /// A password that is made here.
    pub(super) fn made(&self) -> Result<Stored, CommandError> {
        let failed = |error: io::Error| CommandError::Input(format!("no random bytes: {error}"));
        let password = Password::random().map_err(failed)?;
        let stored = self.hash(&password).map_err(CommandError::Input)?;
        Ok(Stored {
            made: Some(password),
            ..stored
        })
    }

    fn hash(&self, password: &Password) -> Result<Stored, String> {
        let field = Secret::hash(self.recipe, password).map_err(|error| error.to_string())?;
        Ok(Stored {
            field: Zeroizing::new(field),
            made: None,
        })
    }
}
