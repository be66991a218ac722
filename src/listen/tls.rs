//! The server's certificate: read again when its files change, so that a renewal needs no restart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::TlsFiles;
use crate::lifecycle::Lifecycle;
use crate::telemetry::Chain;

/// How often the files are looked at. SIGHUP has them looked at once more.
const LOOK: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} holds no usable {what} in PEM form", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
    },
    /// The two do not belong together, or the kind of key is not supported.
    #[error("{} and {} cannot be used together", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// The TLS library refuses our settings.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// The server's side of TLS; clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.certificate.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let (key, print) = read(files)?;
        let certificate = Arc::new(Certificate {
            files: files.clone(),
            current: RwLock::new(Arc::new(key)),
            seen: Mutex::new(print),
        });
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let resolver: Arc<Certificate> = Arc::clone(&certificate);
        let mut config =
            builder.with_safe_default_protocol_versions()?.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    /// Takes a pair that changed into use; says whether there was one. A bad pair leaves the old one in use, and is told
    /// once.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.certificate.reload()
    }

    /// Reloads when the files change or SIGHUP comes, until the life ends.
    pub(super) async fn watch(self, life: Lifecycle) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let asked = async {
                match &mut hangup {
                    Some(signal) => signal.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = life.soft().cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
                _ = asked => {}
            }
            match self.reload() {
                Ok(true) => tracing::info!("a new certificate is in use"),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %Chain(&error), "the certificate in use stays"),
            }
        }
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

/// The hash of both files, to know a change from none.
type Print = [u8; 32];

#[derive(Debug)]
struct Certificate {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
    /// What the files held when they were last looked at, good or bad.
    seen: Mutex<Print>,
}

impl Certificate {
    fn reload(&self) -> Result<bool, TlsError> {
        let now = print(&contents(&self.files)?);
        let before = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), now);
        if before == now {
            return Ok(false);
        }
        let (key, _) = read(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
        Ok(true)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn contents(files: &TlsFiles) -> Result<[Vec<u8>; 2], TlsError> {
    let read = |path: &Path| fs::read(path).map_err(|source| TlsError::Read { path: path.to_path_buf(), source });
    Ok([read(&files.certificate)?, read(&files.key)?])
}

fn print(contents: &[Vec<u8>; 2]) -> Print {
    let mut hash = Sha256::new();
    for content in contents {
        hash.update(content.len().to_be_bytes());
        hash.update(content);
    }
    hash.finalize().into()
}

fn read(files: &TlsFiles) -> Result<(CertifiedKey, Print), TlsError> {
    let contents = contents(files)?;
    let bad = |path: &Path, what| TlsError::Pem { path: path.to_path_buf(), what };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&contents[0])
        .collect::<Result<_, _>>()
        .ok()
        .filter(|chain: &Vec<_>| !chain.is_empty())
        .ok_or_else(|| bad(&files.certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&contents[1]).map_err(|_| bad(&files.key, "private key"))?;
    // Also checks that the key is the certificate's.
    let pair = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    })?;
    Ok((pair, print(&contents)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn write_pair(files: &TlsFiles) -> Vec<u8> {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(&files.certificate, own.cert.pem()).unwrap();
        fs::write(&files.key, own.signing_key.serialize_pem()).unwrap();
        own.cert.der().to_vec()
    }

    fn in_use(tls: &Tls) -> Vec<u8> {
        tls.certificate.current.read().unwrap().cert[0].to_vec()
    }

    #[test]
    fn a_renewed_pair_is_taken_into_use_and_a_half_written_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key") };
        let first = write_pair(&files);
        let tls = Tls::load(&files).unwrap();
        assert_eq!(in_use(&tls), first);
        assert!(!tls.reload().unwrap());

        let old_key = fs::read(&files.key).unwrap();
        let second = write_pair(&files);
        let new_key = fs::read(&files.key).unwrap();
        fs::write(&files.key, &old_key).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Pair { .. })));
        assert!(!tls.reload().unwrap(), "a bad pair is told once");
        assert_eq!(in_use(&tls), first);

        fs::write(&files.key, &new_key).unwrap();
        assert!(tls.reload().unwrap());
        assert_eq!(in_use(&tls), second);
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key") };
        write_pair(&files);
        fs::write(&files.key, "nothing").unwrap();
        let error = Tls::load(&files).unwrap_err().to_string();
        assert!(error.contains("tls.key") && !error.contains("nothing"), "{error}");
    }
}
