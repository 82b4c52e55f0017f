//! Listening sockets from configuration texts.

use std::io;

use tokio::net::{TcpListener, TcpSocket, lookup_host};

/// Connections that may wait to be accepted: after a restart every phone comes back at once. The kernel cuts it to its
/// `net.core.somaxconn`.
const BACKLOG: u32 = 4096;

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
    match listen(address.trim()).await {
        Ok(listener) => Ok(Some(listener)),
        Err(source) => Err(BindError { key: key.to_owned(), address: address.to_owned(), source }),
    }
}

/// On the first of the name's addresses that can be had.
async fn listen(address: &str) -> io::Result<TcpListener> {
    let mut problem = io::Error::new(io::ErrorKind::InvalidInput, "the name has no address");
    for address in lookup_host(address).await? {
        let listener = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        match listener() {
            Ok(listener) => return Ok(listener),
            Err(error) => problem = error,
        }
    }
    Err(problem)
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
    async fn a_crowd_waits_to_be_accepted() {
        let listener = bind("imap.listen", "localhost:0").await.unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let mut crowd = Vec::new();
        // More than the 128 of a plain listener; nobody accepts meanwhile.
        for _ in 0..400 {
            let connect = tokio::net::TcpStream::connect(address);
            crowd.push(
                tokio::time::timeout(std::time::Duration::from_secs(5), connect).await.unwrap().unwrap(),
            );
        }
    }

    #[tokio::test]
    async fn error_names_key_and_address() {
        let error = bind("imap.listen", "nonsense").await.unwrap_err().to_string();
        assert!(error.contains("imap.listen") && error.contains("nonsense"), "{error}");
    }
}
