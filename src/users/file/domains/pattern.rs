//! A path with a placeholder for the domain.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::users::placeholder::foreign::marks;
use crate::users::placeholder::{Flaw, Placeholder, parts};

/// The maximum length of a file name (NAME_MAX of Linux).
const MAX_NAME_BYTES: usize = 255;

/// A path such as `users/{domain}.passwd` or `domains/{domain}/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    whole: PathBuf,
    folder: PathBuf,
    before: String,
    after: String,
    below: Option<PathBuf>,
}

impl Pattern {
    /// Reads a path, which is relative to `base`. `None`: it is the path of one file.
    pub fn parse(text: &str, base: &Path) -> Result<Option<Self>, Flaw> {
        let mut domains = Vec::new();
        for part in parts(text)? {
            match part.placeholder {
                None => {}
                Some(Placeholder::Domain) => domains.push(part),
                Some(other) => {
                    let what = format!("{other} cannot be in a path: {{domain}} alone can");
                    return Err(Flaw::at(part.at, what));
                }
            }
        }
        let domain = match domains.as_slice() {
            [] => match marks(text).find(|mark| mark.meant == Some(Placeholder::Domain)) {
                Some(mark) => return Err(mark.flaw()),
                None => return Ok(None),
            },
            [domain] => domain,
            [_, second, ..] => {
                let what = "holds {domain} twice: one file is of one domain";
                return Err(Flaw::at(second.at, what));
            }
        };
        let (start, end) = text.split_at_checked(domain.at).unwrap_or((text, ""));
        let end = end.strip_prefix(domain.text).unwrap_or_default();
        let (folder, before) = match start.rsplit_once('/') {
            Some(("", before)) => ("/", before),
            Some(parts) => parts,
            None => (".", start),
        };
        let (after, below) = match end.split_once('/') {
            Some((after, below)) => (after, Some(below)),
            None => (end, None),
        };
        if below.is_some_and(|below| below.is_empty() || below.ends_with('/')) {
            let what = "must lead to a file, and does not end in a slash";
            return Err(Flaw::of_all(what));
        }
        if below.is_some_and(|below| below.split('/').any(|step| step == "..")) {
            return Err(Flaw::of_all("must not contain .. after {domain}"));
        }
        Ok(Some(Self {
            whole: base.join(text),
            folder: match folder {
                "." => base.to_owned(),
                folder => base.join(folder),
            },
            before: before.to_owned(),
            after: after.to_owned(),
            below: below.map(PathBuf::from),
        }))
    }

    /// The path as configured.
    pub fn whole(&self) -> &Path {
        &self.whole
    }

    /// The folder that has a name for each domain.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the names in the folder are those of folders.
    pub(super) fn goes_below(&self) -> bool {
        self.below.is_some()
    }

    /// The file of a domain; `None` if its name would be too long.
    pub(super) fn path(&self, domain: &str) -> Option<PathBuf> {
        let length = self.before.len() + domain.len() + self.after.len();
        if length > MAX_NAME_BYTES {
            return None;
        }
        let name = [&self.before, domain, &self.after].concat();
        let path = self.folder.join(name);
        Some(match &self.below {
            Some(below) => path.join(below),
            None => path,
        })
    }

    /// The folders from the listed one to the file of a domain, and the file last.
    pub(super) fn steps(&self, domain: &str) -> impl Iterator<Item = PathBuf> {
        let path = self.path(domain);
        let number = 1 + self
            .below
            .iter()
            .flat_map(|below| below.components())
            .count();
        (0..number).rev().filter_map(move |up| {
            let step = path.as_ref()?.ancestors().nth(up)?;
            Some(step.to_owned())
        })
    }

    /// Whether a path is the file of a domain.
    pub(crate) fn leads_to(&self, file: &Path) -> bool {
        let Ok(rest) = file.strip_prefix(&self.folder) else {
            return false;
        };
        let mut steps = rest.components();
        let name = steps.next().map(|name| name.as_os_str().as_bytes());
        let below = self.below.as_deref().unwrap_or(Path::new(""));
        name.is_some_and(|name| self.domain_in(name).is_some()) && steps.as_path() == below
    }

