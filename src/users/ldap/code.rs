//! LDAP result codes and their names.

use std::fmt;

/// The result code of an operation (RFC 4511, 4.1.9 and appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const SIZE_LIMIT_EXCEEDED: Self = Self(4);
    pub(super) const COMPARE_FALSE: Self = Self(5);
    pub(super) const COMPARE_TRUE: Self = Self(6);
    pub(super) const NO_SUCH_ATTRIBUTE: Self = Self(16);
    pub(super) const CONSTRAINT_VIOLATION: Self = Self(19);
    pub(super) const NO_SUCH_OBJECT: Self = Self(32);
    pub(super) const INVALID_DN_SYNTAX: Self = Self(34);
    pub(super) const INAPPROPRIATE_AUTHENTICATION: Self = Self(48);
    pub(super) const INVALID_CREDENTIALS: Self = Self(49);
    pub(super) const UNWILLING_TO_PERFORM: Self = Self(53);
    pub(super) const INSUFFICIENT_ACCESS: Self = Self(50);
    pub(super) const BUSY: Self = Self(51);
    pub(super) const UNAVAILABLE: Self = Self(52);

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "success",
            1 => "operationsError",
            2 => "protocolError",
            3 => "timeLimitExceeded",
            4 => "sizeLimitExceeded",
            5 => "compareFalse",
            6 => "compareTrue",
            7 => "authMethodNotSupported",
            8 => "strongerAuthRequired",
            10 => "referral",
            11 => "adminLimitExceeded",
            12 => "unavailableCriticalExtension",
            13 => "confidentialityRequired",
            14 => "saslBindInProgress",
            16 => "noSuchAttribute",
            17 => "undefinedAttributeType",
            18 => "inappropriateMatching",
            19 => "constraintViolation",
            20 => "attributeOrValueExists",
            21 => "invalidAttributeSyntax",
            32 => "noSuchObject",
            33 => "aliasProblem",
            34 => "invalidDNSyntax",
            36 => "aliasDereferencingProblem",
            48 => "inappropriateAuthentication",
            49 => "invalidCredentials",
            50 => "insufficientAccessRights",
            51 => "busy",
            52 => "unavailable",
            53 => "unwillingToPerform",
            54 => "loopDetect",
            64 => "namingViolation",
            65 => "objectClassViolation",
            71 => "affectsMultipleDSAs",
            80 => "other",
            _ => return None,
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "result code {}", self.0),
        }
    }
}

/// The meaning of the result of a user's bind for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindMeaning {
    /// The password is right.
    Right,
    /// The password is wrong, or the user does not exist.
    Wrong,
    /// The user has no password.
    NoPassword,
    /// The user is known and may not log in. Some servers return this for any password, others only for the
    /// right one.
    NotPermitted,
    /// The name is not a valid DN.
    InvalidDn,
    /// The server has a fault, or its settings allow no login.
    Inconclusive,
}

/// The meaning of the result code of a bind. Codes are those of RFC 4511, appendix A.2.
///
/// 389-ds returns 53 for an inactivated account, 19 for one that is locked after too many wrong passwords,
/// and 48 for one without a password (`slapi_check_account_lock`, `check_account_lock` in pw_retry.c,
/// `do_bind` in bind.c). It also returns 53 if a connection is not encrypted enough (`nsslapd-minssf`), and
/// OpenLDAP returns 53 if it allows no simple binds at all (`disallow bind_simple`): those results do not
/// concern one user.
pub(super) fn meaning(code: Code, diagnostic: &str) -> BindMeaning {
    match code {
        Code::SUCCESS => BindMeaning::Right,
        Code::INVALID_CREDENTIALS => match active_directory_code(diagnostic) {
            Some("525" | "52e") | None => BindMeaning::Wrong,
            Some(data) if reason_of(data).is_some() => BindMeaning::NotPermitted,
            Some(_) => BindMeaning::Wrong,
        },
        // Some servers return these codes for an unknown DN.
        Code::NO_SUCH_OBJECT => BindMeaning::Wrong,
        Code::INVALID_DN_SYNTAX => BindMeaning::InvalidDn,
        Code::NO_SUCH_ATTRIBUTE | Code::INAPPROPRIATE_AUTHENTICATION => BindMeaning::NoPassword,
        Code::CONSTRAINT_VIOLATION => BindMeaning::NotPermitted,
        Code::UNWILLING_TO_PERFORM => {
            let everybodys = ["SSF", "simple authentication", "simple bind"];
            match everybodys.iter().any(|words| diagnostic.contains(words)) {
                true => BindMeaning::Inconclusive,
                false => BindMeaning::NotPermitted,
            }
        }
        _ => BindMeaning::Inconclusive,
    }
}

