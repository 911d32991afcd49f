//! Result codes and what they are called.

use std::fmt;

/// How a server ended an operation (RFC 4511, 4.1.9 and appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) u32);

impl Code {
    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const SIZE_LIMIT_EXCEEDED: Self = Self(4);
    pub(super) const COMPARE_FALSE: Self = Self(5);
    pub(super) const COMPARE_TRUE: Self = Self(6);
    pub(super) const NO_SUCH_ATTRIBUTE: Self = Self(16);
    pub(super) const NO_SUCH_OBJECT: Self = Self(32);
    pub(super) const INVALID_DN_SYNTAX: Self = Self(34);
    pub(super) const INVALID_CREDENTIALS: Self = Self(49);
    pub(super) const CONSTRAINT_VIOLATION: Self = Self(19);
    pub(super) const INAPPROPRIATE_AUTHENTICATION: Self = Self(48);
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

/// Why Active Directory refused a bind with `invalidCredentials`: its diagnostic message holds
/// `data 775,` and the like, a Windows error code in hexadecimal.
pub(super) fn active_directory_reason(diagnostic: &str) -> Option<&'static str> {
    let (_, rest) = diagnostic.split_once(", data ")?;
    let (data, _) = rest.split_once(',')?;
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
}
