//! Listeners in, sessions out.

use std::sync::Arc;

use bytes::Bytes;
use line_server::{Budget, Cidr, ConnectionLimits, Mode, TlsAcceptor};
use mail_rpc::{AuthClient, MailboxClient};
use service_runtime::Shutdown;
use tokio::net::TcpListener;

use crate::confirm::{self, Confirmer};
use crate::session::Session;

/// The two protocols of one session engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 2033: LHLO, and a reply for each recipient after the data.
    Lmtp,
    /// RFC 5321: HELO and EHLO, and one reply after the data.
    Smtp,
}

impl Protocol {
    /// As metrics and logs name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lmtp => "lmtp",
            Self::Smtp => "smtp",
        }
    }
}

/// The services behind.
#[derive(Clone)]
pub struct Backends {
    /// Whose address is it?
    pub auth: AuthClient,
    /// The mail.
    pub mailbox: MailboxClient,
}

/// Where mail comes in; either may be absent.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For the MTA. Whoever reaches it may deliver: bind it where only the MTA is.
    pub lmtp: Option<TcpListener>,
    /// For other sites.
    pub smtp: Option<TcpListener>,
}

/// What the gateway is told.
#[derive(Clone)]
pub struct Settings {
    /// Our name in greetings and Received fields.
    pub hostname: String,
    /// Local domains of the configuration; `<postmaster>` without a domain is at the first (RFC 5321 §4.5.1).
    pub local_domains: Vec<String>,
    /// Largest message in octets, told as SIZE (RFC 1870). Beyond it: 552.
    pub message_size_max: u64,
    /// Most recipients of a transaction; at least 100 are taken whatever it says (RFC 5321 §4.5.3.1.8). Beyond it: 452.
    pub recipients_max: usize,
    /// For STARTTLS on both listeners; `None`: not offered.
    pub tls: Option<TlsAcceptor>,
    /// Connections at once.
    pub limits: Arc<ConnectionLimits>,
    /// Load balancers that send a PROXY header.
    pub proxy_trusted: Vec<Cidr>,
    /// Octets that wait for storage, of all messages together; at it, the senders are slowed down.
    pub memory: Budget,
}

/// What all sessions share.
pub(crate) struct Gateway {
    pub(crate) backends: Backends,
    pub(crate) settings: Settings,
    pub(crate) shutdown: Shutdown,
    pub(crate) confirmer: Confirmer,
}

/// Serves until the stop signal, then until running transactions and confirmations are done.
pub async fn serve(listeners: Listeners, backends: Backends, settings: Settings, shutdown: Shutdown) {
    let (confirmer, confirmations) = confirm::start(backends.mailbox.clone());
    let gateway = Arc::new(Gateway { backends, settings, shutdown, confirmer });
    tokio::join!(
        accept(listeners.lmtp, Protocol::Lmtp, &gateway),
        accept(listeners.smtp, Protocol::Smtp, &gateway)
    );
    // The last sender of confirmations goes with the gateway; then the task ends.
    drop(gateway);
    let _ = confirmations.await;
}

async fn accept(listener: Option<TcpListener>, protocol: Protocol, gateway: &Arc<Gateway>) {
    let Some(listener) = listener else { return };
    let settings = line_server::Settings {
        protocol: protocol.name(),
        mode: Mode::Clear,
        limits: Arc::clone(&gateway.settings.limits),
        busy_line: Bytes::from_static(b"421 4.7.0 too many connections, try again later\r\n"),
        proxy_trusted: gateway.settings.proxy_trusted.clone(),
    };
    let sessions = Arc::clone(gateway);
    line_server::serve(listener, settings, gateway.shutdown.clone(), move |connection| {
        Session::new(connection, protocol, Arc::clone(&sessions)).run()
    })
    .await;
}
