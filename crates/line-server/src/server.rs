//! The accept loop.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use service_runtime::metrics::{Gauge, metrics};
use service_runtime::shutdown::{DRAIN_DEADLINE, Shutdown};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cidr::Cidr;
use crate::connection::Connection;
use crate::limits::{ConnectionLimits, Slot};
use crate::proxy;

/// Pause after a failed accept: file descriptors come back when sessions end.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Silence before TCP asks whether the client is still there, and between its questions: home
/// routers forget a silent connection after about five minutes.
const KEEPALIVE_SILENCE: Duration = Duration::from_secs(240);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// Clients being told at once that the server is busy; any more are just closed.
const REFUSALS_AT_ONCE_MAX: usize = 256;
/// How long telling a client so may take.
const REFUSAL_MAX: Duration = Duration::from_secs(3);

/// How a listener starts its connections.
#[derive(Clone)]
pub enum Mode {
    /// In clear text; the protocol may offer STARTTLS.
    Clear,
    /// With a TLS handshake.
    ImplicitTls(TlsAcceptor),
}

/// What a listener needs to know.
#[derive(Clone)]
pub struct Settings {
    /// Name in metrics and logs, such as `imap`.
    pub protocol: &'static str,
    /// Clear text or TLS.
    pub mode: Mode,
    /// Shared by the listeners that share the limits.
    pub limits: Arc<ConnectionLimits>,
    /// What a client is told when a limit is reached, with line end; not in [`Mode::ImplicitTls`],
    /// where a handshake for it would cost what the limit is to save.
    pub busy_line: Bytes,
    /// Load balancers; their connections must start with a PROXY header, no others may.
    pub proxy_trusted: Vec<Cidr>,
}

/// Accepts until the stop signal, each connection in a task with `handler`; then waits for the
/// handlers, which should listen to `shutdown` too, at most [`DRAIN_DEADLINE`]. A panic in a handler
/// ends its connection alone.
pub async fn serve<H, R>(listener: TcpListener, settings: Settings, shutdown: Shutdown, handler: H)
where
    H: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let _running = shutdown.tracker().token();
    let shared = Arc::new(Shared {
        settings,
        handler,
        refusals: Semaphore::new(REFUSALS_AT_ONCE_MAX),
        killed: CancellationToken::new(),
    });
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.wait() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => accept(&shared, &connections, stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                metrics().error(shared.settings.protocol, "accept");
                tracing::warn!(protocol = shared.settings.protocol, %error, "Cannot accept; trying again");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(DRAIN_DEADLINE, connections.wait()).await.is_err() {
        tracing::warn!(
            protocol = shared.settings.protocol,
            connections = connections.len(),
            "Closing connections that did not finish in time"
        );
        shared.killed.cancel();
        connections.wait().await;
    }
}

struct Shared<H> {
    settings: Settings,
    handler: H,
    refusals: Semaphore,
    killed: CancellationToken,
}

fn accept<H, R>(shared: &Arc<Shared<H>>, tasks: &TaskTracker, stream: TcpStream, peer: SocketAddr)
where
    H: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let shared = Arc::clone(shared);
    match shared.settings.limits.admit() {
        Some(slot) => {
            tasks.spawn(async move {
                let killed = shared.killed.clone();
                tokio::select! {
                    () = killed.cancelled() => {}
                    () = run(shared, stream, peer, slot) => {}
                }
            });
        }
        None => {
            tasks.spawn(async move { shared.refuse(stream, "connections").await });
        }
    }
}

async fn run<H, R>(shared: Arc<Shared<H>>, stream: TcpStream, peer: SocketAddr, slot: Slot)
where
    H: Fn(Connection) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let protocol = shared.settings.protocol;
    // Preparing needs much room for a short time: not inside the task that lives on.
    let Some(connection) = Box::pin(prepare(&shared, stream, peer, slot)).await else { return };
    let _counted = CountedSession::start(protocol);
    let handled = AssertUnwindSafe(async { (shared.handler)(connection).await }).catch_unwind().await;
    if handled.is_err() {
        metrics().error(protocol, "panic");
        tracing::error!(protocol, %peer, "A session panicked and was closed");
    }
}

/// All that comes before the protocol's first byte. `None`: refused, or failed.
async fn prepare<H>(
    shared: &Shared<H>,
    mut stream: TcpStream,
    peer: SocketAddr,
    mut slot: Slot,
) -> Option<Connection> {
    let settings = &shared.settings;
    let protocol = settings.protocol;
    if let Err(error) = tune(&stream) {
        tracing::debug!(protocol, %peer, %error, "Cannot set socket options");
    }
    let mut proxied = None;
    if settings.proxy_trusted.iter().any(|network| network.contains(peer.ip())) {
        match proxy::read_header(&mut stream).await {
            Ok(header) => proxied = header,
            Err(error) => {
                metrics().connection_refused(protocol, "proxy_header");
                tracing::warn!(protocol, %peer, %error, "Refused a connection without a valid PROXY header");
                return None;
            }
        }
    }
    let client = proxied.as_ref().map_or(peer, |proxied| proxied.source);
    if !slot.claim(client.ip()) {
        shared.refuse(stream, "per_ip").await;
        return None;
    }
    let mut connection = Connection::from_tcp(stream, protocol).ok()?;
    connection.set_slot(slot);
    if let Some(proxied) = proxied {
        connection.set_addresses(proxied.source, proxied.destination);
    }
    if let Mode::ImplicitTls(acceptor) = &settings.mode
        && let Err(error) = connection.start_tls(acceptor).await
    {
        metrics().connection_refused(protocol, "tls");
        tracing::debug!(protocol, peer = %client, %error, "TLS handshake failed");
        return None;
    }
    Some(connection)
}

impl<H> Shared<H> {
    async fn refuse(&self, stream: TcpStream, reason: &'static str) {
        let protocol = self.settings.protocol;
        metrics().connection_refused(protocol, reason);
        let Ok(_permit) = self.refusals.try_acquire() else { return };
        if matches!(self.settings.mode, Mode::ImplicitTls(_)) {
            return;
        }
        let Ok(mut connection) = Connection::from_tcp(stream, protocol) else { return };
        tracing::info!(protocol, peer = %connection.peer(), reason, "Refused a connection");
        connection.queue(&self.settings.busy_line);
        let _ = timeout(REFUSAL_MAX, connection.shutdown()).await;
    }
}

/// Counted as an open session until dropped, however the session ends.
struct CountedSession(Gauge);

impl CountedSession {
    fn start(protocol: &'static str) -> Self {
        let sessions = metrics().protocol(protocol).sessions;
        sessions.inc();
        Self(sessions)
    }
}

impl Drop for CountedSession {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_SILENCE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Errors of the connection that was about to be accepted, not of the listener (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
