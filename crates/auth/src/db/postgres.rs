//! PostgreSQL.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::DbError;

/// A login must not wait longer for a free connection: its client's deadline is counted in seconds.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const LIFETIME_MAX: Duration = Duration::from_secs(30 * 60);
/// Every statement here takes milliseconds. In milliseconds.
const STATEMENT_TIMEOUT: &str = "5000";
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "10000";

pub(super) struct Postgres {
    pub(super) pool: PgPool,
    connections_max: u32,
}

impl Postgres {
    pub(super) const BEGIN: &str = "BEGIN";

    pub(super) fn open(url: &str, connections_max: u32) -> Result<Self, sqlx::Error> {
        let options = url.parse::<PgConnectOptions>()?.application_name("todoku-auth").options([
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", STATEMENT_TIMEOUT),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
        ]);
        let connections_max = connections_max.max(1);
        let pool = PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(LIFETIME_MAX)
            // A ping before each statement would double its time; see `attempts`.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool, connections_max })
    }

    pub(super) async fn migrate_tables(&self) -> Result<(), DbError> {
        let mut migrator = sqlx::migrate!("../../migrations/postgres-auth");
        // Storage has its own, perhaps in the same database.
        migrator.dangerous_set_table_name("auth_migrations");
        Ok(migrator.run(&self.pool).await?)
    }

    /// After a restart of the server every pooled connection is dead, and fails once when it is used.
    pub(super) fn attempts(&self) -> u32 {
        self.connections_max + 1
    }
}
