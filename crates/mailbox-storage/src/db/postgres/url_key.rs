//! Mailbox access keys.

use super::*;

pub(super) async fn get(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    fresh: Option<Vec<u8>>,
) -> DbResult<Option<Vec<u8>>> {
    if let Some(fresh) = fresh {
        sqlx::query("INSERT INTO url_key VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(account.as_i64())
            .bind(mailbox.as_i64())
            .bind(fresh)
            .execute(pool)
            .await?;
    }
    Ok(sqlx::query_scalar("SELECT key FROM url_key WHERE account_id = $1 AND mailbox_id = $2")
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .fetch_optional(pool)
        .await?)
}

pub(super) async fn reset(
    pool: &PgPool,
    account: AccountId,
    other: Option<(MailboxId, Vec<u8>)>,
) -> DbResult<()> {
    let query = match other {
        Some((mailbox, key)) => sqlx::query(
            "INSERT INTO url_key VALUES ($1, $2, $3)
               ON CONFLICT (account_id, mailbox_id) DO UPDATE SET key = excluded.key",
        )
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(key),
        None => sqlx::query("DELETE FROM url_key WHERE account_id = $1").bind(account.as_i64()),
    };
    query.execute(pool).await?;
    Ok(())
}
