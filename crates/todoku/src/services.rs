//! One service as a process of its own: `todoku imap`, `pop3`, `delivery`, `storage`, `auth`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use auth::AuthService;
use line_server::{Budget, ConnectionLimits, TlsConfig};
use mail_rpc::{
    AuthClient, CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, MailboxClient, MutualTls, STREAM_WINDOW_BYTES,
};
use mailbox_hints::Hints;
use mailbox_storage::{Storage, SweepPolicy};
use service_runtime::{Config, Readiness, Shutdown, http, telemetry};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tracing::{info, warn};

use crate::all::Addresses;
use crate::{Service, local, wiring};

/// What gateways get, whatever the shape.
#[derive(Clone)]
pub(crate) struct Backends {
    pub(crate) auth: AuthClient,
    pub(crate) mailbox: MailboxClient,
    pub(crate) hints: Hints,
    pub(crate) tls: TlsConfig,
    pub(crate) memory: Budget,
}

/// Runs a service until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn run(service: Service, config: &Config) -> Result<()> {
    let _telemetry = telemetry::init(name(service), config)?;
    let shutdown = Shutdown::on_signals()?;
    let addresses = start_cluster_service(service, config, &shutdown).await?;
    info!(?addresses, "{} is ready", name(service));
    if !shutdown.drain().await {
        warn!("Some sessions did not end in time");
    }
    Ok(())
}

fn name(service: Service) -> &'static str {
    match service {
        Service::Imap => "todoku-imap",
        Service::Pop3 => "todoku-pop3",
        Service::Delivery => "todoku-delivery",
        Service::Storage => "todoku-storage",
        Service::Auth => "todoku-auth",
    }
}

/// Starts a service that finds the others over the network. Stops when `shutdown` is triggered.
///
/// # Errors
/// When a listener cannot be bound, or what it needs is not configured.
pub async fn start_cluster_service(
    service: Service,
    config: &Config,
    shutdown: &Shutdown,
) -> Result<Addresses> {
    let readiness = Readiness::new();
    let mut addresses = match service {
        Service::Storage => start_storage(config, &readiness, shutdown).await?,
        Service::Auth => start_auth(config, &readiness, shutdown).await?,
        gateway => {
            let backends = remote_backends(config, shutdown)?;
            match gateway {
                Service::Imap => start_imap(config, &backends, shutdown).await?,
                Service::Pop3 => start_pop3(config, &backends, shutdown).await?,
                _ => start_delivery(config, &backends, shutdown).await?,
            }
        }
    };
    addresses.http = start_http(config, readiness, shutdown).await?;
    Ok(addresses)
}

fn remote_backends(config: &Config, shutdown: &Shutdown) -> Result<Backends> {
    let (storage, auth) = wiring::remote(config)?;
    Ok(Backends {
        auth: AuthClient::new(auth),
        mailbox: MailboxClient::new(storage),
        hints: wiring::hints(config, Hints::none())?,
        tls: wiring::tls(config, shutdown)?,
        memory: memory(config),
    })
}

/// Octets in flight of all sessions of a process.
pub(crate) fn memory(config: &Config) -> Budget {
    Budget::new(usize::try_from(config.limits.memory_budget.as_u64()).unwrap_or(usize::MAX))
}

/// Health and metrics.
pub(crate) async fn start_http(
    config: &Config,
    readiness: Readiness,
    shutdown: &Shutdown,
) -> Result<Option<SocketAddr>> {
    let Some(listener) = wiring::bind("http.listen", &config.http.listen).await? else { return Ok(None) };
    let address = listener.local_addr()?;
    let stop = shutdown.clone();
    // Not tracked: it answers "draining" until all that is tracked has ended.
    tokio::spawn(async move {
        if let Err(error) = http::serve(listener, readiness, axum::Router::new(), stop).await {
            warn!(%error, "The health pages stopped");
        }
    });
    Ok(Some(address))
}

