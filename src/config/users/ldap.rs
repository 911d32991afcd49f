//! `store = "ldap"`: the keys of directories.

use serde::Deserialize;
use toml::Spanned;

#[cfg(feature = "servers")]
use {
    super::Users,
    crate::config::checker::Checker,
    crate::net::Endpoint,
    crate::secret::Password,
    crate::users::ldap::attribute,
    crate::users::ldap::{
        Attributes, Auth, BindName, DnTemplate, FilterTemplate, Lookup, Scope, SearchAs, Settings,
        Stored, Url,
    },
    crate::users::placeholder::{self, Flaw},
    std::ops::Range,
};

/// The keys of this store only.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Keys {
    /// `bind`, `search-bind` or `compare`.
    pub(super) auth: Option<Spanned<String>>,
    /// The template of a user's DN, with `{login}`, `{local}`, `{domain}`, `{protocol}` and
    /// `{client_ip}`; for Active Directory also of `user@domain` or `DOMAIN\user`.
    pub(super) user_dn: Option<Spanned<String>>,
    /// The DN that searches, or another name that Active Directory accepts. Default: anonymous.
    pub(super) bind_dn: Option<Spanned<String>>,
    /// A file whose first line is the password of `bind-dn`.
    pub(super) bind_password_file: Option<Spanned<String>>,
    /// The base of the search for users; can be a template.
    pub(super) base: Option<Spanned<String>>,
    /// `base`, `one` or `sub`. Default: "sub".
    pub(super) scope: Option<Spanned<String>>,
    /// The template of the filter that finds a user.
    pub(super) filter: Option<Spanned<String>>,
    /// The attribute with the stored password. Default: "userPassword".
    pub(super) password_attribute: Option<Spanned<String>>,
    /// The attribute with the user's host.
    pub(super) host_attribute: Option<Spanned<String>>,
    /// The attribute with the port on that host.
    pub(super) port_attribute: Option<Spanned<String>>,
    /// The attribute with the login for the mail server.
    pub(super) login_attribute: Option<Spanned<String>>,
    /// The attribute that disables a user, with any value except "FALSE".
    pub(super) nologin_attribute: Option<Spanned<String>>,
    /// The attribute with the networks from which the user may log in.
    pub(super) allow_nets_attribute: Option<Spanned<String>>,
    /// The attribute with the protocols that the user may log in with.
    pub(super) protocols_attribute: Option<Spanned<String>>,
    /// The attribute with the time when the account expires.
    pub(super) expires_attribute: Option<Spanned<String>>,
}

/// The values of `auth`.
#[cfg(feature = "servers")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bind,
    SearchBind,
    Compare,
}

