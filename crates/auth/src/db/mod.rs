//! What is kept about accounts, behind one narrow trait.
//!
//! **Invariant:** no rules in here, and every call is one statement or one short transaction.

mod postgres;
mod sqlite;
mod statements;

use std::sync::Arc;

use async_trait::async_trait;
use mail_types::AccountId;

/// Whose account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Never used again for somebody else.
    pub id: AccountId,
    /// The account's own address as its owner spells it.
    pub address: String,
    /// Whether its owner may log in and mail is accepted for it.
    pub enabled: bool,
    /// Seconds since 1970 UTC.
    pub created_at: i64,
}

/// What a verifier is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Chosen by a person; one per account.
    Password,
    /// Generated, for one device.
    AppPassword,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::AppPassword => "app-password",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Password, Self::AppPassword].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One way to prove to be the account's owner.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) verifier: String,
    pub(crate) label: String,
    pub(crate) version: i64,
}

/// An account to be made.
pub(crate) struct NewAccount<'a> {
    pub(crate) normalised: &'a str,
    pub(crate) address: &'a str,
    pub(crate) verifier: &'a str,
    pub(crate) now: i64,
}

/// What is there for one address.
pub(crate) struct Found {
    /// The domain is in the table.
    pub(crate) domain: bool,
    /// Those of the addresses asked for that exist, with their accounts.
    pub(crate) matches: Vec<(String, Account)>,
}

/// Why the database did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    /// The address belongs to somebody already, or the domain is there.
    #[error("taken already")]
    Taken,
    /// Away, starting, stopping or too busy: try again.
    #[error("the database is away: {0}")]
    Away(#[source] sqlx::Error),
    /// Anything else is our fault.
    #[error("the database refused: {0}")]
    Broken(#[source] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("cannot migrate the tables: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refused) if refused.is_unique_violation() => Self::Taken,
            sqlx::Error::Database(refused) if refused.code().is_some_and(|code| is_passing(&code)) => {
                Self::Away(error)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => Self::Away(error),
            _ => Self::Broken(error),
        }
    }
}

/// Codes of conditions that pass. PostgreSQL: connection (08), rollback (40), resources (53), locks (55),
/// operator (57), system (58), and a standby's refusal to write (25006). SQLite: busy, locked, I/O error, full.
fn is_passing(code: &str) -> bool {
    const POSTGRES: [&str; 7] = ["08", "40", "53", "55", "57", "58", "25006"];
    const SQLITE: [i32; 4] = [5, 6, 10, 13];
    if code.len() == 5 && POSTGRES.iter().any(|class| code.starts_with(class)) {
        return true;
    }
    // The low byte is the code, the rest says more about it.
    code.len() < 5 && code.parse::<i32>().is_ok_and(|code| SQLITE.contains(&(code & 0xff)))
}

/// The batch operations that both databases have.
#[async_trait]
pub(crate) trait Db: Send + Sync {
    /// Brings the tables up to date.
    async fn migrate(&self) -> Result<(), DbError>;
    /// Whether the database answers and the tables are there.
    async fn ping(&self) -> Result<(), DbError>;

    /// The account of an address, and all its credentials.
    async fn login(&self, normalised: &str) -> Result<Option<(Account, Vec<Credential>)>, DbError>;
    /// The account of an id.
    async fn account(&self, id: AccountId) -> Result<Option<Account>, DbError>;
    /// The accounts of any of three addresses.
    async fn find(&self, domain: &str, normalised: [&str; 3]) -> Result<Found, DbError>;

    /// All accounts, by address.
    async fn account_list(&self) -> Result<Vec<Account>, DbError>;
    /// [`DbError::Taken`] when the address is.
    async fn account_add(&self, account: NewAccount<'_>) -> Result<AccountId, DbError>;
    /// `false` when there is none.
    async fn account_remove(&self, id: AccountId) -> Result<bool, DbError>;
    /// `false` when there is none.
    async fn account_enable(&self, id: AccountId, enabled: bool) -> Result<bool, DbError>;

    /// [`DbError::Taken`] when it is.
    async fn address_add(&self, id: AccountId, normalised: &str, address: &str) -> Result<(), DbError>;
    /// `false` when the account has no such address.
    async fn address_remove(&self, id: AccountId, normalised: &str) -> Result<bool, DbError>;
    /// Normalised form and spelling, by the first.
    async fn address_list(&self, id: AccountId) -> Result<Vec<(String, String)>, DbError>;

    /// Makes or changes the account's password.
    async fn password_set(&self, id: AccountId, verifier: &str, now: i64) -> Result<(), DbError>;
    /// Adds an app password; its id.
    async fn app_password_add(
        &self,
        id: AccountId,
        verifier: &str,
        label: &str,
        now: i64,
    ) -> Result<i64, DbError>;
    /// `false` when there is none.
    async fn app_password_remove(&self, id: AccountId, credential: i64) -> Result<bool, DbError>;

    /// By name.
    async fn domain_list(&self) -> Result<Vec<String>, DbError>;
    /// [`DbError::Taken`] when it is there.
    async fn domain_add(&self, name: &str, now: i64) -> Result<(), DbError>;
    /// `false` when there is none.
    async fn domain_remove(&self, name: &str) -> Result<bool, DbError>;
}

/// The database at this address, which need not answer yet.
pub(crate) fn open(url: &str, connections_max: u32) -> Result<Arc<dyn Db>, sqlx::Error> {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("postgres" | "postgresql") => Ok(Arc::new(postgres::Postgres::open(url, connections_max)?)),
        Some("sqlite") => Ok(Arc::new(sqlite::Sqlite::open(url)?)),
        _ => Err(sqlx::Error::Configuration("a database address begins with postgres: or sqlite:".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_refusals_pass() {
        for passing in ["57P01", "53300", "08006", "40001", "55P03", "25006", "5", "6", "261", "517", "13"] {
            assert!(is_passing(passing), "{passing}");
        }
        for ours in ["42601", "42P01", "23503", "22021", "25001", "1", "19", "787", ""] {
            assert!(!is_passing(ours), "{ours}");
        }
    }

    #[test]
    fn kinds_go_there_and_back() {
        for kind in [Kind::Password, Kind::AppPassword] {
            assert_eq!(Kind::read(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::read("scram"), None);
    }
}
