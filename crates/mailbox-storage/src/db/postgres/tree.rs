//! The tree of mailboxes, read and changed.

use super::*;

/// Names in use before that are remembered; the earliest are forgotten.
const VACATED_NAMES_KEPT: i64 = 10_000;

pub(super) async fn load(conn: &mut PgConnection, account: AccountId) -> DbResult<Option<Tree>> {
    let counters: Option<(i64, i64, i64)> = sqlx::query_as(
        "SELECT next_mailbox_id, next_uidvalidity, annotation_version FROM account_store WHERE account_id = $1",
    )
    .bind(account.as_i64())
    .fetch_optional(&mut *conn)
    .await?;
    let Some((next_mailbox_id, next_uidvalidity, annotation_version)) = counters else { return Ok(None) };
    let columns = mailbox_columns("m");
    let sql = format!("SELECT {columns} FROM mailbox m WHERE m.account_id = $1 ORDER BY m.name");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(account.as_i64()).fetch_all(&mut *conn).await?;
    let ghosts =
        sqlx::query_scalar("SELECT name FROM subscription_ghost WHERE account_id = $1 ORDER BY name")
            .bind(account.as_i64())
            .fetch_all(&mut *conn)
            .await?;
    Ok(Some(Tree {
        next_mailbox_id,
        next_uidvalidity,
        annotation_version,
        mailboxes: rows.iter().map(|row| mailbox_row(row, 0)).collect::<DbResult<_>>()?,
        ghosts,
        vacated: Default::default(),
        acl: Vec::new(),
    }))
}

pub(super) async fn change(
    pool: &PgPool,
    account: AccountId,
    plan: &TreePlan,
) -> DbResult<Option<Vec<TreeChange>>> {
    let mut tx = pool.begin().await?;
    // Mailboxes first, the account's row after them: the order in which everybody locks.
    sqlx::query("SELECT 1 FROM mailbox WHERE account_id = $1 ORDER BY id FOR UPDATE")
        .bind(account.as_i64())
        .execute(&mut *tx)
        .await?;
    sqlx::query("SELECT 1 FROM account_store WHERE account_id = $1 FOR UPDATE")
        .bind(account.as_i64())
        .execute(&mut *tx)
        .await?;
    let Some(mut tree) = load(&mut tx, account).await? else { return Ok(None) };
    let vacated: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, uidvalidity FROM vacated_name WHERE account_id = $1")
            .bind(account.as_i64())
            .fetch_all(&mut *tx)
            .await?;
    tree.vacated = vacated.into_iter().collect();
    tree.acl = sharing::acl(&mut tx, account, None).await?;
    let changes = plan(&tree)?;
    for change in &changes {
        apply(&mut tx, account, change).await?;
    }
    tx.commit().await?;
    Ok(Some(changes))
}

