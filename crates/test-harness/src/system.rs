//! The whole system in this process on free ports, with a database of its own that goes away with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use service_runtime::{Config, Shutdown};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use todoku::{Running, Service, start_all, start_cluster_service};

use crate::script::{Account, Administration, NAMES, Subject};

/// A superuser's URL of a PostgreSQL in which each system makes a database of its own.
pub const POSTGRES_VARIABLE: &str = "TODOKU_TEST_POSTGRES";

/// The URL of a Redis.
pub const REDIS_VARIABLE: &str = "TODOKU_TEST_REDIS";

/// The domain of all test accounts.
pub const DOMAIN: &str = "test.example";

/// Anything free.
const FREE_PORT: &str = "127.0.0.1:0";

/// What gateways and services of the cluster shape sign grants with.
const GRANT_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Whose turn it is to have a name that nobody else has.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A running system.
pub struct System {
    /// Where clients go.
    pub subject: Subject,
    /// With TLS from the first octet.
    pub imaps: SocketAddr,
    /// With TLS from the first octet.
    pub pop3s: SocketAddr,
    /// Its settings, for those who work on the database.
    pub config: Config,
    /// The certificate that its listeners show.
    pub certificate: PathBuf,
    shutdown: Shutdown,
    running: Option<Running>,
    database: Option<OwnDatabase>,
    _data: TempDir,
}

impl System {
    /// `todoku all` on SQLite.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn sqlite() -> Result<Self> {
        Self::sqlite_with(|_| ()).await
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn sqlite_with(adjust: impl FnOnce(&mut Config)) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let mut config = base_config(data.path());
        adjust(&mut config);
        config.database.url = format!("sqlite:{}", data.path().join("todoku.db").display()).into();
        let shutdown = Shutdown::new();
        let running = start_all(&config, &shutdown).await?;
        let addresses = running.addresses;
        let subject = Subject {
            imap: vec![listens(addresses.imap)?],
            pop3: listens(addresses.pop3)?,
            lmtp: listens(addresses.lmtp)?,
            smtp: addresses.smtp,
            imaps: addresses.imaps,
            administration: Some(administration(&config)),
            strict: true,
        };
        Ok(Self {
            subject,
            imaps: listens(addresses.imaps)?,
            pop3s: listens(addresses.pop3s)?,
            certificate: certificate(data.path()),
            config,
            shutdown,
            running: Some(running),
            database: None,
            _data: data,
        })
    }

    /// The cluster: storage and auth behind gRPC over TCP, two IMAP gateways, PostgreSQL and Redis.
    /// `None` where [`POSTGRES_VARIABLE`] and [`REDIS_VARIABLE`] do not name them.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn cluster() -> Result<Option<Self>> {
        Self::cluster_made(2, |_| ()).await
    }

    /// The same with `gateways` IMAP gateways.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn cluster_of(gateways: usize) -> Result<Option<Self>> {
        Self::cluster_made(gateways, |_| ()).await
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn cluster_with(adjust: impl FnOnce(&mut Config)) -> Result<Option<Self>> {
        Self::cluster_made(2, adjust).await
    }

    async fn cluster_made(gateways: usize, adjust: impl FnOnce(&mut Config)) -> Result<Option<Self>> {
        let (Ok(postgres), Ok(redis)) = (std::env::var(POSTGRES_VARIABLE), std::env::var(REDIS_VARIABLE))
        else {
            return Ok(None);
        };
        let database = OwnDatabase::create(&postgres).await?;
        let data = tempfile::tempdir()?;
        let mut config = base_config(data.path());
        config.database.url = database.url.clone().into();
        config.database.max_connections = 6;
        config.redis.url = redis.into();
        adjust(&mut config);
        config.grants.key = GRANT_KEY.into();
        config.storage.listen = FREE_PORT.into();
        config.auth.listen = FREE_PORT.into();
        todoku::migrate(&config).await?;

        let shutdown = Shutdown::new();
        let storage = start_cluster_service(Service::Storage, &config, &shutdown).await?;
        let auth = start_cluster_service(Service::Auth, &config, &shutdown).await?;
        config.services.storage = format!("http://{}", listens(storage.storage)?);
        config.services.auth = format!("http://{}", listens(auth.auth)?);
        let mut imap = Vec::new();
        for _ in 0..gateways {
            imap.push(start_cluster_service(Service::Imap, &config, &shutdown).await?);
        }
        let pop3 = start_cluster_service(Service::Pop3, &config, &shutdown).await?;
        let delivery = start_cluster_service(Service::Delivery, &config, &shutdown).await?;
        let subject = Subject {
            imap: imap.iter().map(|gateway| listens(gateway.imap)).collect::<Result<_>>()?,
            pop3: listens(pop3.pop3)?,
            lmtp: listens(delivery.lmtp)?,
            smtp: delivery.smtp,
            imaps: imap.first().and_then(|gateway| gateway.imaps),
            administration: Some(administration(&config)),
            strict: true,
        };
        Ok(Some(Self {
            subject,
            imaps: listens(imap.first().context("no gateway")?.imaps)?,
            pop3s: listens(pop3.pop3s)?,
            certificate: certificate(data.path()),
            config,
            shutdown,
            running: None,
            database: Some(database),
            _data: data,
        }))
    }

    /// Makes `scripts` times the accounts of a script, each with a name that nobody else has.
    ///
    /// # Errors
    /// When one cannot be made.
    pub async fn accounts(&self, scripts: usize) -> Result<Vec<Vec<Account>>> {
        let mut sets = Vec::with_capacity(scripts);
        for _ in 0..scripts {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let account = |name: &str| Account {
                name: name.to_owned(),
                address: format!("{name}-{number}@{DOMAIN}"),
                password: format!("secret-of-{name}"),
            };
            sets.push(NAMES.map(account).to_vec());
        }
        for account in sets.iter().flatten() {
            todoku::account_add(&self.config, &account.address, &account.password).await?;
        }
        Ok(sets)
    }

    /// Stops everything and drops the database.
    ///
    /// # Errors
    /// When the database cannot be dropped.
    pub async fn stop(mut self) -> Result<()> {
        self.shutdown.trigger();
        self.shutdown.drain().await;
        if let Some(running) = self.running.take() {
            running.close().await;
        }
        match self.database.take() {
            Some(database) => database.drop().await,
            None => Ok(()),
        }
    }
}

