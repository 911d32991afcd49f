//! Certificates, made by openssl(1).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::process::program;
use crate::support::temp_dir::TempDir;

/// A certificate authority, and one server's certificate of it.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// `names` is a list in OpenSSL's form: `DNS:localhost,IP:127.0.0.1`.
    pub(crate) fn made_for(names: &str) -> Self {
        let folder = TempDir::new();
        let home = folder.path();
        let request = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ];
        openssl(
            home,
            &request,
            &[
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
                "-subj",
                "/CN=Test CA",
            ],
        );
        let signed = [
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-keyout",
            "server.key",
            "-out",
            "server.pem",
            "-subj",
            "/CN=mail server",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ];
        let names = format!("subjectAltName={names}");
        openssl(
            home,
            &request,
            &[&signed[..], &["-addext", &names]].concat(),
        );
        Self { folder }
    }

    /// What a client trusts.
    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a server shows.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("server.key")
    }
}

fn openssl(folder: &Path, first: &[&str], then: &[&str]) {
    let output = Command::new(program("openssl", "openssl"))
        .current_dir(folder)
        .args(first)
        .args(then)
        .output()
        .unwrap();
    assert!(output.status.success(), "openssl: {output:?}");
}
