//! The sweep's statements.

use super::*;

/// Each look at the queue removes messages and content without a reference, and the queue entry.
pub(super) async fn garbage(conn: &mut SqliteConnection, before: i64, limit: i64) -> DbResult<u64> {
    let due: Vec<(i64, i64)> =
        sqlx::query_as("SELECT account_id, message_id FROM garbage WHERE since < $1 ORDER BY since LIMIT $2")
            .bind(before)
            .bind(limit)
            .fetch_all(&mut *conn)
            .await?;
    let pairs: Vec<String> = due.iter().map(|(account, message)| format!("[{account},{message}]")).collect();
    if pairs.is_empty() {
        return Ok(0);
    }
    sqlx::query(
        "CREATE TEMP TABLE IF NOT EXISTS doomed (account_id INTEGER, message_id INTEGER, dead INTEGER);
         DELETE FROM doomed;
         INSERT INTO doomed SELECT value ->> 0, value ->> 1, NOT EXISTS (SELECT 1 FROM mailbox_message mm
           WHERE mm.account_id = value ->> 0 AND mm.message_id = value ->> 1) FROM json_each($1);
         DELETE FROM content WHERE (account_id, message_id) IN (SELECT account_id, message_id FROM doomed WHERE dead);
         DELETE FROM message_text WHERE (account_id, message_id) IN (SELECT account_id, message_id FROM doomed WHERE dead);
         DELETE FROM message WHERE (account_id, id) IN (SELECT account_id, message_id FROM doomed WHERE dead);
         DELETE FROM garbage WHERE (account_id, message_id) IN (SELECT account_id, message_id FROM doomed);
         DELETE FROM doomed;",
    )
    .bind(format!("[{}]", pairs.join(",")))
    .execute(conn)
    .await?;
    Ok(pairs.len() as u64)
}

pub(super) async fn keys(conn: &mut SqliteConnection, before: i64) -> DbResult<u64> {
    let done =
        sqlx::query("DELETE FROM delivery_key WHERE created_at < $1").bind(before).execute(conn).await?;
    Ok(done.rows_affected())
}

pub(super) async fn tombstones(conn: &mut SqliteConnection, before: i64, kept: i64) -> DbResult<u64> {
    let doomed: Vec<(i64, i64, i64)> =
        sqlx::query_as(DOOMED).bind(before).bind(kept).fetch_all(&mut *conn).await?;
    let mut removed = 0;
    for (account, mailbox, floor) in doomed {
        sqlx::query(
            "UPDATE mailbox SET tombstone_floor = max(tombstone_floor, $3) WHERE account_id = $1 AND id = $2",
        )
        .bind(account)
        .bind(mailbox)
        .bind(floor)
        .execute(&mut *conn)
        .await?;
        let done = sqlx::query(
            "DELETE FROM tombstone_run WHERE account_id = $1 AND mailbox_id = $2 AND modseq <= $3",
        )
        .bind(account)
        .bind(mailbox)
        .bind(floor)
        .execute(&mut *conn)
        .await?;
        removed += done.rows_affected();
    }
    Ok(removed)
}

pub(super) async fn outdated(
    pool: &SqlitePool,
    version: i32,
    limit: i64,
) -> DbResult<Vec<(AccountId, MessageId)>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(OUTDATED).bind(version).bind(limit).fetch_all(pool).await?;
    rows.into_iter().map(message_key).collect()
}

pub(super) async fn lease(
    conn: &mut SqliteConnection,
    task: &'static str,
    (holder, until, now): (i64, i64, i64),
) -> DbResult<bool> {
    let done = sqlx::query(LEASE).bind(task).bind(holder).bind(until).bind(now).execute(conn).await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn rebuild(conn: &mut SqliteConnection, batch: Vec<Rebuild>, version: i32) -> DbResult<u64> {
    for account in accounts_of(&batch) {
        sqlx::query(NEXT_EPOCH).bind(account.as_i64()).execute(&mut *conn).await?;
    }
    let mut rebuilt = 0;
    for one in &batch {
        rebuilt += u64::from(rebuild_one!(conn, one, version));
    }
    Ok(rebuilt)
}

pub(super) async fn accounts(pool: &SqlitePool, after: AccountId, limit: i64) -> DbResult<Vec<AccountId>> {
    let rows: Vec<i64> =
        sqlx::query_scalar(ACCOUNTS).bind(after.as_i64()).bind(limit).fetch_all(pool).await?;
    rows.into_iter().map(|id| AccountId::try_from(id).map_err(damaged)).collect()
}

pub(super) async fn raise(conn: &mut SqliteConnection, account: AccountId) -> DbResult<Raised> {
    Ok(raise_account!(conn, account.as_i64()))
}
