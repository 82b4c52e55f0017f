//! Listening sockets from configuration texts.

use tokio::net::TcpListener;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{address}\": cannot listen there: {source}")]
pub struct BindError {
    key: String,
    address: String,
    source: std::io::Error,
}

/// Opens the listener of the setting `key` (used in the error). An empty address means that it is
/// switched off: `None`.
///
/// # Errors
/// When the address does not parse or resolve, is taken, or is not permitted.
pub async fn bind(key: &str, address: &str) -> Result<Option<TcpListener>, BindError> {
    if address.trim().is_empty() {
        return Ok(None);
    }
    match TcpListener::bind(address.trim()).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(BindError { key: key.to_owned(), address: address.to_owned(), source }),
    }
}

/// The name of this host as the kernel knows it, or `localhost`.
pub fn host_name() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| is_domain_like(name))
        .unwrap_or_else(|| "localhost".to_owned())
}

/// Letters, digits, hyphens and dots only: fit for a greeting, RFC 5321 §4.1.2 `Domain`.
fn is_domain_like(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn empty_is_off() {
        assert!(bind("imap.listen", " ").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn error_names_key_and_address() {
        let error = bind("imap.listen", "nonsense").await.unwrap_err().to_string();
        assert!(error.contains("imap.listen") && error.contains("nonsense"), "{error}");
    }
}