/// What scripts ask of whoever runs the server.
fn administration(config: &Config) -> Administration {
    let config = config.clone();
    let of_acl = config.clone();
    let acl = move |words: Vec<String>| -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        let config = of_acl.clone();
        Box::pin(async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            todoku::acl(&config, &words).await
        })
    };
    let set_quota = move |address: String, bytes: u64| -> Pin<Box<dyn Future<Output = Result<()>> + Send>> {
        let config = config.clone();
        Box::pin(async move { todoku::account_quota(&config, &address, bytes).await })
    };
    Administration { acl: Arc::new(acl), set_quota: Arc::new(set_quota) }
}

fn base_config(data: &Path) -> Config {
    let mut config = Config::default();
    for listen in [
        &mut config.imap.listen,
        &mut config.imap.listen_tls,
        &mut config.pop3.listen,
        &mut config.pop3.listen_tls,
        &mut config.lmtp.listen,
        &mut config.smtp.listen,
    ] {
        *listen = FREE_PORT.into();
    }
    config.http.listen = String::new();
    config.imap.allow_clear_login = true;
    config.pop3.allow_clear_login = true;
    config.smtp.hostname = format!("mx.{DOMAIN}");
    config.domains.local = vec![DOMAIN.into()];
    config.data.dir = data.to_path_buf();
    // Every script is a client of the same address.
    config.limits.connections_per_ip = config.limits.connections;
    config
}

fn listens(address: Option<SocketAddr>) -> Result<SocketAddr> {
    address.context("a listener that was configured does not listen")
}

fn certificate(data: &Path) -> PathBuf {
    data.join("tls-certificate.pem")
}

/// A database that nobody else uses.
struct OwnDatabase {
    server: String,
    name: String,
    url: String,
}

impl OwnDatabase {
    async fn create(server: &str) -> Result<Self> {
        let name = format!("todoku_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect(server).await.context(POSTGRES_VARIABLE)?;
        execute(&mut connection, &format!("create database {name}")).await?;
        connection.close().await?;
        let (base, _) = server.rsplit_once('/').context("a PostgreSQL URL ends in /database")?;
        Ok(Self { server: server.to_owned(), url: format!("{base}/{name}"), name })
    }

    async fn drop(self) -> Result<()> {
        let mut connection = PgConnection::connect(&self.server).await?;
        execute(&mut connection, &format!("drop database {} with (force)", self.name)).await?;
        connection.close().await?;
        Ok(())
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(connection).await?;
    Ok(())
}