    /// The domain in a name of the folder; `None` for a name of another form.
    pub(super) fn domain_in<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        let rest = name.strip_prefix(self.before.as_bytes())?;
        rest.strip_suffix(self.after.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, base: &str) -> Pattern {
        Pattern::parse(text, Path::new(base)).unwrap().unwrap()
    }

    #[test]
    fn the_placeholder_is_a_name_or_a_part_of_one() {
        for (text, domain, folder, path) in [
            (
                "users/{domain}",
                "a.example",
                "/etc/x/users",
                "/etc/x/users/a.example",
            ),
            ("{domain}", "a", "/etc/x", "/etc/x/a"),
            ("/{domain}", "a", "/", "/a"),
            ("/srv/p-{domain}.passwd", "a", "/srv", "/srv/p-a.passwd"),
            (
                "d/{domain}/e/passwd",
                "a",
                "/etc/x/d",
                "/etc/x/d/a/e/passwd",
            ),
        ] {
            let pattern = parsed(text, "/etc/x");
            assert_eq!(pattern.folder(), Path::new(folder), "{text}");
            assert_eq!(pattern.path(domain), Some(PathBuf::from(path)), "{text}");
            assert_eq!(pattern.steps(domain).last(), Some(PathBuf::from(path)));
            let first = pattern.steps(domain).next().unwrap();
            assert_eq!(first.parent(), Some(Path::new(folder)));
        }
        let pattern = parsed("u/p-{domain}.passwd", "/etc");
        assert_eq!(
            pattern.domain_in(b"p-a.example.passwd"),
            Some(&b"a.example"[..])
        );
        for other in ["a.example.passwd", "p-a.example", "p-.passw", "p-"] {
            assert_eq!(pattern.domain_in(other.as_bytes()), None, "{other}");
        }
        for (file, is_its) in [
            ("/etc/u/p-a.example.passwd", true),
            ("/etc/u/a.example.passwd", false),
            ("/etc/u", false),
            ("/etc/p-a.passwd", false),
            ("/etc/u/p-a.passwd/x", false),
        ] {
            assert_eq!(pattern.leads_to(Path::new(file)), is_its, "{file}");
        }
        let below = parsed("{domain}/passwd", "/etc");
        assert!(below.leads_to(Path::new("/etc/a/passwd")));
        assert!(!below.leads_to(Path::new("/etc/a")));
        assert!(pattern.path(&"a".repeat(246)).is_some());
        assert_eq!(pattern.path(&"a".repeat(247)), None);
    }

    #[test]
    fn a_pattern_must_lead_to_one_file_per_domain() {
        for (text, at, what) in [
            (
                "{domain}/{domain}",
                Some(9),
                "holds {domain} twice: one file is of one domain",
            ),
            (
                "users/{domain}/",
                None,
                "must lead to a file, and does not end in a slash",
            ),
            (
                "users/{domain}/../all",
                None,
                "must not contain .. after {domain}",
            ),
            (
                "users/{domain}/{login}",
                Some(15),
                "{login} cannot be in a path: {domain} alone can",
            ),
            (
                "users/{domian}",
                Some(6),
                "there is no {domian}; known are {login}, {local}, {domain}, {protocol} and {client_ip}",
            ),
            ("users/%d", Some(6), "write {domain} in place of %d"),
        ] {
            let refused = Pattern::parse(text, Path::new("/etc"));
            let flaw = at.map_or_else(|| Flaw::of_all(what), |at| Flaw::at(at, what));
            assert_eq!(refused, Err(flaw), "{text}");
        }
        for one in ["passwd", "users/{a}/{PLAIN}", "100%", "%users"] {
            assert_eq!(Pattern::parse(one, Path::new("/etc")), Ok(None), "{one}");
        }
    }
}
