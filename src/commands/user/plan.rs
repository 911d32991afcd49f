//! What a command does with each of its users.

use zeroize::Zeroizing;

use super::new_password::{Maker, NO_PASSWORD};
use crate::commands::CommandError;
use crate::commands::cli::{ChangeCommand, Who};
use crate::users::file::edit::Action;

/// What a command does with each of its users.
pub(super) struct Plan<'a> {
    pub(super) who: &'a Who,
    /// What was done, in words.
    pub(super) verb: &'static str,
    /// The edit, without the password.
    pub(super) action: Action,
    /// How the password is made, if the edit needs one.
    pub(super) maker: Option<Maker>,
}

impl<'a> Plan<'a> {
    /// Checks the options.
    pub(super) fn of(command: &'a ChangeCommand) -> Result<Self, CommandError> {
        let none = || Zeroizing::new(NO_PASSWORD.to_owned());
        let (who, verb, action, maker) = match command {
            ChangeCommand::Add {
                who,
                password,
                locked,
                fields,
            } => {
                for field in fields {
                    check("--field", field, "an extra field is KEY or KEY=VALUE")?;
                }
                let maker = Maker::new(password, None)?;
                let action = Action::Add {
                    stored: none(),
                    extra: fields.clone(),
                };
                (who, "added", action, Some(maker).filter(|_| !locked))
            }
            ChangeCommand::Passwd { who, password } => {
                let maker = Maker::new(password, None)?;
                let action = Action::Password(none());
                (who, "has a new password", action, Some(maker))
            }
            ChangeCommand::Lock { who, reason } => {
                if let Some(reason) = reason {
                    check("--reason", reason, "the file has room for one word")?;
                }
                (who, "locked", Action::Lock(reason.clone()), None)
            }
            ChangeCommand::Unlock { who } => (who, "unlocked", Action::Unlock, None),
            ChangeCommand::Delete { who } => (who, "deleted", Action::Delete, None),
        };
        Ok(Self {
            who,
            verb,
            action,
            maker,
        })
    }

    /// Whether it adds users.
    pub(super) fn adds(&self) -> bool {
        matches!(self.action, Action::Add { .. })
    }
}

/// Checks that a text can be one extra field, or the value of one.
fn check(option: &str, text: &str, form: &str) -> Result<(), CommandError> {
    let fits = |c: char| !c.is_control() && !c.is_whitespace();
    match !text.is_empty() && text.chars().all(fits) {
        true => Ok(()),
        false => Err(CommandError::Input(format!(
            "{option} {text:?}: {form}, without blanks and control characters"
        ))),
    }
}
