//! The listeners, and what all sessions of the process share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use line_server::{Budget, Cidr, ConnectionLimits, Mode, TlsAcceptor};
use mail_rpc::{AuthClient, MailboxClient};
use mailbox_hints::Hints;
use service_runtime::Shutdown;
use tokio::net::TcpListener;

use crate::capability;
use crate::fetch::Derived;
use crate::limits::{IDLE_NOTIFY, PROGRESS_EVERY};
use crate::mailboxes::Mailboxes;
use crate::order::Keys;
use crate::session;
use crate::watch::Recheck;

/// The protocol's name in metrics and logs.
pub(crate) const PROTOCOL: &str = "imap";

/// Where clients come in; either may be missing.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Clear text, where STARTTLS is offered if there is a certificate.
    pub clear: Option<TcpListener>,
    /// TLS from the first byte.
    pub tls: Option<TcpListener>,
}

/// The services behind the gateway.
#[derive(Clone)]
pub struct Backends {
    /// Who is this?
    pub auth: AuthClient,
    /// The mail.
    pub mailbox: MailboxClient,
    /// What wakes sessions that wait.
    pub hints: Hints,
}

/// What an operator can choose.
#[derive(Clone)]
pub struct Settings {
    /// Makes connections TLS; `None`: only clear text.
    pub tls: Option<TlsAcceptor>,
    /// Accept passwords without TLS (RFC 9051 §6.2.3).
    pub allow_clear_login: bool,
    /// Offer UTF8=ACCEPT (RFC 6855), and refuse raw 8-bit in headers of APPEND without it.
    pub utf8_accept: bool,
    /// An idling client hears something at least this often (plus up to a quarter of it), so that routers keep the connection.
    pub idle_notify: Duration,
    /// A client whose command takes long hears of it at least this often (plus up to half of it).
    pub progress_every: Duration,
    /// Connections of each listener.
    pub connections_max: usize,
    /// Connections of one client address to each listener.
    pub connections_per_ip_max: usize,
    /// Load balancers, whose connections start with a PROXY header.
    pub proxy_trusted: Vec<Cidr>,
    /// How long a client may take until it is authenticated.
    pub unauthenticated_timeout: Duration,
    /// Silence after which a session ends; RFC 9051 §5.4 asks for 30 minutes at least.
    pub idle_timeout: Duration,
    /// Message octets in flight, best shared with the other protocols of the process.
    pub memory: Budget,
    /// Largest message that APPEND takes, in octets.
    pub message_bytes_max: u64,
    /// `/shared/comment` of the server (RFC 5464 §3.2.1.1); empty: none.
    pub comment: String,
    /// `/shared/admin`: a URI by which the operator is reached; empty: none.
    pub admin: String,
    /// Addresses of accounts that submission servers log in with (`submit+`, RFC 4467 §3).
    pub submit_users: Vec<String>,
    /// Bytes of mailbox snapshots kept for the next SELECT.
    pub snapshot_cache_bytes: usize,
    /// Bytes of envelopes, structures and the like kept for the next FETCH.
    pub derived_cache_bytes: usize,
    /// Bytes of small messages kept for the next FETCH.
    pub content_cache_bytes: usize,
    /// Bytes of what messages are sorted by kept for the next SORT and THREAD.
    pub sort_cache_bytes: usize,
    /// Time between two looks at all that idles; `None`: what [`Hints::healthy`] calls for.
    pub recheck_every: Option<Duration>,
}

/// Bytes of messages in flight, unless the operator says otherwise.
const MEMORY_BYTES: usize = 256 << 20;
/// Of each of the four caches.
const CACHE_BYTES: usize = 64 << 20;
/// Largest message taken.
const MESSAGE_BYTES_MAX: u64 = 50 << 20;

impl Default for Settings {
    fn default() -> Self {
        Self {
            tls: None,
            allow_clear_login: false,
            utf8_accept: true,
            idle_notify: IDLE_NOTIFY,
            progress_every: PROGRESS_EVERY,
            connections_max: 50_000,
            connections_per_ip_max: 200,
            proxy_trusted: Vec::new(),
            unauthenticated_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(31 * 60),
            memory: Budget::new(MEMORY_BYTES),
            message_bytes_max: MESSAGE_BYTES_MAX,
            comment: String::new(),
            admin: String::new(),
            submit_users: Vec::new(),
            snapshot_cache_bytes: CACHE_BYTES,
            derived_cache_bytes: CACHE_BYTES,
            content_cache_bytes: CACHE_BYTES,
            sort_cache_bytes: CACHE_BYTES,
            recheck_every: None,
        }
    }
}

/// What all sessions share. Nothing here is truth: all of it can be emptied at any time.
pub(crate) struct Gateway {
    pub(crate) backends: Backends,
    pub(crate) settings: Settings,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) derived: Derived,
    pub(crate) sort_keys: Keys,
    pub(crate) recheck: Recheck,
    pub(crate) shutdown: Shutdown,
}

/// Serves clients until the stop signal, and then until their sessions have ended.
pub async fn serve(listeners: Listeners, backends: Backends, settings: Settings, shutdown: Shutdown) {
    let gateway = Arc::new(Gateway::new(backends, settings, shutdown));
    let clear = async {
        if let Some(listener) = listeners.clear {
            listen(&gateway, listener, Mode::Clear).await;
        }
    };
    let tls = async {
        match (listeners.tls, &gateway.settings.tls) {
            (Some(listener), Some(acceptor)) => {
                listen(&gateway, listener, Mode::ImplicitTls(acceptor.clone())).await;
            }
            (Some(_), None) => tracing::error!("IMAP over TLS needs a certificate; its listener is closed"),
            (None, _) => {}
        }
    };
    tokio::select! {
        _ = async { tokio::join!(clear, tls) } => {}
        () = gateway.recheck.run() => {}
    }
}

impl Gateway {
    pub(crate) fn new(backends: Backends, settings: Settings, shutdown: Shutdown) -> Self {
        Self {
            mailboxes: Mailboxes::new(settings.snapshot_cache_bytes),
            derived: Derived::new(settings.derived_cache_bytes, settings.content_cache_bytes),
            sort_keys: Keys::new(settings.sort_cache_bytes),
            recheck: Recheck::new(backends.mailbox.clone(), backends.hints.clone(), settings.recheck_every),
            backends,
            settings,
            shutdown,
        }
    }
}

async fn listen(gateway: &Arc<Gateway>, listener: TcpListener, mode: Mode) {
    let settings = &gateway.settings;
    let server = line_server::Settings {
        protocol: PROTOCOL,
        mode,
        limits: ConnectionLimits::new(settings.connections_max, settings.connections_per_ip_max),
        busy_line: Bytes::from_static(capability::BUSY),
        proxy_trusted: settings.proxy_trusted.clone(),
    };
    let shared = Arc::clone(gateway);
    let handler = move |connection| session::run(Arc::clone(&shared), connection);
    line_server::serve(listener, server, gateway.shutdown.clone(), handler).await;
}
