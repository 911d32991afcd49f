//! Decides about a client that logs in.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::chain::Proven;
use super::switches::{Networks, refused};
use super::{Admission, FailedAttempt, Gate, Guess, Masters, Step, wanted};
use crate::login::{Likeness, Login, Protocol};
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::LoginRequest;
use crate::route::{Credentials, NoPassword, OwnPassword};
use crate::secret::Proof;
use crate::sys::steps::{StepTimes, TimedStep};
use crate::throttle::Delay;
use crate::users::Question;

/// The error if a digest or a certificate proved the login, and nginx cannot be given the stored
/// password.
const NOT_SENDABLE: &str = "cannot send the stored password in Auth-Pass: it begins or ends with a \
    blank, or contains a control byte; set another password, or give the host a master-login";

impl Gate {
    /// Decides about a login. `slowed` returns how long a refusal must be delayed because of
    /// earlier ones.
    pub(super) fn log_in(
        &self,
        request: &LoginRequest<'_>,
        slowed: &mut Delay,
        steps: Option<&StepTimes>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Refusal> {
        let connection = &request.connection;
        let deadline = Instant::now() + self.deadline;
        let fits = request.login.fits(connection.protocol);
        if !fits && !self.logins.trim {
            return Err(Refusal::BadLogin);
        }
        // A digest or certificate is for one login, and a master names two.
        let by_password = matches!(request.proof, Proof::Password(_));
        let masters = self.masters.as_ref().filter(|_| by_password);
        let (typed, master) =
            match masters.and_then(|masters| masters.split(&request.login, &self.logins)) {
                Some((user, master)) => (Cow::Owned(user), Some(master)),
                None => (Cow::Borrowed(&request.login), None),
            };
        let login = match request.proof {
            Proof::External => self.methods.certified(request, &self.logins)?,
            _ => self.logins.canonical(&typed)?,
        };
        if login != *typed {
            note(Step::Renamed(&login));
        }
        let asked = Question {
            login: &login,
            protocol: connection.protocol,
            client: connection.client.address,
            session: connection.session(),
            network: connection.client.network(),
            deadline,
            steps,
        };
        let masters = masters.zip(master.as_ref());
        let proven = self.prove_throttled(request, &asked, masters, slowed, note)?;
        let account = &proven.account;
        note(Step::Permitted);
        let destination = asked
            .time(TimedStep::Route, || {
                self.routes.choose(&wanted(&asked, account))
            })
            .map_err(|trouble| self.chain.with_origin(trouble, account))?;
        note(Step::Routed(&destination));
        // With the master login of this program, the mail server asks for no password of the user:
        // the mailbox must be that user's.
        if destination.master.is_some()
            && account.user.is_none()
            && account.likeness == Likeness::Other
        {
            return Err(Refusal::LoginNotProven(account.likeness));
        }
        let known_as = account.user.as_deref().unwrap_or(login.as_bytes());
        let typed = |user: &[u8]| fits && user == request.login.as_bytes();
        let other = |user: &[u8]| (!typed(user)).then(|| user.to_vec());
        let (user, own) = match masters {
            // A mail server without a master login may know the masters itself.
            Some((masters, master)) if destination.master.is_none() => {
                (other(&masters.join(known_as, master)), OwnPassword::Sent)
            }
            Some(_) => (other(known_as), OwnPassword::Unknown),
            None => (other(known_as), proven.own_password(request, &destination)),
        };
        // nginx fails without a password ("did not send password"), except for SMTP.
        let credentials = match destination.credentials(login.as_bytes(), user.clone(), own) {
            Ok(credentials) => credentials,
            Err(_) if connection.protocol == Protocol::Smtp => Credentials {
                user,
                password: None,
            },
            Err(NoPassword::Unknown) => return Err(Trouble::PasswordNeeded.into()),
            Err(NoPassword::CannotBeSent) => {
                return Err(Trouble::Answer(NOT_SENDABLE.to_owned()).into());
            }
        };
        Ok(Admission {
            destination,
            user: credentials.user,
            password: credentials.password,
            app_password: proven.app_password,
        })
    }

    /// Checks the proof, unless the throttle refuses the attempt.
    fn prove_throttled(
        &self,
        request: &LoginRequest<'_>,
        asked: &Question<'_>,
        masters: Option<(&Masters, &Login)>,
        slowed: &mut Delay,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Proven, Refusal> {
        let proof = &request.proof;
        // The attempt counts against the master's login, whose password it guesses. An ordinary
        // login cannot contain the separator, so a user with the same name counts separately.
        let master = masters.map(|(masters, master)| masters.join(b"", master));
        let guessed = master.as_deref().unwrap_or(asked.login.as_bytes());
        let attempt = self.throttle.as_ref().map(|throttle| {
            asked.time(TimedStep::Throttle, || {
                throttle.begin_attempt(&request.connection.client, guessed, proof, asked.deadline)
            })
        });
        let Some(attempt) = attempt.transpose()?.flatten() else {
            return self.prove(proof, asked, masters, note).map_err(|denied| {
                slowed.earliest = earliest_answer(denied.delay);
                denied.why
            });
        };
        let asked = &Question {
            deadline: attempt.deadline_of_stores(self.deadline),
            ..*asked
        };
        if let Some(why) = attempt.refused() {
            // As after a wrong password: the same text and the same time, but without the work.
            *slowed = attempt.delay_of_refusal(proof);
            return Err(why);
        }
        match self.prove(proof, asked, masters, note) {
            Ok(proven) => {
                let counted = asked.time(TimedStep::Throttle, || attempt.succeeded(proof));
                counted.map_err(|(why, wait)| {
                    slowed.wait = wait;
                    why
                })?;
                Ok(proven)
            }
            Err(FailedAttempt { why, guess, delay }) => {
                slowed.earliest = earliest_answer(delay);
                // Clients that have logged in from there with a password may try a digest first
                // each time.
                let habit = why == Refusal::DigestNotPossible && attempt.is_exempt();
                if guess == Guess::Yes && !habit {
                    let failed = asked.time(TimedStep::Throttle, || attempt.failed(proof, delay));
                    let counted = failed?;
                    slowed.wait = counted.wait;
                    return Err(counted.too_late.unwrap_or(why));
                }
                Err(why)
            }
        }
    }

    /// Checks the proof, and whether its user may log in from this network.
    fn prove(
        &self,
        proof: &Proof,
        asked: &Question<'_>,
        masters: Option<(&Masters, &Login)>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Proven, FailedAttempt> {
        let proven = match (proof, masters) {
            (Proof::Password(_), Some((masters, master))) => {
                note(Step::AsMaster(master.as_bytes()));
                masters.authenticate(master, asked, proof, &self.chain)?;
                Proven::new(self.chain.look_up(asked, note)?)
            }
            (Proof::Password(_) | Proof::CramMd5(_) | Proof::Apop(_), _) => {
                self.chain.authenticate(asked, proof, note)?
            }
            (Proof::Token(token), _) => {
                asked.time(TimedStep::Token, || {
                    self.methods.check(token, asked, &self.logins)
                })?;
                Proven::new(self.chain.look_up(asked, note)?)
            }
            (Proof::External, _) => Proven::by_certificate(self.chain.look_up(asked, note)?),
        };
        note(Step::Proven);
        let account = &proven.account;
        let networks = match masters {
            Some(_) => Networks::Ignored,
            None => Networks::OfUser,
        };
        match refused(account, asked, networks) {
            Some(why) => Err(why.into()),
            None => Ok(proven),
        }
    }
}

/// The earliest time for an answer that is delayed by this time from now.
fn earliest_answer(delay: Duration) -> Option<Instant> {
    (!delay.is_zero()).then(|| Instant::now() + delay)
}
