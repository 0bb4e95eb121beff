//! TLS 1.2 and 1.3 by rustls. Certificate and key are read anew when a file of them has changed, so that a renewed one
//! needs no restart.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::{self, ServerConfig};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of certificates cannot be read.
    #[error("cannot read the certificate {}: {error}", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: pem::Error,
    },
    /// The file of the key cannot be read.
    #[error("cannot read the key {}: {error}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: pem::Error,
    },
    /// They do not belong together, or are of a kind that is not supported.
    #[error("cannot use certificate and key: {0}")]
    Pair(#[from] rustls::Error),
}

/// A certificate with its key.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    now: Mutex<(Stamp, TlsAcceptor)>,
    tell: Box<dyn Fn(&TlsError) + Send + Sync>,
}

/// What tells the two files from those that were last looked at: time of change, length, inode.
type Stamp = [Option<(SystemTime, u64, u64)>; 2];

impl Tls {
    /// Reads both, in PEM: the certificate with those that lead to its authority after it, and the key.
    ///
    /// # Errors
    /// When one cannot be read, or they do not fit.
    pub fn load(cert: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let stamp = stamp(&cert, &key);
        let acceptor = acceptor(&cert, &key)?;
        Ok(Self { cert, key, now: Mutex::new((stamp, acceptor)), tell: Box::new(|_| {}) })
    }

    /// The same, and `tell` is called once for each change of the files that cannot be used.
    #[must_use]
    pub fn on_error(self, tell: impl Fn(&TlsError) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell), ..self }
    }

    /// What accepts the next connection. Files that have changed and cannot be used change nothing: the certificate that
    /// there was is better than none, and may be one half of a renewal.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.cert, &self.key);
        if now.0 != stamp {
            // Also where it fails: else every connection would read the same files again.
            now.0 = stamp;
            match acceptor(&self.cert, &self.key) {
                Ok(new) => now.1 = new,
                Err(error) => (self.tell)(&error),
            }
        }
        now.1.clone()
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("cert", &self.cert).finish_non_exhaustive()
    }
}

fn stamp(cert: &PathBuf, key: &PathBuf) -> Stamp {
    [cert, key].map(|path| {
        let of = fs::metadata(path).ok()?;
        Some((of.modified().ok()?, of.len(), of.ino()))
    })
}

fn acceptor(cert: &PathBuf, key: &PathBuf) -> Result<TlsAcceptor, TlsError> {
    let wrong_cert = |error| TlsError::Certificate { path: cert.clone(), error };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .map_err(wrong_cert)?
        .collect::<Result<_, _>>()
        .map_err(wrong_cert)?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key { path: key.clone(), error })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