pub(crate) async fn start_imap(
    config: &Config,
    backends: &Backends,
    shutdown: &Shutdown,
) -> Result<Addresses> {
    let clear = wiring::bind("imap.listen", &config.imap.listen).await?;
    let tls = wiring::bind("imap.listen_tls", &config.imap.listen_tls).await?;
    let addresses = Addresses {
        imap: wiring::address(clear.as_ref()),
        imaps: wiring::address(tls.as_ref()),
        ..Addresses::default()
    };
    let settings = imap_gateway::Settings {
        tls: Some(backends.tls.acceptor()),
        allow_clear_login: config.imap.allow_clear_login,
        utf8_accept: config.imap.utf8_accept,
        idle_notify: Duration::from_secs(config.imap.idle_notify_seconds.max(1)),
        connections_max: config.limits.connections,
        connections_per_ip_max: config.limits.connections_per_ip,
        proxy_trusted: wiring::proxy_trusted(config)?,
        unauthenticated_timeout: config.limits.unauthenticated_timeout(),
        idle_timeout: config.limits.idle_timeout(),
        memory: backends.memory.clone(),
        message_bytes_max: config.limits.message_size_max.as_u64(),
        comment: config.imap.comment.clone(),
        admin: config.imap.admin.clone(),
        submit_users: config.imap.submit_users.clone(),
        ..imap_gateway::Settings::default()
    };
    let services = imap_gateway::Backends {
        auth: backends.auth.clone(),
        mailbox: backends.mailbox.clone(),
        hints: backends.hints.clone(),
    };
    let listeners = imap_gateway::Listeners { clear, tls };
    shutdown.spawn(imap_gateway::serve(listeners, services, settings, shutdown.clone()));
    Ok(addresses)
}

pub(crate) async fn start_pop3(
    config: &Config,
    backends: &Backends,
    shutdown: &Shutdown,
) -> Result<Addresses> {
    let clear = wiring::bind("pop3.listen", &config.pop3.listen).await?;
    let tls = wiring::bind("pop3.listen_tls", &config.pop3.listen_tls).await?;
    let addresses = Addresses {
        pop3: wiring::address(clear.as_ref()),
        pop3s: wiring::address(tls.as_ref()),
        ..Addresses::default()
    };
    let settings = pop3_gateway::Settings {
        hostname: config.smtp.hostname.clone(),
        allow_clear_login: config.pop3.allow_clear_login,
        tls: Some(backends.tls.acceptor()),
        login_timeout: config.limits.unauthenticated_timeout(),
        inactivity_timeout: config.limits.idle_timeout(),
        limits: limits(config),
        proxy_trusted: wiring::proxy_trusted(config)?,
    };
    let services = pop3_gateway::Backends { auth: backends.auth.clone(), mailbox: backends.mailbox.clone() };
    let listeners = pop3_gateway::Listeners { clear, tls };
    shutdown.spawn(pop3_gateway::serve(listeners, services, settings, shutdown.clone()));
    Ok(addresses)
}

pub(crate) async fn start_delivery(
    config: &Config,
    backends: &Backends,
    shutdown: &Shutdown,
) -> Result<Addresses> {
    let lmtp = wiring::bind("lmtp.listen", &config.lmtp.listen).await?;
    let smtp = wiring::bind("smtp.listen", &config.smtp.listen).await?;
    let addresses = Addresses {
        lmtp: wiring::address(lmtp.as_ref()),
        smtp: wiring::address(smtp.as_ref()),
        ..Addresses::default()
    };
    let settings = delivery_gateway::Settings {
        hostname: config.smtp.hostname.clone(),
        local_domains: config.domains.local.clone(),
        message_size_max: config.limits.message_size_max.as_u64(),
        recipients_max: config.limits.recipients_max,
        tls: Some(backends.tls.acceptor()),
        limits: limits(config),
        proxy_trusted: wiring::proxy_trusted(config)?,
        memory: backends.memory.clone(),
    };
    let services =
        delivery_gateway::Backends { auth: backends.auth.clone(), mailbox: backends.mailbox.clone() };
    let listeners = delivery_gateway::Listeners { lmtp, smtp };
    shutdown.spawn(delivery_gateway::serve(listeners, services, settings, shutdown.clone()));
    Ok(addresses)
}

