//! A service on a database of its own.

use std::sync::atomic::{AtomicU32, Ordering};

use auth::{Admin, AuthConfig, AuthService};
use mail_rpc::pb::auth_server::Auth;
use mail_rpc::{GrantKey, Refusal, pb};
use sqlx::{Connection, PgConnection};
use tonic::Request;

pub(crate) const ANNA: &str = "Anna@example.org";
pub(crate) const BOB: &str = "bob@example.org";
pub(crate) const ANNAS_PASSWORD: &str = "annas password";
pub(crate) const BOBS_PASSWORD: &str = "bobs password";

pub(crate) struct Fixture {
    pub(crate) service: AuthService,
    pub(crate) admin: Admin,
    pub(crate) url: String,
    pub(crate) database: Option<Database>,
    _dir: Option<tempfile::TempDir>,
}

/// A database to be dropped.
#[derive(Clone)]
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    async fn create() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("TODOKU_TEST_POSTGRES").expect(
            "TODOKU_TEST_POSTGRES is not set: run the tests with `cargo xtask test`, which starts a private PostgreSQL",
        );
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let database = Self { server, name: format!("auth_test_{}_{number}", std::process::id()) };
        database.run(format!("CREATE DATABASE {}", database.name)).await;
        database
    }

    pub(crate) async fn remove(self) {
        self.run(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }

    pub(crate) async fn end_connections(&self) {
        self.run(format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ))
        .await;
    }

    fn url(&self) -> String {
        let (address, options) =
            self.server.split_once('?').map_or((&*self.server, None), |(a, o)| (a, Some(o)));
        let (server, _) = address.rsplit_once('/').expect("a URL with a database name");
        let options = options.map_or_else(String::new, |options| format!("?{options}"));
        format!("{server}/{}{options}", self.name)
    }

    async fn run(&self, statement: String) {
        let mut connection = PgConnection::connect(&self.server).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
}

pub(crate) fn key() -> GrantKey {
    GrantKey::from_secret(b"a secret of the tests")
}

pub(crate) async fn open(url: &str, domains: &[&str]) -> AuthService {
    let mut config = AuthConfig::new(url, key());
    config.local_domains = domains.iter().map(|domain| (*domain).to_owned()).collect();
    AuthService::open(config).await.unwrap()
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("data/todoku.db").display());
        Self { _dir: Some(dir), ..Self::new(url, None).await }
    }

    pub(crate) async fn postgres() -> Self {
        let database = Database::create().await;
        Self::new(database.url(), Some(database)).await
    }

    async fn new(url: String, database: Option<Database>) -> Self {
        let service = open(&url, &["example.org"]).await;
        assert!(service.ready().await.is_err(), "not ready without tables");
        service.migrate().await.unwrap();
        service.ready().await.unwrap();
        Self { admin: service.admin(), service, url, database, _dir: None }
    }

    /// With Anna and Bob.
    pub(crate) async fn with_people(self) -> Self {
        self.admin.account_add(ANNA, ANNAS_PASSWORD).await.unwrap();
        self.admin.account_add(BOB, BOBS_PASSWORD).await.unwrap();
        self
    }

    pub(crate) async fn login(&self, username: &str, password: &str) -> Result<pb::Login, Refusal> {
        login(&self.service, attempt(username, password)).await
    }

    pub(crate) async fn resolve_exact(&self, address: &str) -> pb::ResolveReply {
        let request = pb::ResolveRequest { address: address.to_owned(), exact: true };
        self.service.resolve(Request::new(request)).await.unwrap().into_inner()
    }

    pub(crate) async fn resolve(&self, address: &str) -> pb::ResolveReply {
        let request = pb::ResolveRequest { address: address.to_owned(), exact: false };
        self.service.resolve(Request::new(request)).await.unwrap().into_inner()
    }
}

pub(crate) fn attempt(username: &str, password: &str) -> pb::AuthenticateRequest {
    pb::AuthenticateRequest {
        username: username.to_owned(),
        password: password.to_owned(),
        protocol: pb::Protocol::Imap.into(),
        client_address: "127.0.0.1".to_owned(),
        ..Default::default()
    }
}

pub(crate) async fn login(
    service: &AuthService,
    attempt: pb::AuthenticateRequest,
) -> Result<pb::Login, Refusal> {
    match service.authenticate(Request::new(attempt)).await {
        Ok(login) => Ok(login.into_inner()),
        Err(status) => Err(status.into()),
    }
}
