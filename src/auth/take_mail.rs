//! Decides about incoming mail from other mail servers.

use std::time::Instant;

use super::{Admission, Gate, Step, incoming_mail, wanted};
use crate::login::{Likeness, Login};
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::MailRequest;
use crate::sys::steps::{StepTimes, TimedStep};
use crate::users::{Account, Passwords, Question};

impl Gate {
    /// Decides whether incoming mail is accepted, and by which host.
    pub(super) fn take_mail(
        &self,
        request: &MailRequest<'_>,
        steps: Option<&StepTimes>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Refusal> {
        let connection = &request.connection;
        let (settings, recipient) = self.methods.recipient(request, &self.logins)?;
        let canonical = |login: &Login| {
            let canonical = self.logins.canonical(login);
            canonical.map_err(|_| Refusal::RelayDenied("the address is too long"))
        };
        let login = canonical(&recipient)?;
        if login != recipient {
            note(Step::Renamed(&login));
        }
        let untagged_recipient = settings.without_tag(&recipient);
        let untagged = untagged_recipient.as_ref().map(canonical).transpose()?;
        let mut asked = Question {
            login: &login,
            protocol: connection.protocol,
            client: connection.client.address,
            session: connection.session(),
            network: connection.client.network(),
            deadline: Instant::now() + self.deadline,
            steps,
        };
        // Every server accepts mail for its postmaster (RFC 5321, 4.5.1).
        let to_postmaster = [Some(&recipient), untagged_recipient.as_ref()]
            .into_iter()
            .flatten()
            .any(incoming_mail::is_postmaster);
        let needs_user =
            settings.recipients == incoming_mail::Recipients::KnownUsers && !to_postmaster;
        let mut known = None;
        if settings.host.is_none() || needs_user {
            known = self.recipient_account(&asked, note)?;
            // A store that accepts every login as a user cannot distinguish a tag from a part of a
            // name.
            let for_sure = known
                .as_ref()
                .is_some_and(|account| !matches!(account.passwords, Passwords::Any));
            if let Some(untagged) = untagged.as_ref().filter(|_| !for_sure) {
                note(Step::Renamed(untagged));
                asked.login = untagged;
                known = self.recipient_account(&asked, note)?.or(known);
            }
        }
        if known.is_none() && needs_user {
            return Err(Refusal::UnknownRecipient);
        }
        // Restrictions on a user's logins do not affect mail to that user.
        let known = known.unwrap_or_default();
        let takes = match &settings.host {
            Some(host) => Account {
                host: Some(host.clone()),
                ..Account::default()
            },
            None => Account {
                host: known.host,
                port: known.port,
                source: known.source,
                ..Account::default()
            },
        };
        note(Step::Permitted);
        let destination = asked
            .time(TimedStep::Route, || {
                self.routes.choose(&wanted(&asked, &takes))
            })
            .map_err(|trouble| self.chain.with_origin(trouble, &takes))?;
        note(Step::Routed(&destination));
        Ok(Admission {
            destination,
            user: None,
            password: None,
            app_password: None,
        })
    }

    /// The account of the recipient; `None` if no store knows it.
    fn recipient_account(
        &self,
        asked: &Question<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Option<Account>, Refusal> {
        match self.chain.look_up(asked, note) {
            // The host of a broken entry is unknown until an administrator repairs the entry.
            Ok(Account {
                unusable: Some(what),
                ..
            })
            | Err(Refusal::UnusableEntry(what)) => Err(Trouble::Store(what).into()),
            // The address only compares equal to that of a user, so the mail is not for that user.
            Err(Refusal::UnknownUser | Refusal::LoginNotProven(Likeness::Other)) => Ok(None),
            // The recipient may be a user, so the mail must not be returned.
            Err(why @ Refusal::LoginNotProven(_)) => {
                let what = why.detail().unwrap_or_default().into_owned();
                Err(Trouble::Store(what).into())
            }
            found => Ok(Some(found?)),
        }
    }
}
