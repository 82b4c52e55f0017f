//! What SORT and THREAD look at.

use super::read::FIRST_NAMED;
use super::*;

pub(super) async fn read(
    pool: &PgPool,
    (account, mailbox, uids): (AccountId, MailboxId, &UidSet),
    with_keys: bool,
    limit: i64,
) -> DbResult<Vec<KeyRow>> {
    let (keys, join) = match with_keys {
        true => (
            "k.keys",
            "LEFT JOIN LATERAL (SELECT x.keys FROM message_keys x
               WHERE x.account_id = $1 AND x.message_id = mm.message_id OFFSET 0) k ON true",
        ),
        false => ("NULL::bytea", ""),
    };
    let sql = format!(
        "SELECT mm.uid, mm.message_id, mm.size, mm.received_at, {keys} FROM {FIRST_NAMED} {join} ORDER BY mm.uid"
    );
    let (first, last) = bounds(uids);
    let rows: Vec<KeyFields> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(first)
        .bind(last)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(KeyRow::from).collect())
}
