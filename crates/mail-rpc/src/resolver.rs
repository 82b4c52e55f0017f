//! Keeps a balanced channel's instances equal to what the service's name resolves to.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tonic::transport::Endpoint;
use tonic::transport::channel::Change;
use tracing::{info, warn};

/// How often the name is looked up: a new replica is used, and a gone one forgotten, within this time.
const LOOKUP_EVERY: Duration = Duration::from_secs(5);
/// While there is no instance at all, every call is waiting for this.
const LOOKUP_EVERY_WHILE_EMPTY: Duration = Duration::from_millis(250);

/// Runs until the channel is dropped.
pub(crate) async fn follow(
    host: String,
    port: u16,
    endpoint: impl Fn(SocketAddr) -> Result<Endpoint, tonic::transport::Error>,
    changes: Sender<Change<SocketAddr, Endpoint>>,
) {
    let mut known = HashSet::new();
    loop {
        // A failing lookup leaves what is known: a DNS server that is away must not take the service with it.
        match tokio::net::lookup_host((host.as_str(), port)).await {
            Ok(found) => {
                let found: HashSet<SocketAddr> = found.collect();
                for address in found.difference(&known) {
                    let Ok(endpoint) = endpoint(*address) else { continue };
                    info!(service = %host, %address, "a service instance appeared");
                    if changes.send(Change::Insert(*address, endpoint)).await.is_err() {
                        return;
                    }
                }
                for address in known.difference(&found) {
                    info!(service = %host, %address, "a service instance is gone");
                    if changes.send(Change::Remove(*address)).await.is_err() {
                        return;
                    }
                }
                known = found;
            }
            Err(error) if known.is_empty() => {
                warn!(service = %host, %error, "cannot find the service; trying again")
            }
            Err(_) => {}
        }
        let pause = if known.is_empty() { LOOKUP_EVERY_WHILE_EMPTY } else { LOOKUP_EVERY };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = changes.closed() => return,
        }
    }
}