fn limits(config: &Config) -> Arc<ConnectionLimits> {
    ConnectionLimits::new(config.limits.connections, config.limits.connections_per_ip)
}

async fn start_storage(config: &Config, readiness: &Readiness, shutdown: &Shutdown) -> Result<Addresses> {
    let hints = wiring::hints(config, Hints::none())?;
    let storage = local::open_storage(config, wiring::shared_grant_key(config)?, hints).await?;
    watch_storage(readiness, &storage);
    keep_up(config, &storage, shutdown);
    let server = storage.server();
    let close = shutdown.clone();
    let listen = &config.storage.listen;
    let address = serve_grpc(config, "storage.listen", listen, shutdown, move |router: &mut Server| {
        router.add_service(server)
    })
    .await?;
    shutdown.spawn(async move {
        close.wait().await;
        storage.close().await;
    });
    Ok(Addresses { storage: Some(address), ..Addresses::default() })
}

async fn start_auth(config: &Config, readiness: &Readiness, shutdown: &Shutdown) -> Result<Addresses> {
    let auth = local::open_auth(config, wiring::shared_grant_key(config)?).await?;
    watch_auth(readiness, &auth);
    let server = auth.server();
    let listen = &config.auth.listen;
    let address = serve_grpc(config, "auth.listen", listen, shutdown, move |router: &mut Server| {
        router.add_service(server)
    })
    .await?;
    Ok(Addresses { auth: Some(address), ..Addresses::default() })
}

/// Removes what nobody refers to any more, brings old derived data up to date and merges the search index, until the stop signal.
pub(crate) fn keep_up(config: &Config, storage: &Storage, shutdown: &Shutdown) {
    let policy = SweepPolicy {
        tombstone_seconds: i64::from(config.storage.tombstone_days) * 24 * 60 * 60,
        tombstones: i64::from(config.storage.tombstones_max),
        ..SweepPolicy::default()
    };
    let (storage, stop) = (storage.clone(), shutdown.token());
    tokio::spawn(async move {
        let sweeping = storage.keep_sweeping(policy);
        tokio::select! {
            () = stop.cancelled() => {}
            _ = async {
                tokio::join!(sweeping, storage.keep_rebuilding(), storage.keep_merging_search_index())
            } => {}
        }
    });
}

/// Ready means: the database answers.
pub(crate) fn watch_storage(readiness: &Readiness, storage: &Storage) {
    let storage = storage.clone();
    readiness.check("database", move || {
        let storage = storage.clone();
        async move { storage.ready().await.map_err(|error| error.to_string()) }
    });
}

pub(crate) fn watch_auth(readiness: &Readiness, auth: &AuthService) {
    let auth = auth.clone();
    readiness.check("accounts", move || {
        let auth = auth.clone();
        async move { auth.ready().await.map_err(|error| error.to_string()) }
    });
}

/// Serves one gRPC service; callers must show a certificate of our authority if `[mtls]` is set.
async fn serve_grpc(
    config: &Config,
    key: &str,
    listen: &str,
    shutdown: &Shutdown,
    add: impl FnOnce(&mut Server) -> tonic::transport::server::Router,
) -> Result<SocketAddr> {
    let listener: TcpListener = wiring::bind(key, listen)
        .await?
        .with_context(|| format!("{key} is empty: there is nothing to serve"))?;
    let address = listener.local_addr()?;
    let mut server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .http2_keepalive_interval(Some(std::time::Duration::from_secs(10)));
    if let Some(MutualTls { ca, certificate, key }) = wiring::mutual_tls(config)? {
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(certificate, key))
            .client_ca_root(Certificate::from_pem(ca));
        server = server.tls_config(tls).context("[mtls]")?;
    }
    let router = add(&mut server);
    let stop = shutdown.clone();
    shutdown.spawn(async move {
        // The builder's own setting does not reach listeners made elsewhere, and Nagle's algorithm costs 40 ms a reply.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        if let Err(error) =
            router.serve_with_incoming_shutdown(incoming, async move { stop.wait().await }).await
        {
            warn!(%error, "The gRPC server stopped");
        }
    });
    Ok(address)
}