#[cfg(feature = "servers")]
impl Checker<'_> {
    pub(super) fn ldap(&mut self, span: &Range<usize>, users: &Users) -> Option<Settings> {
        let before = self.problems.len();
        let mut urls = self.urls(span, users);
        let starttls = self.starttls(users, &urls);
        let is_unix = |(url, _): &(Url, _)| matches!(url.endpoint, Endpoint::Unix(..));
        let user = self.socket_user(users, urls.iter().any(is_unix));
        for (url, span) in &mut urls {
            url.endpoint.listened_by(user);
            if !starttls && !url.is_encrypted() {
                self.warn_of_port(span, "users.urls", url.endpoint.local_port());
            }
        }
        let mode = self.mode_of_auth(span, users);
        let auth = mode.and_then(|mode| self.auth(span, users, mode));
        let lookup = mode.and_then(|mode| self.lookup(span, users, mode));
        let search_as = self.search_as(users);
        let attributes = self.attributes(users);
        if let (Some(Auth::Bind(BindName::Name(_))), None) = (&auth, &lookup)
            && attributes != Attributes::default()
        {
            let message = "is missing, and so is filter: a user-dn that is not a DN names no \
                           entry to read attributes from";
            self.report(span, "users.base", message);
        }
        if let (Some(search_as), None) = (&users.ldap.bind_dn, &lookup)
            && self.problems.len() == before
        {
            let message = "has no effect without base and filter: nothing is searched";
            self.report(&search_as.span(), "users.bind-dn", message);
        }
        self.warn_of_domains(users, auth.as_ref(), lookup.as_ref());
        let [connect_timeout, timeout, cache] = self.times(users);
        let encrypted = starttls || urls.iter().any(|(url, _)| url.is_encrypted());
        let settings = Settings {
            urls: urls.into_iter().map(|(url, _)| url).collect(),
            starttls,
            ca_file: self.ca_file(users, encrypted),
            auth: auth?,
            search_as,
            lookup,
            attributes,
            connections: self.connections(users),
            connect_timeout,
            timeout,
            cache,
        };
        (self.problems.len() == before).then_some(settings)
    }

    fn urls(&mut self, span: &Range<usize>, users: &Users) -> Vec<(Url, Range<usize>)> {
        let Some(urls) = &users.address.urls else {
            self.report(span, "users.urls", "is missing");
            return Vec::new();
        };
        if urls.get_ref().is_empty() {
            self.report(&urls.span(), "users.urls", "must not be empty");
        }
        let mut read = Vec::new();
        for url in urls.get_ref() {
            match Url::parse(url.get_ref()) {
                Ok(parsed) => read.push((parsed, url.span())),
                Err(what) => self.report(&url.span(), "users.urls", what),
            }
        }
        read
    }

    fn starttls(&mut self, users: &Users, urls: &[(Url, Range<usize>)]) -> bool {
        let on = users
            .connection
            .starttls
            .as_ref()
            .filter(|on| *on.get_ref());
        match on {
            Some(on) if !urls.is_empty() && !urls.iter().any(|(url, _)| url.can_start_tls()) => {
                let message = "is for ldap:// only, and none of the urls is";
                self.report(&on.span(), "users.starttls", message);
            }
            Some(_) => {}
            None => {
                for (url, span) in urls.iter().filter(|(url, _)| url.is_in_clear()) {
                    let message = format!(
                        "passwords go over the network in clear to {url}: set starttls = true, or \
                         use ldaps://"
                    );
                    self.warn(span, "users.urls", message);
                }
            }
        }
        on.is_some()
    }

    fn mode_of_auth(&mut self, span: &Range<usize>, users: &Users) -> Option<Mode> {
        const WORDS: [(&str, Mode); 3] = [
            ("bind", Mode::Bind),
            ("search-bind", Mode::SearchBind),
            ("compare", Mode::Compare),
        ];
        let Some(auth) = &users.ldap.auth else {
            let message = "is missing; it is one of \"bind\", \"search-bind\", \"compare\"";
            self.report(span, "users.auth", message);
            return None;
        };
        let known = WORDS.iter().any(|(word, _)| word == auth.get_ref());
        self.word("users.auth", auth, &WORDS).filter(|_| known)
    }

    fn auth(&mut self, span: &Range<usize>, users: &Users, mode: Mode) -> Option<Auth> {
        let only = |this: &mut Self, key: &str, position: Option<Range<usize>>, whose: &str| {
            if let Some(position) = position {
                this.report(&position, key, format!("is for auth = {whose:?} only"));
            }
        };
        if mode != Mode::Bind {
            let position = users.ldap.user_dn.as_ref().map(Spanned::span);
            only(self, "users.user-dn", position, "bind");
        }
        if mode != Mode::Compare {
            let attribute = users.ldap.password_attribute.as_ref().map(Spanned::span);
            only(self, "users.password-attribute", attribute, "compare");
            let scheme = users.secrets.default_scheme.as_ref().map(Spanned::span);
            only(self, "users.default-scheme", scheme, "compare");
            let weak = users.secrets.allow_weak_schemes.as_ref().map(Spanned::span);
            only(self, "users.allow-weak-schemes", weak, "compare");
        }
        match mode {
            Mode::SearchBind => Some(Auth::SearchBind),
            Mode::Bind => {
                let Some(user_dn) = &users.ldap.user_dn else {
                    let message = "is missing; auth = \"bind\" needs it";
                    self.report(span, "users.user-dn", message);
                    return None;
                };
                let name = self.template("users.user-dn", user_dn, BindName::parse)?;
                self.must_name_a_user("users.user-dn", user_dn, name.names_a_user());
                Some(Auth::Bind(name))
            }
            Mode::Compare => {
                let name = users.ldap.password_attribute.as_ref();
                let attribute = self
                    .attribute("users.password-attribute", name)
                    .unwrap_or_else(|| "userPassword".to_owned());
                let default_scheme = self.default_scheme(users);
                Some(Auth::Compare(Stored {
                    attribute,
                    default_scheme,
                    accepted: self.accepted(users),
                }))
            }
        }
    }

    fn lookup(&mut self, span: &Range<usize>, users: &Users, mode: Mode) -> Option<Lookup> {
        let scope = users.ldap.scope.as_ref().and_then(|scope| {
            let words = [
                ("base", Scope::Base),
                ("one", Scope::One),
                ("sub", Scope::Sub),
            ];
            self.word("users.scope", scope, &words)
        });
        let (base, filter) = match (&users.ldap.base, &users.ldap.filter) {
            (Some(base), Some(filter)) => (base, filter),
            (None, None) if mode == Mode::Bind => {
                if let Some(scope) = &users.ldap.scope {
                    let message = "has no effect without base and filter";
                    self.report(&scope.span(), "users.scope", message);
                }
                return None;
            }
            (base, filter) => {
                for (key, missing) in [
                    ("users.base", base.is_none()),
                    ("users.filter", filter.is_none()),
                ] {
                    if missing {
                        self.report(span, key, "is missing; a search needs base and filter");
                    }
                }
                return None;
            }
        };
        let base = self.template("users.base", base, DnTemplate::parse);
        let parsed = self.template("users.filter", filter, FilterTemplate::parse);
        let (base, parsed) = (base?, parsed?);
        let named = parsed.names_a_user() || base.names_a_user();
        self.must_name_a_user("users.filter", filter, named);
        if let Some(part) = parsed.finds_others() {
            let message = format!(
                "{part} must not be combined with *, nor follow >=, <=, ~= or a rule for parts of values: \
                 the login o would find the entry of ok"
            );
            self.report(&filter.span(), "users.filter", &message);
        }
        Some(Lookup {
            base,
            scope: scope.unwrap_or_default(),
            filter: parsed,
        })
    }

    fn must_name_a_user(&mut self, key: &str, text: &Spanned<String>, does: bool) {
        if !does {
            let flaw = placeholder::nobody(
                text.get_ref(),
                "has neither {login} nor {local} in it: all logins would be the same user",
            );
            self.report_flaw(key, text, &flaw);
        }
    }

    /// Warns that `alice@example.org` and `alice@example.com` are the same user, which is rarely intended.
    fn warn_of_domains(&mut self, users: &Users, auth: Option<&Auth>, lookup: Option<&Lookup>) {
        let ignored = match (auth, lookup) {
            (Some(Auth::Bind(name)), _) => name.ignores_domain(),
            (_, Some(lookup)) => {
                lookup.filter.ignores_domain() && lookup.base.is_same_for_domains()
            }
            _ => false,
        };
        let (key, text) = match auth {
            Some(Auth::Bind(_)) => ("users.user-dn", &users.ldap.user_dn),
            _ => ("users.filter", &users.ldap.filter),
        };
        if let Some(text) = text
            && ignored
            && users.common.domains.is_none()
        {
            let message = "takes {local} with whatever domain: list the domains in domains, or use \
                           {login} or {domain}";
            self.warn(&text.span(), key, message);
        }
    }

    fn template<T>(
        &mut self,
        key: &str,
        text: &Spanned<String>,
        parse: impl FnOnce(&str) -> Result<T, Flaw>,
    ) -> Option<T> {
        parse(text.get_ref())
            .map_err(|flaw| self.report_flaw(key, text, &flaw))
            .ok()
    }

    fn search_as(&mut self, users: &Users) -> Option<SearchAs> {
        const FILE: &str = "users.bind-password-file";
        match (&users.ldap.bind_dn, &users.ldap.bind_password_file) {
            (None, None) => None,
            (None, Some(file)) => {
                self.report(&file.span(), FILE, "has no effect without bind-dn");
                None
            }
            (Some(dn), None) => {
                self.report(&dn.span(), FILE, "is missing; bind-dn needs it");
                None
            }
            (Some(dn), Some(file)) => {
                if dn.get_ref().is_empty() {
                    let message = "must not be empty; leave it out to search anonymously";
                    self.report(&dn.span(), "users.bind-dn", message);
                }
                let line = self.first_line(FILE, file)?;
                if line.is_empty() {
                    // The bind would be unauthenticated, and succeed (RFC 4513, 5.1.2).
                    self.report(&file.span(), FILE, "the password is empty");
                }
                match Password::new(line.to_vec()) {
                    Ok(password) => Some(SearchAs {
                        dn: dn.get_ref().clone(),
                        password,
                    }),
                    Err(_) => {
                        let message = "the password is too long, or holds a control character";
                        self.report(&file.span(), FILE, message);
                        None
                    }
                }
            }
        }
    }

    fn attributes(&mut self, users: &Users) -> Attributes {
        Attributes {
            host: self.attribute("users.host-attribute", users.ldap.host_attribute.as_ref()),
            port: self.attribute("users.port-attribute", users.ldap.port_attribute.as_ref()),
            login: self.attribute("users.login-attribute", users.ldap.login_attribute.as_ref()),
            nologin: self.attribute(
                "users.nologin-attribute",
                users.ldap.nologin_attribute.as_ref(),
            ),
            allow_nets: self.attribute(
                "users.allow-nets-attribute",
                users.ldap.allow_nets_attribute.as_ref(),
            ),
            protocols: self.attribute(
                "users.protocols-attribute",
                users.ldap.protocols_attribute.as_ref(),
            ),
            expires: self.attribute(
                "users.expires-attribute",
                users.ldap.expires_attribute.as_ref(),
            ),
        }
    }

    fn attribute(&mut self, key: &str, name: Option<&Spanned<String>>) -> Option<String> {
        let name = name?;
        if !attribute::is_description(name.get_ref()) {
            self.report(&name.span(), key, "is not an attribute name");
        }
        Some(name.get_ref().clone())
    }
}
