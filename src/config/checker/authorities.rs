//! `ca-file` of any table: the CA certificates that a connection's certificate is checked against.

use toml::Spanned;

use super::Checker;
use crate::net::tls::{CaFile, MAX_CA_FILE_BYTES};
use crate::sys::trusted_file::{Secrecy, read_trusted};

impl Checker<'_> {
    /// The content of the file. The program watches the file from then on, because certificates expire.
    pub(in crate::config) fn authorities(
        &mut self,
        key: &str,
        file: &Spanned<String>,
    ) -> Option<CaFile> {
        let path = self.path(key, &file.span(), Some(file))?;
        let trusted = match read_trusted(&path, MAX_CA_FILE_BYTES, Secrecy::Open) {
            Ok(trusted) => trusted,
            Err(problem) => {
                self.report(&file.span(), key, problem.to_string());
                return None;
            }
        };
        self.files.push((path.clone(), trusted.fingerprint));
        self.warnings.extend(trusted.service);
        let mark = b"-----BEGIN CERTIFICATE-----";
        if !trusted.bytes.windows(mark.len()).any(|text| text == mark) {
            let message = format!("{}: it contains no certificate", path.display());
            self.report(&file.span(), key, message);
            return None;
        }
        Some(CaFile {
            path,
            pem: trusted.bytes,
        })
    }
}
