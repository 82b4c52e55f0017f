//! SQLite, in the same file as the mail.

use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::DbError;

/// The mail store's writer has the file for a while at times.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Each is a thread.
const CONNECTIONS_MAX: u32 = 4;

pub(super) struct Sqlite {
    pub(super) pool: SqlitePool,
}

impl Sqlite {
    /// Takes the write lock at once: a transaction that begins as a reader may not become a writer later.
    pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

    pub(super) fn open(url: &str) -> Result<Self, sqlx::Error> {
        let options = url
            .parse::<SqliteConnectOptions>()?
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        if let Some(directory) = options.get_filename().parent() {
            std::fs::create_dir_all(directory)?;
        }
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    pub(super) async fn migrate_tables(&self) -> Result<(), DbError> {
        let mut migrator = sqlx::migrate!("../../migrations/sqlite-auth");
        // Storage has its own in the same file.
        migrator.dangerous_set_table_name("auth_migrations");
        Ok(migrator.run(&self.pool).await?)
    }

    /// A file does not go away.
    pub(super) fn attempts(&self) -> u32 {
        1
    }
}
