//! Rebuilding, and who does it.

use super::*;

pub(super) async fn outdated(
    pool: &PgPool,
    version: i32,
    limit: i64,
) -> DbResult<Vec<(AccountId, MessageId)>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(OUTDATED).bind(version).bind(limit).fetch_all(pool).await?;
    rows.into_iter().map(message_key).collect()
}

pub(super) async fn lease(pool: &PgPool, task: &str, holder: i64, until: i64, now: i64) -> DbResult<bool> {
    let done = sqlx::query(LEASE).bind(task).bind(holder).bind(until).bind(now).execute(pool).await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn rebuild(pool: &PgPool, batch: &[Rebuild], version: i32) -> DbResult<u64> {
    let mut tx = pool.begin().await?;
    // The account's row first: the sweep takes its messages after it.
    for account in accounts_of(batch) {
        sqlx::query(NEXT_EPOCH).bind(account.as_i64()).execute(&mut *tx).await?;
    }
    let mut rebuilt = 0;
    for one in batch {
        rebuilt += u64::from(rebuild_one!(tx, one, version));
    }
    tx.commit().await?;
    Ok(rebuilt)
}

pub(super) async fn accounts(pool: &PgPool, after: AccountId, limit: i64) -> DbResult<Vec<AccountId>> {
    let rows: Vec<i64> =
        sqlx::query_scalar(ACCOUNTS).bind(after.as_i64()).bind(limit).fetch_all(pool).await?;
    rows.into_iter().map(|id| AccountId::try_from(id).map_err(damaged)).collect()
}

pub(super) async fn raise(pool: &PgPool, account: AccountId) -> DbResult<Raised> {
    let mut tx = pool.begin().await?;
    // Every message of the account is written; nobody waits for it.
    sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
    let raised = raise_account!(tx, account.as_i64());
    tx.commit().await?;
    Ok(raised)
}