async fn apply(conn: &mut PgConnection, account: AccountId, change: &TreeChange) -> DbResult<()> {
    let a = account.as_i64();
    let query = match change {
        TreeChange::Create { id, name, uidvalidity, special_use, subscribed, keywords } => sqlx::query(
            "INSERT INTO mailbox (account_id, id, name, uidvalidity, special_use, subscribed, keywords)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(a)
        .bind(id.as_i64())
        .bind(name.as_str())
        .bind(uidvalidity)
        .bind(special_use)
        .bind(subscribed)
        .bind(keywords.as_str()),
        TreeChange::Delete { id } => sqlx::query(DELETE).bind(a).bind(id.as_i64()).bind(crate::now()),
        TreeChange::Rename { id, name, uidvalidity, subscribed } => sqlx::query(
            "UPDATE mailbox SET name = $3, uidvalidity = $4, subscribed = $5 WHERE account_id = $1 AND id = $2",
        )
        .bind(a)
        .bind(id.as_i64())
        .bind(name.as_str())
        .bind(uidvalidity)
        .bind(subscribed),
        TreeChange::Subscribe { id, subscribed } => {
            sqlx::query("UPDATE mailbox SET subscribed = $3 WHERE account_id = $1 AND id = $2")
                .bind(a)
                .bind(id.as_i64())
                .bind(subscribed)
        }
        TreeChange::Ghost { name, subscribed: true } => {
            sqlx::query("INSERT INTO subscription_ghost VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(a)
                .bind(name.as_str())
        }
        TreeChange::Ghost { name, subscribed: false } => {
            sqlx::query("DELETE FROM subscription_ghost WHERE account_id = $1 AND name = $2")
                .bind(a)
                .bind(name.as_str())
        }
        TreeChange::Vacated { name, uidvalidity } => {
            sqlx::query(VACATE).bind(a).bind(name.as_str()).bind(uidvalidity).bind(VACATED_NAMES_KEPT)
        }
        TreeChange::Inherit { from, to } => return sharing::inherit(conn, account, *from, *to).await,
        TreeChange::MoveAll { from, to } => return move_all(conn, account, *from, *to).await,
        TreeChange::Counters { next_mailbox_id, next_uidvalidity } => sqlx::query(
            "UPDATE account_store SET next_mailbox_id = $2, next_uidvalidity = $3 WHERE account_id = $1",
        )
        .bind(a)
        .bind(next_mailbox_id)
        .bind(next_uidvalidity),
    };
    query.execute(conn).await?;
    Ok(())
}

const DELETE: &str = "
    WITH box AS (DELETE FROM mailbox WHERE account_id = $1 AND id = $2 RETURNING messages, bytes),
      gone AS (DELETE FROM mailbox_message WHERE account_id = $1 AND mailbox_id = $2 RETURNING message_id),
      queued AS (INSERT INTO garbage SELECT DISTINCT $1::bigint, message_id, $3::bigint FROM gone
        ON CONFLICT (account_id, message_id) DO UPDATE SET since = excluded.since),
      unburied AS (DELETE FROM tombstone_run WHERE account_id = $1 AND mailbox_id = $2),
      forgotten AS (DELETE FROM flag_change WHERE account_id = $1 AND mailbox_id = $2),
      bare AS (DELETE FROM annotation WHERE account_id = $1 AND mailbox_id = $2),
      unsigned AS (DELETE FROM url_key WHERE account_id = $1 AND mailbox_id = $2)
    UPDATE account_store SET used_bytes = used_bytes - box.bytes, used_messages = used_messages - box.messages
      FROM box WHERE account_id = $1";

const VACATE: &str = "
    WITH old AS (DELETE FROM vacated_name WHERE account_id = $1 AND name IN (
        SELECT name FROM vacated_name WHERE account_id = $1 AND name <> $2 ORDER BY uidvalidity DESC OFFSET $4))
    INSERT INTO vacated_name VALUES ($1, $2, $3) ON CONFLICT (account_id, name)
      DO UPDATE SET uidvalidity = greatest(vacated_name.uidvalidity, excluded.uidvalidity)";

async fn move_all(
    conn: &mut PgConnection,
    account: AccountId,
    from: MailboxId,
    to: MailboxId,
) -> DbResult<()> {
    // The destination began with the source's table of keywords, so every bit stays what it is.
    let flag_map = (0..mail_types::KEYWORDS_MAX)
        .map(|index| (FlagBits::keyword(index), FlagBits::keyword(index)))
        .collect();
    let request = Copy {
        account,
        source: from,
        destination: to,
        uids: UidSet::all(),
        moves: true,
        flag_map,
        now: crate::now(),
    };
    match write::copy(&mut *conn, &request).await? {
        CopyOutcome::Done(_) => {}
        other => return Err(damaged(format!("INBOX did not move: {other:?}"))),
    }
    sqlx::query(super::super::annotation::COPY)
        .bind(account.as_i64())
        .bind(from.as_i64())
        .bind(to.as_i64())
        .execute(conn)
        .await?;
    Ok(())
}
