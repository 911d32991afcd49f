//! The decision, whole: who may in, and which mail server is theirs.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::login::Likeness;
use crate::login::rules::LoginRules;
use crate::login::{Login, Protocol};
use crate::nginx::refusal::{Refusal, Trouble};
use crate::nginx::request::{AuthRequest, Method};
use crate::route::{Credentials, Destination, NoPassword, OwnPassword, Query, Routes};
use crate::secret::{Password, Proof};
use crate::throttle::{Delay, Throttle};
use crate::users::{Account, Passwords, Question};

pub mod certificate;
mod chain;
pub mod incoming_mail;
mod masters;
mod methods;
mod outcome;
mod refusal_time;
mod remembered;
#[cfg(feature = "oauth")]
pub mod token;

pub use chain::{Chain, Proven, Source, Then};
pub use masters::Masters;
pub use methods::Methods;
pub use outcome::{Denied, Guess};
pub use refusal_time::Pace;

use chain::may_come;

/// When a refused client may try again on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Seconds that nginx holds the refusal back.
    pub wait: NonZeroU32,
    /// The attempt after which nginx is to close the connection.
    pub max_attempts: u32,
    /// Whether that includes a client that was refused with `cram-md5` or `apop`.
    pub after_digests: bool,
}

/// Decides about logins. It knows no header and no transport.
pub struct Gate {
    /// What is made of a login before anybody is asked about it.
    pub logins: LoginRules,
    /// Who may log in as somebody else.
    pub masters: Option<Masters>,
    /// What else but passwords shows who a client is.
    pub methods: Methods,
    /// Where users are.
    pub chain: Chain,
    /// Where each login's mail server is.
    pub routes: Routes,
    /// `None`: nginx closes the connection after a refusal.
    pub retry: Option<Retry>,
    /// What slows guessing down; `None`: passwords can be tried without end.
    pub throttle: Option<Throttle>,
    /// How long a decision may take. nginx waits for 60 s, mod_fcgid for 40 s, most mail clients
    /// for 30 s.
    pub deadline: Duration,
}

/// A login that may in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The mail server, and what led to it.
    pub destination: Destination,
    /// The login that the mail server is to see, if another.
    pub user: Option<Vec<u8>>,
    /// The password that the mail server is to see, if another.
    pub password: Option<Password>,
    /// The label of the app password that it was.
    pub app_password: Option<String>,
}

/// A login that may not in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The reason, for the log.
    pub why: Refusal,
    /// Seconds that nginx is to hold the answer back, so that the client may try again.
    pub wait: Option<NonZeroU32>,
    /// The answer is not to leave before, so that its time says nothing.
    pub earliest: Option<Instant>,
}

