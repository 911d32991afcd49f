//! Checks the column names of a statement, independently of a login.

use crate::users::misspelt::{Limit, limit_meant};

/// The columns that name the login of a row; the first existing one counts.
pub(super) const OWNER: [&str; 3] = ["matched_login", "matched-login", "login"];

/// The maximum number of unused columns that a message names.
const MAX_SHOWN: usize = 20;

/// The problem of an app password that may belong to another login: the two tables may compare logins in
/// different ways.
pub(super) const NO_OWNER: &str =
    "gives neither a column login nor matched_login: each row must name its login";

/// The purpose of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// `query`: the user.
    User,
    /// `app-passwords-query`.
    AppPasswords,
}

impl Purpose {
    /// The key in the configuration.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::User => "query",
            Self::AppPasswords => "app-passwords-query",
        }
    }

    /// The columns beside those of the [owner](OWNER). In some names, an underscore may be written as a
    /// hyphen.
    fn columns(self) -> &'static [&'static str] {
        match self {
            Self::User => &[
                "password",
                "nologin",
                "destuser",
                "host",
                "hostip",
                "port",
                "reason",
                "protocols",
                "expires",
                "allow-nets",
                "allow_nets",
            ],
            Self::AppPasswords => &[
                "password",
                "label",
                "protocols",
                "expires",
                "allow-nets",
                "allow_nets",
            ],
        }
    }

    fn limits(self) -> &'static str {
        match self {
            Self::User => "the limits of a user are nologin, protocols, allow_nets and expires",
            Self::AppPasswords => {
                "the limits of an app password are protocols, allow_nets and expires"
            }
        }
    }

    fn knows(self, column: &str) -> bool {
        let mut known = OWNER.iter().chain(self.columns());
        known.any(|known| known.eq_ignore_ascii_case(column))
    }

    /// The limit that an unused column probably means.
    fn limit_meant(column: &str) -> Option<&'static str> {
        Some(match limit_meant(column)? {
            Limit::NoLogin => "nologin",
            Limit::AllowNets | Limit::AllowRealNets => "allow_nets",
            Limit::Expires => "expires",
            Limit::Protocols => "protocols",
        })
    }

    /// The problems of these columns, of which there is at least one.
    pub(super) fn fault<'a>(
        self,
        columns: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<String> {
        let is_password = |column: &str| column.eq_ignore_ascii_case("password");
        if !columns.clone().any(is_password) {
            let listed: Vec<_> = columns.take(MAX_SHOWN).map(shown).collect();
            let listed = listed.join(", ");
            return Some(format!(
                "the statement gives no column password, only {listed}"
            ));
        }
        for (number, column) in columns.clone().enumerate() {
            if !self.knows(column) {
                if let Some(limit) = Self::limit_meant(column) {
                    let (name, limits) = (shown(column), self.limits());
                    return Some(format!(
                        "the column {name} is ignored, but looks like the limit {limit}: \
                         {limits}; rename the column or leave it out"
                    ));
                }
                continue;
            }
            let earlier = columns.clone().take(number);
            if let Some(other) = earlier.clone().find(|other| is_same(other, column)) {
                return Some(match other.eq_ignore_ascii_case(column) {
                    true => format!(
                        "the statement gives two columns {}",
                        column.to_ascii_lowercase()
                    ),
                    false => {
                        format!("the statement gives the column {column} twice, once as {other}")
                    }
                });
            }
        }
        let lacks_owner = self == Self::AppPasswords && !says_owner(columns);
        lacks_owner.then(|| NO_OWNER.to_owned())
    }

    /// The unused columns, in words; `None` if there are none.
    pub(super) fn remark(self, columns: &[String]) -> Option<String> {
        let unknown: Vec<_> = columns
            .iter()
            .filter(|column| !self.knows(column) && Self::limit_meant(column).is_none())
            .collect();
        let listed: Vec<_> = unknown
            .iter()
            .take(MAX_SHOWN)
            .map(|name| shown(name))
            .collect();
        let more = match unknown.len() - listed.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!unknown.is_empty()).then(|| {
            format!(
                "{}: these columns are ignored: {}{more}",
                self.key(),
                listed.join(", ")
            )
        })
    }
}

