//! Certificate authorities: from a file of the configuration, or from the system.

use std::collections::HashSet;
use std::env;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::sys::trusted_file::{Fingerprint, Secrecy, fingerprint, read_trusted};

/// The maximum size of a file of certificates, five times that of a system's bundle.
pub const MAX_CA_FILE_BYTES: u64 = 1024 * 1024;

/// The maximum number of certificates in a folder of the system. Debian has about 150, with two
/// names each.
const MAX_ENTRIES: usize = 10_000;

/// A file of the configuration with certificates in PEM form, with its content.
#[derive(Clone, PartialEq, Eq)]
pub struct CaFile {
    /// The file.
    pub path: PathBuf,
    /// Its content.
    pub pem: Vec<u8>,
}

impl fmt::Debug for CaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaFile({:?}, {} bytes)", self.path, self.pem.len())
    }
}

impl CaFile {
    /// The certificates in it, at least one; the error says why they cannot be read.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let named = |what: &dyn fmt::Display| format!("{}: {what}", self.path.display());
        let certificates = CertificateDer::pem_slice_iter(&self.pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| named(&error))?;
        if certificates.is_empty() {
            return Err(named(&"it contains no certificate"));
        }
        Ok(certificates)
    }

    /// The settings of a TLS client that accepts certificates of these authorities. Each of them
    /// must be usable.
    pub fn client(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| format!("{}: {error}", self.path.display()))?;
        }
        client(roots)
    }
}

/// The certificates that the system trusts, and their files.
pub struct SystemCertificates {
    /// The certificates, at least one.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The files and folders that were read, with their fingerprints; `None` if one did not exist.
    pub seen: Vec<(PathBuf, Option<Fingerprint>)>,
    /// Whether each existing file could be read and is trusted.
    pub complete: bool,
}

impl SystemCertificates {
    /// Reads them from OpenSSL's places: the files that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or
    /// else those of the distribution. A file that [`read_trusted`] rejects is skipped, and the log
    /// reports it.
    pub fn read() -> Result<Self, String> {
        let (file, folders) = paths();
        let mut reading = CertificateReader::default();
        if let Some(path) = &file {
            reading.file(path);
        }
        for path in &folders {
            reading.folder(path);
        }
        let CertificateReader {
            mut certificates,
            seen,
            incomplete,
            ..
        } = reading;
        certificates.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
        certificates.dedup();
        match certificates.is_empty() {
            true => Err("the system has no trusted certificates".to_owned()),
            false => Ok(Self {
                certificates,
                seen,
                complete: !incomplete,
            }),
        }
    }

    /// The settings of a TLS client that accepts certificates of these authorities.
    pub fn client(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        // The system may trust a certificate that rustls cannot read; it trusts others too.
        roots.add_parsable_certificates(self.certificates.iter().cloned());
        client(roots)
    }
}

/// The bundle and the folders that exist.
fn paths() -> (Option<PathBuf>, Vec<PathBuf>) {
    let file = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folders: Vec<PathBuf> = env::var_os("SSL_CERT_DIR")
        .map(|paths| env::split_paths(&paths).collect())
        .unwrap_or_default();
    if file.is_some() || !folders.is_empty() {
        return (file, folders);
    }
    let found = openssl_probe::probe();
    (found.cert_file, found.cert_dir)
}

#[derive(Default)]
struct CertificateReader {
    certificates: Vec<CertificateDer<'static>>,
    seen: Vec<(PathBuf, Option<Fingerprint>)>,
    incomplete: bool,
    /// Device and inode of the files that were read, because each has several names.
    read: HashSet<(u64, u64)>,
}

impl CertificateReader {
    fn file(&mut self, path: &Path) {
        let found = fs::metadata(path).ok();
        self.seen.push((
            path.to_owned(),
            found.as_ref().map(Fingerprint::of_metadata),
        ));
        let Some(found) = found.filter(fs::Metadata::is_file) else {
            return;
        };
        if !self.read.insert((found.dev(), found.ino())) {
            self.seen.pop();
            return;
        }
        match read_trusted(path, MAX_CA_FILE_BYTES, Secrecy::Open) {
            Ok(trusted) => {
                let certificates = CertificateDer::pem_slice_iter(&trusted.bytes);
                self.certificates.extend(certificates.flatten());
            }
            Err(problem) => {
                log::warn!("{problem}; the certificates in it are not trusted");
                self.incomplete = true;
            }
        }
    }

    fn folder(&mut self, path: &Path) {
        self.seen.push((path.to_owned(), fingerprint(path).ok()));
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        for entry in entries.take(MAX_ENTRIES) {
            self.file(&entry.path());
        }
    }
}

fn client(roots: RootCertStore) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
