//! Certificate checks of the connections that this program makes.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// A client that checks certificates against those of [`trusted`].
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            for certificate in trusted(ca_file)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        None => {
            // A system that trusts a certificate which rustls cannot read trusts others too.
            roots.add_parsable_certificates(trusted(None)?);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates in `ca_file`, in PEM form, or else those that the system trusts; at least one.
///
/// The error says what is wrong with them, in words: the file cannot be read, there is none in it,
/// or one of them cannot be used.
pub fn trusted(ca_file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    let Some(path) = ca_file else {
        let found = rustls_native_certs::load_native_certs().certs;
        return if found.is_empty() {
            Err("the system has no trusted certificates".to_owned())
        } else {
            Ok(found)
        };
    };
    let named = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| named(&error))?;
    if certificates.is_empty() {
        return Err(named(&"there is no certificate in it"));
    }
    Ok(certificates)
}
