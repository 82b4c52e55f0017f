//! Certificates of our own making: self-signed for the first start, and a CA for the services.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use service_runtime::net::host_name;

use crate::tls::{TlsError, write_private};

/// Services that get a certificate, by the names they have in compose files.
const SERVICES: [&str; 5] = ["storage", "auth", "imap", "pop3", "delivery"];

/// Why certificates were not made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file is in the way; overwriting a CA would cut off every service that trusts it.
    #[error("{} exists already; remove it or choose another directory", .0.display())]
    Exists(PathBuf),
    /// The directory cannot be made, or a certificate not written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key cannot be written.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The certificate library refused, as for a name that is none.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

pub(crate) struct Made {
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: String,
}

/// A certificate for this host, signed by itself.
pub(crate) fn self_signed() -> Result<Made, rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let params = leaf_params(&host_name(), &[])?;
    Ok(Made { certificate_pem: params.self_signed(&key)?.pem(), key_pem: key.serialize_pem() })
}

/// Writes `ca.pem`, `ca-key.pem`, and for each service `NAME.pem` and `NAME-key.pem`, for mutual TLS
/// between services. Certificates name the service, `extra_names`, localhost and this host. Returns
/// the files.
///
/// # Errors
/// See [`CertsError`].
pub fn make_ca_and_service_certs(dir: &Path, extra_names: &[String]) -> Result<Vec<PathBuf>, CertsError> {
    let file_error = |path: &Path, source| CertsError::File { path: path.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(|source| file_error(dir, source))?;
    let names = ["ca"].into_iter().chain(SERVICES);
    let paths = |name: &str| (dir.join(format!("{name}.pem")), dir.join(format!("{name}-key.pem")));
    for (certificate, key) in names.map(paths) {
        if let Some(path) = [certificate, key].into_iter().find(|path| path.exists()) {
            return Err(CertsError::Exists(path));
        }
    }
    let mut written = Vec::new();
    let mut write = |name: &str, made: &Made| -> Result<(), CertsError> {
        let (certificate, key) = paths(name);
        write_private(&key, &made.key_pem)?;
        std::fs::write(&certificate, &made.certificate_pem).map_err(|e| file_error(&certificate, e))?;
        written.extend([certificate, key]);
        Ok(())
    };
    let (ca, issuer) = make_ca()?;
    write("ca", &ca)?;
    for service in SERVICES {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate = leaf_params(service, extra_names)?.signed_by(&key, &issuer)?;
        write(service, &Made { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })?;
    }
    Ok(written)
}

fn make_ca() -> Result<(Made, Issuer<'static, KeyPair>), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = dated(CertificateParams::new(Vec::<String>::new())?);
    params.distinguished_name.push(DnType::CommonName, "Todoku services CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let made = Made { certificate_pem: params.self_signed(&key)?.pem(), key_pem: key.serialize_pem() };
    Ok((made, Issuer::new(params, key)))
}

/// For both ends of a connection: services are servers to some and clients to others.
fn leaf_params(name: &str, extra_names: &[String]) -> Result<CertificateParams, rcgen::Error> {
    let mut names = vec![name.to_owned()];
    names.extend(extra_names.iter().cloned());
    names.extend(["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), host_name()]);
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let mut params = dated(CertificateParams::new(names)?);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// Long validity, because nobody renews these: whoever needs short ones brings a CA of their own.
fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2049, 12, 31);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}
