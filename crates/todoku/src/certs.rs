//! `todoku certs`: what services prove themselves with, made once for a cluster.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use line_server::TlsConfig;

/// Bytes of the grant key: as many as its signature has.
const GRANT_KEY_BYTES: usize = 32;

/// Makes the files that are not there yet in `dir`: an authority and a certificate for each service, a self-signed certificate for
/// mail clients, and the grant key.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn run(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    if !dir.join("ca.pem").exists() {
        line_server::make_ca_and_service_certs(dir, &[])?;
    }
    TlsConfig::load_or_create(Path::new(""), Path::new(""), dir)?;
    grant_key(&dir.join("grants.key"))?;
    println!("{}: authority, service certificates, mail certificate and grant key are there", dir.display());
    Ok(())
}

fn grant_key(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    writeln!(file, "{}", hex::encode(crate::wiring::random_bytes::<GRANT_KEY_BYTES>()?))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_keeps_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path()).unwrap();
        let key = std::fs::read_to_string(dir.path().join("grants.key")).unwrap();
        let ca = std::fs::read(dir.path().join("ca.pem")).unwrap();
        run(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("grants.key")).unwrap(), key);
        assert_eq!(std::fs::read(dir.path().join("ca.pem")).unwrap(), ca);
        assert_eq!(key.trim().len(), 2 * GRANT_KEY_BYTES);
    }
}
