//! A path with a placeholder for the domain.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The placeholder for the domain in a path.
pub const PLACEHOLDER: &str = "{domain}";

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
    /// Reads a path that has the placeholder; paths are relative to `base`. The error says what is wrong.
    pub fn parse(text: &str, base: &Path) -> Result<Self, String> {
        let (start, end) = text.split_once(PLACEHOLDER).unwrap_or((text, ""));
        if end.contains(PLACEHOLDER) {
            return Err(format!(
                "holds {PLACEHOLDER} twice: one file is of one domain"
            ));
        }
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
            return Err("must lead to a file, and does not end in a slash".to_owned());
        }
        if below.is_some_and(|below| below.split('/').any(|step| step == "..")) {
            return Err(format!("must not go up by .. behind {PLACEHOLDER}"));
        }
        Ok(Self {
            whole: base.join(text),
            folder: match folder {
                "." => base.to_owned(),
                folder => base.join(folder),
            },
            before: before.to_owned(),
            after: after.to_owned(),
            below: below.map(PathBuf::from),
        })
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
            let pattern = Pattern::parse(text, Path::new("/etc/x")).unwrap();
            assert_eq!(pattern.folder(), Path::new(folder), "{text}");
            assert_eq!(pattern.path(domain), Some(PathBuf::from(path)), "{text}");
            assert_eq!(pattern.steps(domain).last(), Some(PathBuf::from(path)));
            let first = pattern.steps(domain).next().unwrap();
            assert_eq!(first.parent(), Some(Path::new(folder)));
        }
        let pattern = Pattern::parse("u/p-{domain}.passwd", Path::new("/etc")).unwrap();
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
        let below = Pattern::parse("{domain}/passwd", Path::new("/etc")).unwrap();
        assert!(below.leads_to(Path::new("/etc/a/passwd")));
        assert!(!below.leads_to(Path::new("/etc/a")));
        assert!(pattern.path(&"a".repeat(246)).is_some());
        assert_eq!(pattern.path(&"a".repeat(247)), None);
    }

    #[test]
    fn what_leads_to_no_file_of_one_domain_is_refused() {
        for (text, what) in [
            (
                "{domain}/{domain}",
                "holds {domain} twice: one file is of one domain",
            ),
            (
                "users/{domain}/",
                "must lead to a file, and does not end in a slash",
            ),
            (
                "users/{domain}/../all",
                "must not go up by .. behind {domain}",
            ),
        ] {
            let refused = Pattern::parse(text, Path::new("/etc"));
            assert_eq!(refused, Err(what.to_owned()), "{text}");
        }
    }
}
