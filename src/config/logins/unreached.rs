//! Warnings about logins and domains in the configuration that never match: `[logins]` changes a login before it is
//! compared with them.

use toml::Spanned;

use crate::config::checker::Checker;
use crate::login::Login;
use crate::login::domain;

impl Checker<'_> {
    /// Warns if a domain is an alias of another one; returns whether it is.
    pub(in crate::config) fn warn_of_alias(
        &mut self,
        key: &str,
        at: &Spanned<String>,
        domain: &str,
    ) -> bool {
        let Some(other) = self.rules.domain_aliases.get(domain.as_bytes()) else {
            return false;
        };
        let other = String::from_utf8_lossy(other);
        let message = format!(
            "{domain:?} is one of [logins.domain-aliases], and no login has it here: write {other:?}"
        );
        self.warn(&at.span(), key, message);
        true
    }

    /// Warns if no login can have a domain, or one below it. An empty domain means logins without a domain.
    pub(in crate::config) fn warn_of_domain(
        &mut self,
        key: &str,
        at: &Spanned<String>,
        domain: &str,
    ) {
        if self.warn_of_alias(key, at, domain) {
            return;
        }
        let has_it = |login: &Vec<u8>| {
            let name = login.rsplit(|byte| *byte == b'@').next();
            let name = name.filter(|name| name.len() < login.len());
            domain::covers(domain.as_bytes(), name.unwrap_or_default())
        };
        let rules = &self.rules;
        let gone = match domain {
            "" => rules.default_domain.is_some(),
            _ => {
                let strips = |strip: &String| domain::covers(strip.as_bytes(), domain.as_bytes());
                rules.strip_domains.iter().any(strips)
            }
        };
        let default = rules.default_domain.as_ref();
        let by_default =
            default.is_some_and(|name| domain::covers(domain.as_bytes(), name.as_bytes()));
        if !gone || by_default || rules.aliases.values().any(has_it) {
            return;
        }
        let message = match (domain, default) {
            ("", Some(other)) => {
                format!(
                    "no login is without a domain here, by logins.default-domain: write {other:?}"
                )
            }
            (_, Some(other)) => format!(
                "{domain:?} is one of logins.strip-domains, and no login has it here: write {other:?}, \
                 the default-domain"
            ),
            (_, None) => {
                let instead = match key.starts_with("routes.") {
                    true => "write the logins, without it, in [routes.login]",
                    false => "write \"\" for the logins without a domain",
                };
                format!(
                    "{domain:?} is one of logins.strip-domains, and no login has it here: {instead}"
                )
            }
        };
        self.warn(&at.span(), key, message);
    }

    /// Warns if no login is equal to this one after `[logins]`. With `any_case`, upper and lower case are equal. An
    /// alias of a domain has its own warning.
    pub(in crate::config) fn warn_of_login(
        &mut self,
        key: &str,
        at: &Spanned<String>,
        login: &[u8],
        any_case: bool,
    ) {
        let login = domain::folded(login);
        let name = login.rsplit(|byte| *byte == b'@').next();
        if name.is_some_and(|name| self.rules.domain_aliases.contains_key(name)) {
            return;
        }
        let is_it = |other: &[u8]| match any_case {
            true => login.eq_ignore_ascii_case(other),
            false => *login == *other,
        };
        let Some(made) = Login::new(login.to_vec())
            .ok()
            .and_then(|login| self.rules.canonical(&login).ok())
        else {
            return;
        };
        if is_it(made.as_bytes()) || self.rules.aliases.values().any(|other| is_it(other)) {
            return;
        }
        let made = String::from_utf8_lossy(made.as_bytes()).into_owned();
        let message = format!(
            "no login has this form here, because [logins] makes {made:?} of it: write that"
        );
        self.warn(&at.span(), key, message);
    }

    /// Warns if no login begins with one of these letters.
    pub(in crate::config) fn warn_of_letters(
        &mut self,
        key: &str,
        at: &Spanned<String>,
        any_case: bool,
    ) {
        let letters = at.get_ref();
        let upper = |byte: &u8| byte.is_ascii_uppercase();
        let of_alias = |login: &Vec<u8>| login.first().is_some_and(upper);
        if self.rules.lower_case
            && !any_case
            && letters.bytes().any(|byte| upper(&byte))
            && !letters.bytes().any(|byte| byte.is_ascii_lowercase())
            && !self.rules.aliases.values().any(of_alias)
        {
            let made = letters.to_ascii_lowercase();
            let message =
                format!("no login begins like this after logins.lower-case: write {made:?}");
            self.warn(&at.span(), key, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;
    use crate::config::source::written;

    /// The warnings about names, without their positions, of `[logins]`, `[routes]` and domains of a store.
    fn warnings(logins: &str, routes: &str, domains: &str) -> Vec<String> {
        let text = format!(
            "[[users]]\nstore = \"file\"\npath = \"users\"\ndomains = [{domains}]\n\
             [logins]\n{logins}\n[routes]\ndefault = \"192.0.2.1\"\n{routes}\n"
        );
        let config = Config::parse(Path::new("/nowhere/auth.toml"), text.as_bytes());
        let config = config.unwrap_or_else(|problems| panic!("{text}: {problems:?}"));
        let warning = |warning: &crate::sys::problem::Problem| {
            let key = warning.key.as_deref().unwrap_or_default();
            format!("{key}: {}", warning.message)
        };
        config.warnings.iter().map(warning).collect()
    }

    #[test]
    fn names_that_no_login_has_are_told_with_what_to_write() {
        let made = |made: &str| {
            format!(
                "no login has this form here, because [logins] makes {made:?} of it: write that"
            )
        };
        let stripped = |domain: &str, instead: &str| {
            format!(
                "{domain:?} is one of logins.strip-domains, and no login has it here: {instead}"
            )
        };
        let lower = "lower-case = true";
        let strip = "strip-domains = [\"example.org\", \"*.example.net\"]";
        let both = &format!("{strip}\ndefault-domain = \"example.com\"");
        let without = "write the logins, without it, in [routes.login]";
        let default = "write \"example.com\", the default-domain";
        let (login, domain) = ("routes.login.", "routes.domain.");
        for (logins, table, name, warning) in [
            (lower, login, "A@example.org", Some(made("a@example.org"))),
            (lower, login, "a@EXAMPLE.org", None),
            ("", login, "A@example.org", None),
            (lower, domain, "EXAMPLE.org", None),
            (strip, login, "a@example.org", Some(made("a"))),
            (strip, login, "a@b.example.net", Some(made("a"))),
            (strip, login, "a@example.net", None),
            (both, login, "a", Some(made("a@example.com"))),
            (both, login, "a@example.org", Some(made("a@example.com"))),
            (both, login, "a@example.com", None),
            (
                strip,
                domain,
                "example.org",
                Some(stripped("example.org", without)),
            ),
            (
                strip,
                domain,
                "*.example.net",
                Some(stripped("*.example.net", without)),
            ),
            (
                strip,
                domain,
                "a.example.net",
                Some(stripped("a.example.net", without)),
            ),
            (strip, domain, "example.net", None),
            (strip, domain, "*.example.org", None),
            (
                both,
                domain,
                "example.org",
                Some(stripped("example.org", default)),
            ),
            (both, domain, "*.com", None),
            (
                lower,
                "routes.first-letter.",
                "A-M",
                Some("no login begins like this after logins.lower-case: write \"a-m\"".to_owned()),
            ),
            (lower, "routes.first-letter.", "a-m", None),
            ("", "routes.first-letter.", "A-M", None),
        ] {
            let routes = format!(
                "[{}]\n{name:?} = \"192.0.2.2\"",
                table.trim_end_matches('.')
            );
            let expected = warning.map(|what| format!("{table}{}: {what}", written(name)));
            let found = warnings(logins, &routes, "\"example.edu\"");
            assert_eq!(found, Vec::from_iter(expected), "{logins} {table} {name}");
        }
        let fold = warnings(
            lower,
            "fold-case = true\n[routes.login]\n\"A@example.org\" = \"192.0.2.2\"",
            "\"a\"",
        );
        assert_eq!(fold, [""; 0]);
    }

    #[test]
    fn domains_of_a_store_that_no_login_has() {
        let strip = "strip-domains = [\"example.org\"]";
        for (logins, domain, warning) in [
            ("", "", None),
            (
                "default-domain = \"example.com\"",
                "",
                Some(
                    "no login is without a domain here, by logins.default-domain: write \"example.com\"",
                ),
            ),
            (
                "default-domain = \"example.com\"\n[logins.aliases]\n\"root@example.com\" = \"alice\"",
                "",
                None,
            ),
            (strip, "", None),
            (
                strip,
                "example.org",
                Some(
                    "\"example.org\" is one of logins.strip-domains, and no login has it here: write \"\" \
                     for the logins without a domain",
                ),
            ),
            (
                "strip-domains = [\"example.org\"]\n[logins.aliases]\n\"root\" = \"alice@example.org\"",
                "example.org",
                None,
            ),
        ] {
            let expected = warning.map(|what| format!("users.domains: {what}"));
            let found = warnings(logins, "", &format!("{domain:?}"));
            assert_eq!(found, Vec::from_iter(expected), "{logins} {domain:?}");
        }
    }

    #[test]
    fn aliases_that_no_login_is() {
        let aliases = "[logins.aliases]\n\"A@example.org\" = \"b\"";
        let made = |made: &str| {
            vec![format!(
                "logins.aliases.\"A@example.org\": no login has this form here, because [logins] makes {made:?} of it: \
                 write that"
            )]
        };
        // The name of an alias is made lower case as logins are.
        for (logins, expected) in [
            ("", Vec::new()),
            ("lower-case = true\n", Vec::new()),
            ("strip-domains = [\"example.org\"]\n", made("A")),
            (
                "lower-case = true\nstrip-domains = [\"example.org\"]\n",
                made("a"),
            ),
        ] {
            let found = warnings(&format!("{logins}{aliases}"), "", "\"example.edu\"");
            assert_eq!(found, expected, "{logins}");
        }
        // A login that is an alias is another one by the time routes are looked at.
        let route = "[routes.login]\n\"A@example.org\" = \"192.0.2.2\"";
        let found = warnings(aliases, route, "\"example.edu\"");
        let what = "no login has this form here, because [logins] makes \"b\" of it: write that";
        assert_eq!(found, [format!("routes.login.\"A@example.org\": {what}")]);
    }
}
