//! How a call travels: over the network to any of a service's instances, or straight into a service in this process.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tonic::body::Body;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tower::{Service, ServiceExt};

use crate::resolver;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type CallFuture = Pin<Box<dyn Future<Output = Result<http::Response<Body>, BoxError>> + Send>>;

/// Longest time to open a connection to one instance: a dead host must not use up a command's whole deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A dead peer is noticed after this and the next, so that calls go elsewhere (HTTP/2 PING).
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of one call that the other side sends ahead (HTTP/2 window): a page of content. What a slow client's call holds here.
pub const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// No limit for all calls together (the largest window that RFC 9113 §6.9.1 knows): calls whose clients read nothing fill their
/// own windows, and would otherwise use up the shared one, so that no other session of the gateway got an answer.
pub const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// Largest piece of a call (HTTP/2 frame, 16 KiB unless told): every frame costs both sides, and few are as large as this.
pub const FRAME_BYTES_MAX: u32 = 256 << 10;

/// Both sides prove themselves. PEM texts.
#[derive(Clone)]
pub struct MutualTls {
    /// The authority that all services trust.
    pub ca: String,
    /// Our certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// Why no transport could be made.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Not `http://host:port`.
    #[error("{0:?} is no service address; write it as http://host:port")]
    BadAddress(String),
    /// Certificates that do not fit.
    #[error("cannot use the service certificates: {0}")]
    Tls(#[from] tonic::transport::Error),
}

/// The way to a service. Cheap to clone; all clones share their connections.
#[derive(Clone)]
pub struct Transport(Inner);

#[derive(Clone)]
enum Inner {
    Remote(Channel),
    Local(Arc<dyn Fn(http::Request<Body>) -> CallFuture + Send + Sync>),
}

impl Transport {
    /// A service in this process: the generated server, called as it is, without a socket or HTTP/2 frames between.
    pub fn local<S>(server: S) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        Self(Inner::Local(Arc::new(move |request| {
            let call = server.clone().oneshot(request);
            Box::pin(async move { call.await.map_err(|never| match never {}) })
        })))
    }

    /// A service on other hosts: every address that the name resolves to takes its share, looked up again all the time.
    ///
    /// # Errors
    /// [`TransportError`]. A service that is away is no error here: calls wait for it until their deadline.
    pub fn remote(address: &str, tls: Option<&MutualTls>) -> Result<Self, TransportError> {
        let bad = || TransportError::BadAddress(address.to_owned());
        let uri: http::Uri = address.parse().map_err(|_| bad())?;
        let host = uri.host().ok_or_else(bad)?.to_owned();
        let port = uri.port_u16().ok_or_else(bad)?;
        let tls = tls.map(|tls| {
            ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&tls.ca))
                .identity(Identity::from_pem(&tls.certificate, &tls.key))
                .domain_name(host.clone())
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = move |address: std::net::SocketAddr| {
            let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
                .connect_timeout(CONNECT_TIMEOUT)
                .tcp_nodelay(true)
                .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
                .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
                .keep_alive_while_idle(true)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_frame_size(FRAME_BYTES_MAX);
            match &tls {
                Some(tls) => endpoint.tls_config(tls.clone()),
                None => Ok(endpoint),
            }
        };
        // Certificates are judged now, not at the first call.
        endpoint(std::net::SocketAddr::from(([127, 0, 0, 1], port)))?;
        let (channel, changes) = Channel::balance_channel(16);
        tokio::spawn(resolver::follow(host, port, endpoint, changes));
        Ok(Self(Inner::Remote(channel)))
    }
}

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = CallFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Inner::Remote(channel) => channel.poll_ready(cx).map_err(Into::into),
            Inner::Local(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, mut request: http::Request<Body>) -> CallFuture {
        match &mut self.0 {
            Inner::Remote(channel) => {
                crate::trace_context::inject(request.headers_mut());
                let call = channel.call(request);
                Box::pin(async move { call.await.map_err(Into::into) })
            }
            Inner::Local(server) => server(request),
        }
    }
}
