//! The switches of a user: disabled, expired, protocols, networks. They are the same for all stores.

use super::chain::network_allowed;
use crate::nginx::refusal::Refusal;
use crate::users::{Account, Question};

/// Whose networks count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Networks {
    /// Those of the account.
    OfUser,
    /// Not those of the account: a master logs in, whose own networks are checked, or the address of the
    /// client is not part of the question.
    Ignored,
}

/// Why a user whose proof is right may not log in; `None` if the user may. It is checked after the proof, so that
/// the answer does not reveal to others that the user exists.
pub(crate) fn refused(
    account: &Account,
    asked: &Question<'_>,
    networks: Networks,
) -> Option<Refusal> {
    let uses = |protocols: &Vec<_>| protocols.contains(&asked.protocol);
    if account.is_disabled() {
        Some(Refusal::Disabled(account.why_disabled()))
    } else if !account.protocols.as_ref().is_none_or(uses) {
        Some(Refusal::ProtocolNotAllowed)
    } else if networks == Networks::OfUser && !network_allowed(account.allow_nets.as_deref(), asked)
    {
        Some(Refusal::NetworkNotAllowed)
    } else {
        None
    }
}
