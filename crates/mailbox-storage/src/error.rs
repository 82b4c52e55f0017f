//! What can go wrong, sorted by whose fault it is, and the one place where it becomes a gRPC status.

use mail_rpc::Refusal;
use tonic::Status;
use tracing::{error, warn};

/// Why a storage could not be opened or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Neither `sqlite:` nor `postgres:`.
    #[error("the database URL must begin with sqlite: or postgres:")]
    UnknownDatabase,
    /// The database cannot be reached or opened.
    #[error("cannot open the database: {0}")]
    Open(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("cannot bring the mail tables up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A check or a sweep could not be run to its end.
    #[error("the database failed: {0}")]
    Failed(String),
}

pub(crate) type DbResult<T> = Result<T, DbError>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("damaged data: {0}")]
    Damaged(String),
    /// The transaction this was part of failed.
    #[error("the shared transaction failed: {0}")]
    Shared(String),
    #[error("the writer has stopped")]
    Closed,
}

impl DbError {
    /// May it have been committed all the same? Then it must not be tried again without a key.
    pub(crate) fn is_unknown(&self) -> bool {
        match self {
            // 08: connection trouble; 57: shut down; 40003: completion unknown.
            Self::Sql(sqlx::Error::Database(error)) => error
                .code()
                .is_some_and(|code| code.starts_with("08") || code.starts_with("57P") || code == "40003"),
            Self::Sql(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => false,
            Self::Sql(sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. }) => false,
            Self::Sql(_) => true,
            Self::Refused(_) | Self::Damaged(_) | Self::Shared(_) | Self::Closed => false,
        }
    }

    /// Lost a race (deadlock, serialisation) and left nothing behind: worth another try.
    pub(crate) fn is_lost_race(&self) -> bool {
        matches!(self, Self::Sql(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| matches!(&*code, "40P01" | "40001" | "23505" | "55P03")))
    }

    /// The database is away, full or too busy, as opposed to us being wrong.
    fn is_unavailable(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => {
                // PostgreSQL: 08 connection, 25006 read-only, 40 lost a race, 53 out of disk, memory or connections,
                // 55P03 lock timeout, 57 shut down or statement timeout.
                // SQLite: 5 busy, 6 locked, 8 read-only, 10 I/O, 13 full; extended codes are these in the low byte.
                error.code().is_some_and(|code| {
                    let sqlite = code.parse::<u32>().ok().filter(|_| code.len() != 5).map(|code| code & 0xff);
                    matches!(sqlite, Some(5 | 6 | 8 | 10 | 13))
                        || ["08", "40", "53", "57"]
                            .iter()
                            .any(|class| code.starts_with(class) && code.len() == 5)
                        || code == "55P03"
                        || code == "25006"
                })
            }
            Self::Sql(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => true,
            Self::Shared(_) | Self::Closed => true,
            Self::Sql(_) | Self::Refused(_) | Self::Damaged(_) => false,
        }
    }
}

impl From<DbError> for Status {
    fn from(failure: DbError) -> Self {
        if let DbError::Refused(refusal) = failure {
            return refusal.into();
        }
        if failure.is_unavailable() {
            warn!(error = %failure, "the database did not answer as it should; the caller may try again");
            service_runtime::metrics().error("storage", "database_away");
            return Refusal::Unavailable("the mail store is busy; try again".into()).into();
        }
        error!(error = %failure, "the database refused a statement of ours");
        service_runtime::metrics().error("storage", "database");
        Refusal::Internal("internal error in the mail store".into()).into()
    }
}

impl From<DbError> for StorageError {
    fn from(failure: DbError) -> Self {
        Self::Failed(failure.to_string())
    }
}
