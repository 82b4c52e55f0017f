//! The service: a file per rpc under `service/`.

mod authenticate;
mod renew;
mod resolve;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_rpc::pb::auth_server::{Auth, AuthServer};
use mail_rpc::{GrantKey, Refusal, pb};
use service_runtime::metrics;
use tonic::{Request, Response, Status};
use tracing::{Instrument, error, info_span, warn};

use crate::address::{self, AddressError};
use crate::admin::Admin;
use crate::db::{self, Db, DbError};
use crate::hashing::Hashing;
use crate::password;
use crate::penalty::Penalties;
use crate::verifications::Verifications;

/// Connections to PostgreSQL, unless configured: a login holds one for a millisecond.
const CONNECTIONS_MAX: u32 = 10;
/// Longest time for the database to say that it is there.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// What the service needs to know. Not `Debug`: the database address may hold a password.
#[derive(Clone)]
pub struct AuthConfig {
    /// `postgres://…` or `sqlite:path`.
    pub database_url: String,
    /// Connections to PostgreSQL at the most.
    pub max_connections: u32,
    /// Signs grants.
    pub grant_key: GrantKey,
    /// Domains that mail is accepted for, beside those in the database.
    pub local_domains: Vec<String>,
    /// Passwords that are hashed at the same time, with 19 MiB for each.
    pub hash_threads: usize,
}

impl AuthConfig {
    /// With defaults for everything else: `localhost` is local, and every core may hash.
    pub fn new(database_url: impl Into<String>, grant_key: GrantKey) -> Self {
        Self {
            database_url: database_url.into(),
            max_connections: CONNECTIONS_MAX,
            grant_key,
            local_domains: vec!["localhost".to_owned()],
            hash_threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Why the service cannot work.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The database address makes no sense, or its directory cannot be made.
    #[error("cannot use the database address: {0}")]
    BadDatabase(#[from] sqlx::Error),
    /// A configured domain is none.
    #[error("{domain:?} in the list of local domains: {reason}")]
    BadDomain {
        /// As configured.
        domain: String,
        /// What is wrong with it.
        reason: AddressError,
    },
    /// The database is away, or its tables are missing or not to be migrated.
    #[error("{0}")]
    Database(String),
}

impl From<DbError> for AuthError {
    fn from(error: DbError) -> Self {
        Self::Database(error.to_string())
    }
}

/// The auth service. Cheap to clone; all clones share connections, cache and penalties.
#[derive(Clone)]
pub struct AuthService(Arc<Inner>);

struct Inner {
    db: Arc<dyn Db>,
    grants: GrantKey,
    /// As A-labels in lower case.
    local_domains: HashSet<String>,
    hashing: Arc<Hashing>,
    verifications: Verifications,
    penalties: Penalties,
    /// Nobody's: what an unknown user's password is compared with.
    decoy: Arc<str>,
}

impl AuthService {
    /// Opens the service; the database need not answer yet.
    ///
    /// # Errors
    /// [`AuthError::BadDatabase`] and [`AuthError::BadDomain`]: the configuration is wrong.
    pub async fn open(config: AuthConfig) -> Result<Self, AuthError> {
        let normalise = |domain: &String| {
            address::normalise_domain(domain)
                .map_err(|reason| AuthError::BadDomain { domain: domain.clone(), reason })
        };
        let local_domains = config.local_domains.iter().map(normalise).collect::<Result<_, _>>()?;
        let hashing = Arc::new(Hashing::new(config.hash_threads));
        let decoy = hashing.run(|| password::hash(&password::generate_password())).await;
        Ok(Self(Arc::new(Inner {
            db: db::open(&config.database_url, config.max_connections)?,
            grants: config.grant_key,
            local_domains,
            hashing,
            verifications: Verifications::new(),
            penalties: Penalties::new(),
            decoy: decoy.expect("nobody else hashes yet").into(),
        })))
    }

    /// The gRPC service.
    pub fn server(&self) -> AuthServer<Self> {
        AuthServer::new(self.clone())
    }

    /// Brings the tables up to date. Run by one process, while others may still serve.
    ///
    /// # Errors
    /// [`AuthError::Database`].
    pub async fn migrate(&self) -> Result<(), AuthError> {
        Ok(self.0.db.migrate().await?)
    }

    /// Whether logins can be served now.
    ///
    /// # Errors
    /// [`AuthError::Database`] says why not.
    pub async fn ready(&self) -> Result<(), AuthError> {
        match tokio::time::timeout(READY_TIMEOUT, self.0.db.ping()).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(AuthError::Database("the database does not answer in time".to_owned())),
        }
    }

    /// The accounts themselves, for the command line.
    pub fn admin(&self) -> Admin {
        Admin::new(self.0.db.clone(), self.0.hashing.clone(), self.0.local_domains.clone())
    }
}

#[tonic::async_trait]
impl Auth for AuthService {
    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::Login>, Status> {
        let span = info_span!("authenticate");
        mail_rpc::adopt_trace_context(&span, request.metadata());
        let begun = Instant::now();
        answer("Auth.Authenticate", begun, self.0.authenticate(request.into_inner()).instrument(span).await)
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::Login>, Status> {
        let span = info_span!("renew");
        mail_rpc::adopt_trace_context(&span, request.metadata());
        let begun = Instant::now();
        answer("Auth.Renew", begun, self.0.renew(request.into_inner()).instrument(span).await)
    }

    async fn resolve(
        &self,
        request: Request<pb::ResolveRequest>,
    ) -> Result<Response<pb::ResolveReply>, Status> {
        let span = info_span!("resolve");
        mail_rpc::adopt_trace_context(&span, request.metadata());
        let begun = Instant::now();
        answer("Auth.Resolve", begun, self.0.resolve(request.into_inner()).instrument(span).await)
    }
}

fn answer<T>(rpc: &'static str, begun: Instant, result: Result<T, Refusal>) -> Result<Response<T>, Status> {
    let answer = result.map_err(Status::from);
    metrics().served(rpc, mail_rpc::outcome(&answer), begun.elapsed());
    answer.map(Response::new)
}

/// What the caller hears of a failing database; the log hears the rest.
impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        metrics().error("auth", "database");
        match error {
            DbError::Away(_) => {
                warn!(%error, "a login or recipient could not be looked up");
                Refusal::Unavailable("accounts cannot be looked up now; try again".to_owned())
            }
            _ => {
                error!(%error, "a login or recipient could not be looked up");
                Refusal::Internal("internal error".to_owned())
            }
        }
    }
}
