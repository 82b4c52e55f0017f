//! The server's certificate: loaded, made, and loaded again when its file changes.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use service_runtime::Shutdown;
use tokio_rustls::TlsAcceptor;

use crate::certs;

/// How often the files are looked at. By modification time, since the symbolic links that
/// Kubernetes swaps are missed by watches on files.
const RELOAD_EVERY: Duration = Duration::from_secs(30);
/// Files in the data directory when none are configured.
const SELF_SIGNED_CERTIFICATE: &str = "tls-certificate.pem";
const SELF_SIGNED_KEY: &str = "tls-key.pem";

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The TLS library refused.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The self-signed certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// TLS 1.2 and 1.3 with one certificate, which follows its files. Clones share it.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    source: Arc<Source>,
    server: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Source {
    certificate: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl TlsConfig {
    /// Loads the PEM files; when both paths are empty, those of `data_dir`, where a self-signed
    /// certificate is made at first.
    ///
    /// # Errors
    /// When files cannot be read or written, are not PEM, or do not belong together.
    pub fn load_or_create(certificate: &Path, key: &Path, data_dir: &Path) -> Result<Self, TlsError> {
        if !certificate.as_os_str().is_empty() || !key.as_os_str().is_empty() {
            return Self::load(certificate, key);
        }
        let (certificate, key) = (data_dir.join(SELF_SIGNED_CERTIFICATE), data_dir.join(SELF_SIGNED_KEY));
        if !certificate.exists() || !key.exists() {
            create_self_signed(data_dir, &certificate, &key)?;
        }
        Self::load(&certificate, &key)
    }

    /// Makes connections TLS, with whatever certificate is current then.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    /// Looks at the files every 30 s until the stop signal; a broken new certificate is logged and
    /// the old one kept.
    pub fn spawn_reload(&self, shutdown: &Shutdown) {
        let source = Arc::clone(&self.source);
        let stop = shutdown.token();
        tokio::spawn(async move {
            let mut seen = source.modified();
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RELOAD_EVERY) => {}
                }
                let now = source.modified();
                if now != seen {
                    seen = now;
                    source.reload();
                }
            }
        });
    }

    /// Loads the files again now.
    ///
    /// # Errors
    /// As [`TlsConfig::load_or_create`]; the old certificate is kept then.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = load_key(&self.source.certificate, &self.source.key)?;
        self.source.current.store(Arc::new(fresh));
        Ok(())
    }

    fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let source = Arc::new(Source {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::from_pointee(load_key(certificate, key)?),
        });
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Source>::clone(&source);
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // Resumption state lives in the tickets, with the clients.
        server.ticketer = aws_lc_rs::Ticketer::new()?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { source, server: Arc::new(server) })
    }
}

impl ResolvesServerCert for Source {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Source {
    fn modified(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| std::fs::metadata(path).and_then(|m| m.modified()).ok())
    }

    fn reload(&self) {
        match load_key(&self.certificate, &self.key) {
            Ok(fresh) => {
                self.current.store(Arc::new(fresh));
                tracing::info!(certificate = %self.certificate.display(), "Loaded the new certificate");
            }
            Err(error) => tracing::warn!(%error, "Keeping the old certificate: the new one cannot be used"),
        }
    }
}

/// Writes a file that only this user can read; it must not exist yet unless its content is ours.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    let write = || -> io::Result<()> {
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn load_key(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let content = |path: &Path, problem: String| TlsError::Content { path: path.to_owned(), problem };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| content(certificate, format!("cannot read certificates: {error}")))?;
    if chain.is_empty() {
        return Err(content(certificate, "holds no PEM certificate".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| content(key, format!("cannot read the private key: {error}")))?;
    CertifiedKey::from_der(chain, secret, &provider())
        .map_err(|error| content(key, format!("cannot be used with {}: {error}", certificate.display())))
}

fn create_self_signed(data_dir: &Path, certificate: &Path, key: &Path) -> Result<(), TlsError> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    std::fs::create_dir_all(data_dir).map_err(file_error(data_dir))?;
    let made = certs::self_signed()?;
    write_private(key, &made.key_pem)?;
    std::fs::write(certificate, &made.certificate_pem).map_err(file_error(certificate))?;
    tracing::info!(certificate = %certificate.display(), "Made a self-signed certificate");
    Ok(())
}