/// What happened on the way to a decision, for the `test` command. Stores count from 0.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The rules of `[logins]` made another login of it.
    Renamed(&'a Login),
    /// Somebody wants to log in as another: the master's name.
    AsMaster(&'a [u8]),
    /// The store is not asked about logins of this domain.
    NotAsked(usize),
    /// The store cannot tell without a password whether it knows the login, and is not asked.
    CannotTell(usize),
    /// The store does not know the login.
    NotIn(usize),
    /// The store knows the login.
    FoundIn(usize, &'a Account),
    /// One of the passwords that the store has fits; its label, if it is an app password.
    FitsPassword(usize, Option<&'a str>),
    /// The store says no.
    Wrong(usize, &'a Refusal),
    /// The store cannot say.
    InTrouble(usize, &'a Trouble),
    /// The client has proven to be who it says.
    Proven,
    /// The user may log in, from there; now the mail server is chosen.
    Admitted,
    /// The mail server.
    Routed(&'a Destination),
}

/// The word of a digest or a certificate is enough, and nginx cannot be told what to log in with.
const UNSAYABLE: &str = "Auth-Pass cannot carry what the store has in clear: it has a blank at an end \
                         or a control byte; set another, or give the host a master-login";

impl Gate {
    /// Decides, telling `note` each step.
    pub fn admit(
        &self,
        request: &AuthRequest<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Denial> {
        let mut slowed = Delay::default();
        self.decide(request, &mut slowed, note)
            .map_err(|why| Denial {
                why,
                wait: self.wait(request).max(slowed.wait),
                earliest: slowed.earliest,
            })
    }

    /// The login that a wrong password of `typed` counts for: the master's, if it is one of a master.
    pub fn counted_login(&self, typed: &Login) -> Result<Vec<u8>, Refusal> {
        let masters = self.masters.as_ref();
        let master =
            masters.and_then(|masters| Some((masters, masters.split(typed, &self.logins)?.1)));
        match master {
            Some((masters, master)) => Ok(masters.join(b"", &master)),
            None => Ok(self.logins.canonical(typed)?.as_bytes().to_vec()),
        }
    }

    /// Decides; `slowed` is how long a refusal is to be held back because of others before.
    fn decide(
        &self,
        request: &AuthRequest<'_>,
        slowed: &mut Delay,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Refusal> {
        let deadline = Instant::now() + self.deadline;
        if let Proof::None = request.proof {
            return self.take_mail(request, deadline, note);
        }
        let fits = request.login.fits(request.protocol);
        if !fits && !self.logins.trim {
            return Err(Refusal::BadLogin);
        }
        // Digests and certificates are made for one login, not for two.
        let by_password = matches!(request.proof, Proof::Password(_));
        let masters = self.masters.as_ref().filter(|_| by_password);
        let (typed, master) =
            match masters.and_then(|masters| masters.split(&request.login, &self.logins)) {
                Some((user, master)) => (user, Some(master)),
                None => (request.login.clone(), None),
            };
        let login = match request.proof {
            Proof::External => self.methods.certified(request, &self.logins)?,
            _ => self.logins.canonical(&typed)?,
        };
        if login != typed {
            note(Step::Renamed(&login));
        }
        let asked = Question {
            login: &login,
            protocol: request.protocol,
            client: request.client.address,
            session: request.session(),
            network: request.client.network(),
            deadline,
        };
        let masters = masters.zip(master.as_ref());
        let proven = self.prove_within_bounds(request, &asked, masters, slowed, note)?;
        let account = &proven.account;
        note(Step::Admitted);
        let destination = self
            .routes
            .choose(&wanted(&asked, account))
            .map_err(|trouble| self.chain.with_origin(trouble, account))?;
        note(Step::Routed(&destination));
        // With a login of ours the mail server asks for no password: it must be that user's mailbox.
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
            // A mail server that has no login for us may know the masters themselves.
            Some((masters, master)) if destination.master.is_none() => {
                (other(&masters.join(known_as, master)), OwnPassword::Sent)
            }
            Some(_) => (other(known_as), OwnPassword::Unknown),
            None => (other(known_as), proven.own_password(request, &destination)),
        };
        // nginx does not go on without a password ("did not send password") but for SMTP.
        let credentials = match destination.credentials(login.as_bytes(), user.clone(), own) {
            Ok(credentials) => credentials,
            Err(_) if request.protocol == Protocol::Smtp => Credentials {
                user,
                password: None,
            },
            Err(NoPassword::Unknown) => return Err(Trouble::PasswordNeeded.into()),
            Err(NoPassword::Unsayable) => return Err(Trouble::Answer(UNSAYABLE.to_owned()).into()),
        };
        Ok(Admission {
            destination,
            user: credentials.user,
            password: credentials.password,
            app_password: proven.app_password,
        })
    }

    /// Has the proof checked, unless too many wrong ones came before.
    fn prove_within_bounds(
        &self,
        request: &AuthRequest<'_>,
        asked: &Question<'_>,
        masters: Option<(&Masters, &Login)>,
        slowed: &mut Delay,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Proven, Refusal> {
        let proof = &request.proof;
        // It is the master's password that could be guessed. No ordinary login can hold the separator,
        // so a user of the same name is another one.
        let master = masters.map(|(masters, master)| masters.join(b"", master));
        let guessed = master.as_deref().unwrap_or(asked.login.as_bytes());
        let visit = self
            .throttle
            .as_ref()
            .map(|throttle| throttle.visit(&request.client, guessed, proof, asked.deadline));
        let Some(visit) = visit.transpose()?.flatten() else {
            return self.prove(proof, asked, masters, note).map_err(|denied| {
                slowed.earliest = held_back(denied.owed);
                denied.why
            });
        };
        let asked = &Question {
            deadline: visit.deadline_of_stores(self.deadline),
            ..*asked
        };
        if let Some(why) = visit.refused() {
            // As after a wrong password: the same words, and the same time, but none of the work.
            *slowed = visit.turned_away(proof);
            return Err(why);
        }
        match self.prove(proof, asked, masters, note) {
            Ok(proven) => {
                visit.succeeded(proof).map_err(|(why, wait)| {
                    slowed.wait = wait;
                    why
                })?;
                Ok(proven)
            }
            Err(Denied { why, guess, owed }) => {
                slowed.earliest = held_back(owed);
                // Clients that have got in from there by a password may try a digest first each time.
                let habit = why == Refusal::DigestNotPossible && visit.is_exempt();
                if guess == Guess::Yes && !habit {
                    let counted = visit.failed(proof, owed)?;
                    slowed.wait = counted.wait;
                    return Err(counted.too_late.unwrap_or(why));
                }
                Err(why)
            }
        }
    }

    /// Has the proof checked, and whether its user may come.
    fn prove(
        &self,
        proof: &Proof,
        asked: &Question<'_>,
        masters: Option<(&Masters, &Login)>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Proven, Denied> {
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
                self.methods.check(token, asked, &self.logins)?;
                Proven::new(self.chain.look_up(asked, note)?)
            }
            (Proof::External | Proof::None, _) => {
                Proven::by_certificate(self.chain.look_up(asked, note)?)
            }
        };
        note(Step::Proven);
        let account = &proven.account;
        // Only now, so that a user who is switched off looks like one with another password.
        if account.disabled {
            return Err(Refusal::Disabled.into());
        }
        // A master comes from the networks of the masters.
        if masters.is_none() && !may_come(account.allow_nets.as_deref(), asked) {
            return Err(Refusal::NetworkNotAllowed.into());
        }
        Ok(proven)
    }

    /// Decides about mail that another server brings: whether it is taken, and by which host.
    fn take_mail(
        &self,
        request: &AuthRequest<'_>,
        deadline: Instant,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Admission, Refusal> {
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
            protocol: request.protocol,
            client: request.client.address,
            session: request.session(),
            network: request.client.network(),
            deadline,
        };
        // Every server takes mail for its postmaster (RFC 5321, 4.5.1).
        let to_postmaster = [Some(&recipient), untagged_recipient.as_ref()]
            .into_iter()
            .flatten()
            .any(incoming_mail::is_postmaster);
        let needs_user =
            settings.recipients == incoming_mail::Recipients::KnownUsers && !to_postmaster;
        let mut known = None;
        if settings.host.is_none() || needs_user {
            known = self.recipient_account(&asked, note)?;
            // A store that takes everybody for a user does not tell a tag from a part of a name.
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
        // What a user may not do, and from where, is no matter of their mail.
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
        note(Step::Admitted);
        let destination = self
            .routes
            .choose(&wanted(&asked, &takes))
            .map_err(|trouble| self.chain.with_origin(trouble, &takes))?;
        note(Step::Routed(&destination));
        Ok(Admission {
            destination,
            user: None,
            password: None,
            app_password: None,
        })
    }

    /// The user whom mail is for; `None` if no store knows such a one.
    fn recipient_account(
        &self,
        asked: &Question<'_>,
        note: &mut impl FnMut(Step<'_>),
    ) -> Result<Option<Account>, Refusal> {
        match self.chain.look_up(asked, note) {
            // Where it goes cannot be said, as long as nobody has mended the entry.
            Ok(Account {
                unusable: Some(what),
                ..
            })
            | Err(Refusal::UnusableEntry(what)) => Err(Trouble::Store(what).into()),
            // Mail for an address that is like that of a user is not for that user.
            Err(Refusal::UnknownUser | Refusal::LoginNotProven(Likeness::Other)) => Ok(None),
            // It may be for one: no mail is to be sent back for that.
            Err(why @ Refusal::LoginNotProven(_)) => {
                let what = why.detail().unwrap_or_default().into_owned();
                Err(Trouble::Store(what).into())
            }
            found => Ok(Some(found?)),
        }
    }

    /// Seconds to hold a refusal back, so that the client may try again on its connection.
    pub fn wait(&self, request: &AuthRequest<'_>) -> Option<NonZeroU32> {
        self.wait_after(Method::of(&request.proof), request.attempt)
    }

    /// The same for a request of which no more is known than that.
    pub fn wait_after(&self, method: Method, attempt: Option<u32>) -> Option<NonZeroU32> {
        let retry = self.retry?;
        match method {
            // A retry after these crashes nginx's worker before 1.29.7 and 1.28.3 (CVE-2026-27651).
            Method::CramMd5 | Method::Apop if !retry.after_digests => None,
            Method::CramMd5
            | Method::Apop
            | Method::Plain
            | Method::External
            | Method::None
            | Method::Token => (attempt? < retry.max_attempts).then_some(retry.wait),
        }
    }
}

/// Which mail server is wanted for an account.
pub fn wanted<'a>(asked: &Question<'a>, account: &'a Account) -> Query<'a> {
    Query {
        login: asked.login,
        protocol: asked.protocol,
        host: account.host.as_deref(),
        port: account.port,
        deadline: asked.deadline,
    }
}

/// When an answer may leave at the earliest that is held back for so long from now.
fn held_back(owed: Duration) -> Option<Instant> {
    (!owed.is_zero()).then(|| Instant::now() + owed)
}

#[cfg(test)]
mod tests;