/// Whether rows with these columns name their login.
pub(super) fn says_owner<'a>(mut columns: impl Iterator<Item = &'a str>) -> bool {
    columns.any(|column| OWNER.iter().any(|owner| column.eq_ignore_ascii_case(owner)))
}

fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

/// Whether two names are the same: case does not matter, nor the choice of `-` or `_`.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |byte: u8| match byte {
        b'-' => b'_',
        byte => byte.to_ascii_lowercase(),
    };
    one.bytes().map(plain).eq(other.bytes().map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(purpose: Purpose, columns: &str) -> Option<String> {
        purpose.fault(columns.split(' '))
    }

    #[test]
    fn invalid_columns_are_errors() {
        use Purpose::{AppPasswords, User};
        for (purpose, columns, message) in [
            (
                User,
                "login pass",
                "the statement gives no column password, only login, pass",
            ),
            (
                User,
                "password PASSWORD",
                "the statement gives two columns password",
            ),
            (
                User,
                "password nologin host NoLogin",
                "the statement gives two columns nologin",
            ),
            (
                User,
                "password login login",
                "the statement gives two columns login",
            ),
            (
                User,
                "allow_nets password allow-nets",
                "the statement gives the column allow-nets twice, once as allow_nets",
            ),
            (
                User,
                "password matched-login matched_login",
                "the statement gives the column matched_login twice, once as matched-login",
            ),
            (
                AppPasswords,
                "password login label label",
                "the statement gives two columns label",
            ),
            (AppPasswords, "password label", NO_OWNER),
        ] {
            assert_eq!(
                fault(purpose, columns).as_deref(),
                Some(message),
                "{columns}"
            );
        }
        for (purpose, columns) in [
            (User, "password"),
            (
                User,
                "PASSWORD login matched_login destuser host hostip port nologin allow-nets",
            ),
            (
                User,
                "password id id label last_login note created active locked quota",
            ),
            (
                AppPasswords,
                "password login label protocols allow_nets expires",
            ),
            (
                AppPasswords,
                "Password matched-login id id valid_until host",
            ),
        ] {
            assert_eq!(fault(purpose, columns), None, "{columns}");
        }
    }

    #[test]
    fn a_misspelt_limit_is_a_fault() {
        for (column, limit) in [
            ("protocol", "protocols"),
            ("Protcols", "protocols"),
            ("allow_net", "allow_nets"),
            ("allownets", "allow_nets"),
            ("allowed-nets", "allow_nets"),
            ("allow_networks", "allow_nets"),
            ("allow_real_nets", "allow_nets"),
            ("expire", "expires"),
            ("expired", "expires"),
            ("expiry", "expires"),
            ("expires_at", "expires"),
            ("no_login", "nologin"),
            ("nolgoin", "nologin"),
            ("no-logins", "nologin"),
        ] {
            for purpose in [Purpose::User, Purpose::AppPasswords] {
                let fault = fault(purpose, &format!("password login {column}"));
                let fault = fault.unwrap();
                let start = format!(
                    "the column {column} is ignored, but looks like the limit {limit}: the \
                     limits of "
                );
                assert!(fault.starts_with(&start), "{fault}");
            }
        }
        assert!(fault(Purpose::AppPasswords, "password login nologin").is_some());
    }

    #[test]
    fn ignored_columns_are_named() {
        let columns = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let remark = |names| Purpose::AppPasswords.remark(&columns(names));
        assert_eq!(remark("password LOGIN label"), None);
        assert_eq!(
            remark("password login host note").as_deref(),
            Some("app-passwords-query: these columns are ignored: host, note")
        );
        let many = "x ".repeat(22);
        let said = Purpose::User.remark(&columns(many.trim())).unwrap();
        assert!(said.ends_with(", x and 2 more"), "{said}");
    }
}
