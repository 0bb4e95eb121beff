//! What it takes to be let in: authorities for TLS, and a password.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Where systems keep the authorities that they trust: Debian and its kin, Fedora and its kin, SUSE.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];
/// The longest file with a password.
const MAX_FILE: u64 = 4096;

/// Why nobody would let us in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The authorities cannot be read.
    #[error("cannot read the authorities in {path}: {why}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// There is no file of authorities.
    #[error(
        "this system has no list of authorities that is known here; name the exporters' with --remote-ca FILE"
    )]
    NoAuthorities,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The password cannot be read.
    #[error("cannot read user and password in {path}: {why}")]
    Password {
        /// The file.
        path: PathBuf,
        /// What is wrong; never what stands there.
        why: String,
    },
}

/// TLS 1.2 and 1.3 that believe the authorities in `file`, or else the system's.
///
/// # Errors
/// When there are none.
pub fn tls(file: Option<&Path>) -> Result<TlsConnector, AccessError> {
    let system = || {
        let from = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        from.or_else(|| SYSTEM.iter().map(PathBuf::from).find(|path| path.exists()))
    };
    let path = file.map(Path::to_owned).or_else(system).ok_or(AccessError::NoAuthorities)?;
    let wrong = |why: String| AccessError::Authorities { path: path.clone(), why };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(&path).map_err(|error| wrong(error.to_string()))?;
    for certificate in certificates {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|der| roots.add(der).map_err(|e| e.to_string()));
        // Of the system's hundreds one may be odd; of those that were named none may.
        if let (Err(why), Some(_)) = (added, file) {
            return Err(wrong(why));
        }
    }
    if roots.is_empty() {
        return Err(wrong("there is no certificate in it".to_owned()));
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The header for the file's first line, `USER:PASSWORD`.
///
/// # Errors
/// When it has none.
pub fn password(path: &Path) -> Result<HeaderValue, AccessError> {
    let wrong = |why: String| AccessError::Password { path: path.to_owned(), why };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(MAX_FILE).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    if line.split_once(':').is_none_or(|(user, _)| user.is_empty()) {
        return Err(wrong("its first line is not USER:PASSWORD".to_owned()));
    }
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(line)))
        .map_err(|error| wrong(error.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether those can read a file who are neither its owner nor of its group.
#[must_use]
pub fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o004 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line_and_never_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "ops:s3cret:x\n").unwrap();
        let header = password(file.path()).unwrap();
        assert_eq!(header.to_str().unwrap(), "Basic b3BzOnMzY3JldDp4");
        assert!(!format!("{header:?}").contains("b3Bz"));
        for (mode, open) in [(0o600, false), (0o640, false), (0o644, true)] {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_all(file.path()), open, "{mode:o}");
        }
        std::fs::write(&file, "s3cret\n").unwrap();
        let told = password(file.path()).unwrap_err().to_string();
        assert!(told.contains("USER:PASSWORD") && !told.contains("s3cret"), "{told}");
    }

    #[test]
    fn authorities_that_are_none_are_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = |path: &Path| tls(Some(path)).err().unwrap().to_string();
        assert!(error(file.path()).contains("no certificate"), "{}", error(file.path()));
        assert!(error(Path::new("/nowhere.pem")).contains("/nowhere.pem"));
    }
}
