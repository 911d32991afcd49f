//! The key that `probe` sends: that of the configuration or of a file.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use zeroize::Zeroizing;

use super::content;
use crate::commands::cli::ProbeArgs;
use crate::commands::{Outcome, print_problems};
use crate::config::{Config, DEFAULT_CONFIG};
use crate::nginx::answer::Messages;
use crate::nginx::request::KEY_HEADER;

/// The key, and what else the configuration says about answers.
pub(super) struct Key {
    /// The header.
    pub(super) name: String,
    value: Option<Zeroizing<Vec<u8>>>,
    /// Where it comes from, in words.
    pub(super) origin: String,
    /// The text of a temporary failure.
    pub(super) temporary: String,
}

impl Key {
    /// Finds the key; the outcome, if the configuration or the file cannot be used.
    pub(super) fn find(
        config: &Path,
        arguments: &ProbeArgs,
        err: &mut impl Write,
    ) -> io::Result<Result<Self, Outcome>> {
        let name = arguments.key_header.as_deref();
        if let Some(path) = &arguments.key_file {
            let key = content(path).map(|content| first_line(&content));
            return Ok(match key {
                Ok(key) if !key.is_empty() => Ok(Self::new(
                    name,
                    Some(key),
                    format!("the key of {}", path.display()),
                )),
                Ok(_) => {
                    writeln!(
                        err,
                        "{}: the first line, which should be the key, is empty",
                        path.display()
                    )?;
                    Err(Outcome::BrokenConfig)
                }
                Err(error) => {
                    writeln!(err, "cannot read the key: {}: {error}", path.display())?;
                    Err(Outcome::BrokenConfig)
                }
            });
        }
        if arguments.no_key {
            return Ok(Ok(Self::new(name, None, "no key".to_owned())));
        }
        // On another machine than that of the program there is none.
        if config == Path::new(DEFAULT_CONFIG) && is_missing(config) {
            let origin = format!("no key, as there is no {DEFAULT_CONFIG}");
            return Ok(Ok(Self::new(name, None, origin)));
        }
        Self::of_config(config, name, err)
    }

    fn of_config(
        path: &Path,
        name: Option<&str>,
        err: &mut impl Write,
    ) -> io::Result<Result<Self, Outcome>> {
        let (config, problems) = match Config::salvage(path) {
            Ok(salvaged) => salvaged,
            Err(problem) => {
                print_problems(&[problem], err)?;
                writeln!(
                    err,
                    "name the key with --key-file, or send none with --no-key"
                )?;
                return Ok(Err(Outcome::BrokenConfig));
            }
        };
        let temporary = config.messages.temporary.as_str().to_owned();
        let key = match &config.fronts.keys {
            Some(keys) => keys.keys.first().map(|key| {
                let key = Zeroizing::new(key.reveal().to_vec());
                let name = name.unwrap_or(keys.header.name());
                Self::new(
                    Some(name),
                    Some(key),
                    format!("the key of {}", path.display()),
                )
            }),
            None if problems.is_empty() => Some(Self::new(
                name,
                None,
                format!("no key, as {} has none", path.display()),
            )),
            None => None,
        };
        match key {
            Some(key) => Ok(Ok(Self { temporary, ..key })),
            // The key may be in what could not be read.
            None => {
                print_problems(&problems, err)?;
                writeln!(
                    err,
                    "name the key with --key-file, or send none with --no-key"
                )?;
                Ok(Err(Outcome::BrokenConfig))
            }
        }
    }

    fn new(name: Option<&str>, value: Option<Zeroizing<Vec<u8>>>, origin: String) -> Self {
        Self {
            name: name.unwrap_or(KEY_HEADER).to_owned(),
            value,
            origin,
            temporary: Messages::TEMPORARY.to_owned(),
        }
    }

    /// The header of the request.
    pub(super) fn header(&self) -> Option<(&str, &[u8])> {
        let value = self.value.as_ref()?;
        Some((&self.name, value))
    }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// nginx sends a key as it is configured, without a line end.
fn first_line(content: &[u8]) -> Zeroizing<Vec<u8>> {
    let line = content
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
}