/// The reason why Active Directory refused a bind with `invalidCredentials`: its diagnostic message contains
/// text such as `data 775,`, a Windows error code in hexadecimal.
pub(super) fn active_directory_reason(diagnostic: &str) -> Option<&'static str> {
    reason_of(active_directory_code(diagnostic)?)
}

fn active_directory_code(diagnostic: &str) -> Option<&str> {
    let (_, rest) = diagnostic.split_once(", data ")?;
    let (data, _) = rest.split_once(',')?;
    Some(data)
}

fn reason_of(data: &str) -> Option<&'static str> {
    Some(match data {
        "525" => "there is no such user",
        "52e" => "the password is wrong",
        "530" => "the user may not log in at this time",
        "531" => "the user may not log in from this computer",
        "532" => "the password has expired",
        "533" => "the account is disabled",
        "568" => "the user is in too many groups",
        "701" => "the account has expired",
        "773" => "the user must change the password first",
        "775" => "the account is locked",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names_and_numbers() {
        assert_eq!(Code(51).to_string(), "busy (51)");
        assert_eq!(Code(118).to_string(), "result code 118");
    }

    #[test]
    fn active_directory_says_why() {
        let message = |data: &str| {
            format!(
                "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data \
                 {data}, v2580\0"
            )
        };
        let reason = |data| active_directory_reason(&message(data));
        assert_eq!(reason("533"), Some("the account is disabled"));
        assert_eq!(reason("775"), Some("the account is locked"));
        assert_eq!(reason("0"), None);
        assert_eq!(active_directory_reason("invalid credentials"), None);
    }

    #[test]
    fn the_meaning_of_each_result_of_a_bind() {
        use BindMeaning::{Inconclusive, InvalidDn, NoPassword, NotPermitted, Right, Wrong};
        for (code, words, expected) in [
            (0, "", Right),
            (32, "", Wrong),
            (49, "", Wrong),
            (49, "Invalid credentials", Wrong),
            (16, "", NoPassword),
            (48, "", NoPassword),
            (
                19,
                "Exceed password retry limit. Please try later.",
                NotPermitted,
            ),
            (53, "", NotPermitted),
            (
                53,
                "Account inactivated. Contact system administrator.",
                NotPermitted,
            ),
            (53, "Minimum SSF not met.", Inconclusive),
            (
                53,
                "unwilling to perform simple authentication",
                Inconclusive,
            ),
            (34, "", InvalidDn),
        ] {
            assert_eq!(meaning(Code(code), words), expected, "{code} {words}");
        }
        for code in [
            1, 2, 3, 7, 8, 10, 11, 12, 13, 14, 50, 51, 52, 54, 80, 90, 127,
        ] {
            assert_eq!(meaning(Code(code), ""), Inconclusive, "{code}");
        }
        for (data, expected) in [
            ("525", Wrong),
            ("52e", Wrong),
            ("0", Wrong),
            ("530", NotPermitted),
            ("531", NotPermitted),
            ("532", NotPermitted),
            ("533", NotPermitted),
            ("568", NotPermitted),
            ("701", NotPermitted),
            ("773", NotPermitted),
            ("775", NotPermitted),
        ] {
            let words = format!("80090308: LdapErr: DSID-0C09044E, comment: x, data {data}, v2580");
            assert_eq!(meaning(Code(49), &words), expected, "{data}");
        }
    }
}
