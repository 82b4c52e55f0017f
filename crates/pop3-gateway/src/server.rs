//! Listeners in, sessions out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use line_server::{Cidr, ConnectionLimits, Mode, TlsAcceptor};
use mail_rpc::{AuthClient, MailboxClient};
use service_runtime::Shutdown;
use tokio::net::TcpListener;

use crate::session::Session;

/// Name in metrics and logs.
const PROTOCOL: &str = "pop3";

/// RFC 1939 §3: the inactivity timer is at least ten minutes. A shorter setting is raised to this.
pub const INACTIVITY_MIN: Duration = Duration::from_secs(10 * 60);

/// The services behind.
#[derive(Clone)]
pub struct Backends {
    /// Who is it?
    pub auth: AuthClient,
    /// The mail.
    pub mailbox: MailboxClient,
}

/// Where clients come in; either may be absent.
#[derive(Debug, Default)]
pub struct Listeners {
    /// In clear text, where STLS is offered if there is a certificate.
    pub clear: Option<TcpListener>,
    /// With TLS from the first byte (RFC 8314 §3.3); needs [`Settings::tls`].
    pub tls: Option<TcpListener>,
}

/// What the gateway is told.
#[derive(Clone)]
pub struct Settings {
    /// Our name in the greeting.
    pub hostname: String,
    /// Accept passwords without TLS (RFC 2595 §2.2).
    pub allow_clear_login: bool,
    /// For STLS and the TLS listener; `None`: neither.
    pub tls: Option<TlsAcceptor>,
    /// How long a client may take until it is logged in.
    pub login_timeout: Duration,
    /// Silence after which a session ends and deletes nothing; at least [`INACTIVITY_MIN`] is kept.
    pub inactivity_timeout: Duration,
    /// Connections at once.
    pub limits: Arc<ConnectionLimits>,
    /// Load balancers that send a PROXY header.
    pub proxy_trusted: Vec<Cidr>,
}

/// What all sessions share.
pub(crate) struct Gateway {
    pub(crate) backends: Backends,
    pub(crate) settings: Settings,
    pub(crate) shutdown: Shutdown,
}

/// Serves until the stop signal, then until the running commands are answered.
pub async fn serve(listeners: Listeners, backends: Backends, settings: Settings, shutdown: Shutdown) {
    let gateway = Arc::new(Gateway { backends, settings, shutdown });
    let tls_mode = gateway.settings.tls.clone().map(Mode::ImplicitTls);
    let clear = async {
        if let Some(listener) = listeners.clear {
            accept(listener, Mode::Clear, &gateway).await;
        }
    };
    let tls = async {
        if let (Some(listener), Some(mode)) = (listeners.tls, tls_mode) {
            accept(listener, mode, &gateway).await;
        }
    };
    tokio::join!(clear, tls);
}

async fn accept(listener: TcpListener, mode: Mode, gateway: &Arc<Gateway>) {
    let settings = line_server::Settings {
        protocol: PROTOCOL,
        mode,
        limits: Arc::clone(&gateway.settings.limits),
        busy_line: Bytes::from_static(b"-ERR [SYS/TEMP] too many connections, try again later\r\n"),
        proxy_trusted: gateway.settings.proxy_trusted.clone(),
    };
    let sessions = Arc::clone(gateway);
    line_server::serve(listener, settings, gateway.shutdown.clone(), move |connection| {
        Session::new(connection, Arc::clone(&sessions)).run()
    })
    .await;
}
