//! What SORT and THREAD look at.

use sqlx::AssertSqlSafe;

use super::read::NAMED;
use super::*;

pub(super) async fn read(
    pool: &SqlitePool,
    (account, mailbox, uids): (AccountId, MailboxId, &UidSet),
    with_keys: bool,
    limit: i64,
) -> DbResult<Vec<KeyRow>> {
    let (keys, join) = match with_keys {
        true => ("k.keys", "LEFT JOIN message_keys k ON k.account_id = $1 AND k.message_id = mm.message_id"),
        false => ("NULL", ""),
    };
    let sql =
        format!("SELECT mm.uid, mm.message_id, mm.size, mm.received_at, {keys} FROM {NAMED} {join} LIMIT $4");
    let rows: Vec<KeyFields> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(ranges_json(uids))
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(KeyRow::from).collect())
}
