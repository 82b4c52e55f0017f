//! The statements. The two databases agree on every one of them, so each is written once; what they differ in is
//! how to open them and how a transaction begins.

use async_trait::async_trait;
use mail_types::AccountId;

use super::postgres::Postgres;
use super::sqlite::Sqlite;
use super::{Account, Credential, Db, DbError, Found, Kind, NewAccount};

type AccountRow = (i64, String, bool, i64);
type CredentialRow = (Option<i64>, Option<String>, Option<String>, Option<String>, Option<i64>);
type LoginRow =
    (i64, String, bool, i64, Option<i64>, Option<String>, Option<String>, Option<String>, Option<i64>);
type FoundRow = (bool, Option<String>, Option<i64>, Option<String>, Option<bool>, Option<i64>);

/// Tries a read again while it fails because of a dead connection.
macro_rules! read {
    ($self:ident, $query:expr) => {{
        let mut attempt = 1;
        loop {
            match $query.await {
                Err(error) if is_dead(&error) && attempt < $self.attempts() => attempt += 1,
                other => break other.map_err(DbError::from),
            }
        }
    }};
}

/// Implements [`super::Db`] for a type that has `pool`, `BEGIN`, `migrate_tables` and `attempts`.
macro_rules! implement {
    ($database:ty) => {
        #[async_trait]
        impl Db for $database {
            async fn migrate(&self) -> Result<(), DbError> {
                self.migrate_tables().await
            }

            async fn ping(&self) -> Result<(), DbError> {
                let statement = "SELECT count(*) FROM domain";
                read!(self, sqlx::query_scalar::<_, i64>(statement).fetch_one(&self.pool)).map(drop)
            }

            async fn login(
                &self,
                normalised: &str,
            ) -> Result<Option<(Account, Vec<Credential>)>, DbError> {
                let statement = "SELECT c.id, c.address, c.enabled, c.created_at, k.id, k.kind, k.verifier, k.label, k.version \
                     FROM address a JOIN account c ON c.id = a.account_id \
                     LEFT JOIN credential k ON k.account_id = c.id WHERE a.normalised = $1 ORDER BY k.id";
                let rows: Vec<LoginRow> =
                    read!(self, sqlx::query_as(statement).bind(normalised).fetch_all(&self.pool))?;
                read_login(rows)
            }

            async fn account(&self, id: AccountId) -> Result<Option<Account>, DbError> {
                let statement = "SELECT id, address, enabled, created_at FROM account WHERE id = $1";
                let row: Option<AccountRow> =
                    read!(self, sqlx::query_as(statement).bind(id.as_i64()).fetch_optional(&self.pool))?;
                row.map(read_account).transpose()
            }

            async fn find(
                &self,
                domain: &str,
                normalised: [&str; 3],
            ) -> Result<Found, DbError> {
                let statement = "SELECT d.found, a.normalised, c.id, c.address, c.enabled, c.created_at \
                     FROM (SELECT EXISTS (SELECT 1 FROM domain WHERE name = $1) AS found) d \
                     LEFT JOIN address a ON a.normalised IN ($2, $3, $4) \
                     LEFT JOIN account c ON c.id = a.account_id";
                let [exact, user, catch_all] = normalised;
                let query = || sqlx::query_as(statement).bind(domain).bind(exact).bind(user).bind(catch_all);
                let rows: Vec<FoundRow> = read!(self, query().fetch_all(&self.pool))?;
                let domain = rows.first().is_some_and(|row| row.0);
                let matches = rows.into_iter().filter_map(read_match);
                let matches = matches.map(|(normalised, row)| Ok((normalised, read_account(row)?)));
                Ok(Found { domain, matches: matches.collect::<Result<_, DbError>>()? })
            }

            async fn account_list(&self) -> Result<Vec<Account>, DbError> {
                let statement = "SELECT id, address, enabled, created_at FROM account ORDER BY lower(address), id";
                let rows: Vec<AccountRow> = read!(self, sqlx::query_as(statement).fetch_all(&self.pool))?;
                rows.into_iter().map(read_account).collect()
            }

            async fn account_add(&self, account: NewAccount<'_>) -> Result<AccountId, DbError> {
                let mut tx = self.pool.begin_with(Self::BEGIN).await?;
                let statement = "INSERT INTO account (address, created_at) VALUES ($1, $2) RETURNING id";
                let id: i64 = sqlx::query_scalar(statement)
                    .bind(account.address)
                    .bind(account.now)
                    .fetch_one(&mut *tx)
                    .await?;
                sqlx::query("INSERT INTO address (normalised, address, account_id) VALUES ($1, $2, $3)")
                    .bind(account.normalised)
                    .bind(account.address)
                    .bind(id)
                    .execute(&mut *tx)
                    .await?;
                sqlx::query(
                    "INSERT INTO credential (account_id, id, kind, verifier, created_at) VALUES ($1, 1, 'password', $2, $3)",
                )
                .bind(id)
                .bind(account.verifier)
                .bind(account.now)
                .execute(&mut *tx)
                .await?;
                tx.commit().await?;
                read_id(id)
            }

            async fn account_remove(&self, id: AccountId) -> Result<bool, DbError> {
                let delete = sqlx::query("DELETE FROM account WHERE id = $1").bind(id.as_i64());
                Ok(delete.execute(&self.pool).await?.rows_affected() > 0)
            }

            async fn account_enable(&self, id: AccountId, enabled: bool) -> Result<bool, DbError> {
                let update =
                    sqlx::query("UPDATE account SET enabled = $2 WHERE id = $1").bind(id.as_i64()).bind(enabled);
                Ok(update.execute(&self.pool).await?.rows_affected() > 0)
            }

            async fn address_add(
                &self,
                id: AccountId,
                normalised: &str,
                address: &str,
            ) -> Result<(), DbError> {
                sqlx::query("INSERT INTO address (normalised, address, account_id) VALUES ($1, $2, $3)")
                    .bind(normalised)
                    .bind(address)
                    .bind(id.as_i64())
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn address_remove(&self, id: AccountId, normalised: &str) -> Result<bool, DbError> {
                let delete = sqlx::query("DELETE FROM address WHERE account_id = $1 AND normalised = $2")
                    .bind(id.as_i64())
                    .bind(normalised);
                Ok(delete.execute(&self.pool).await?.rows_affected() > 0)
            }

            async fn address_list(&self, id: AccountId) -> Result<Vec<(String, String)>, DbError> {
                let statement =
                    "SELECT normalised, address FROM address WHERE account_id = $1 ORDER BY normalised";
                read!(self, sqlx::query_as(statement).bind(id.as_i64()).fetch_all(&self.pool))
            }

            async fn password_set(&self, id: AccountId, verifier: &str, now: i64) -> Result<(), DbError> {
                sqlx::query(
                    "INSERT INTO credential (account_id, id, kind, verifier, created_at) \
                     SELECT $1, coalesce(max(id), 0) + 1, 'password', $2, $3 FROM credential WHERE account_id = $1 \
                     ON CONFLICT (account_id) WHERE kind = 'password' DO UPDATE \
                     SET verifier = excluded.verifier, version = credential.version + 1, created_at = excluded.created_at",
                )
                .bind(id.as_i64())
                .bind(verifier)
                .bind(now)
                .execute(&self.pool)
                .await?;
                Ok(())
            }

            async fn app_password_add(
                &self,
                id: AccountId,
                verifier: &str,
                label: &str,
                now: i64,
            ) -> Result<i64, DbError> {
                let statement = "INSERT INTO credential (account_id, id, kind, verifier, label, created_at) \
                     SELECT $1, coalesce(max(id), 0) + 1, 'app-password', $2, $3, $4 \
                     FROM credential WHERE account_id = $1 RETURNING id";
                Ok(sqlx::query_scalar(statement)
                    .bind(id.as_i64())
                    .bind(verifier)
                    .bind(label)
                    .bind(now)
                    .fetch_one(&self.pool)
                    .await?)
            }

            async fn app_password_remove(&self, id: AccountId, credential: i64) -> Result<bool, DbError> {
                let statement =
                    "DELETE FROM credential WHERE account_id = $1 AND id = $2 AND kind = 'app-password'";
                let delete = sqlx::query(statement).bind(id.as_i64()).bind(credential);
                Ok(delete.execute(&self.pool).await?.rows_affected() > 0)
            }

            async fn domain_list(&self) -> Result<Vec<String>, DbError> {
                let statement = "SELECT name FROM domain ORDER BY name";
                read!(self, sqlx::query_scalar(statement).fetch_all(&self.pool))
            }

            async fn domain_add(&self, name: &str, now: i64) -> Result<(), DbError> {
                sqlx::query("INSERT INTO domain (name, created_at) VALUES ($1, $2)")
                    .bind(name)
                    .bind(now)
                    .execute(&self.pool)
                    .await?;
                Ok(())
            }

            async fn domain_remove(&self, name: &str) -> Result<bool, DbError> {
                let delete = sqlx::query("DELETE FROM domain WHERE name = $1").bind(name);
                Ok(delete.execute(&self.pool).await?.rows_affected() > 0)
            }
        }
    };
}

implement!(Postgres);
implement!(Sqlite);

fn read_account((id, address, enabled, created_at): AccountRow) -> Result<Account, DbError> {
    Ok(Account { id: read_id(id)?, address, enabled, created_at })
}

fn read_id(id: i64) -> Result<AccountId, DbError> {
    AccountId::try_from(id).map_err(|error| DbError::Broken(sqlx::Error::Decode(error.into())))
}

/// `None` for an account without any, and for a kind that a newer version made.
fn read_credential((id, kind, verifier, label, version): CredentialRow) -> Option<Credential> {
    Some(Credential {
        id: id?,
        kind: Kind::read(&kind?)?,
        verifier: verifier?,
        label: label?,
        version: version?,
    })
}

/// `None` for a row without an account.
fn read_match((_, normalised, id, address, enabled, created_at): FoundRow) -> Option<(String, AccountRow)> {
    Some((normalised?, (id?, address?, enabled?, created_at?)))
}

/// All rows are of one account.
fn read_login(rows: Vec<LoginRow>) -> Result<Option<(Account, Vec<Credential>)>, DbError> {
    let mut account = None;
    let mut credentials = Vec::new();
    for (id, address, enabled, created_at, credential, kind, verifier, label, version) in rows {
        account = Some((id, address, enabled, created_at));
        credentials.extend(read_credential((credential, kind, verifier, label, version)));
    }
    let account = account.map(read_account).transpose()?;
    Ok(account.map(|account| (account, credentials)))
}

/// The connection ended before the statement began: PostgreSQL was stopped, or ended it (57P01 to 57P03).
fn is_dead(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(refused) => refused.code().is_some_and(|code| code.starts_with("57P0")),
        _ => false,
    }
}
