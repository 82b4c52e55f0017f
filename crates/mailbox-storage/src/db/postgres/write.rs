//! Changes: calls of the functions in `migrations/postgres`.

use super::*;

pub(super) async fn account_create(
    pool: &PgPool,
    account: AccountId,
    limits: Limits,
    now: i64,
) -> DbResult<()> {
    sqlx::query(
        "INSERT INTO account_store (account_id, next_uidvalidity, limit_bytes, limit_messages)
         VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
    )
    .bind(account.as_i64())
    .bind(now)
    .bind(limits.bytes)
    .bind(limits.messages)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn account_purge(pool: &PgPool, account: AccountId) -> DbResult<()> {
    let mut tx = pool.begin().await?;
    sqlx::query("SELECT 1 FROM mailbox WHERE account_id = $1 ORDER BY id FOR UPDATE")
        .bind(account.as_i64())
        .execute(&mut *tx)
        .await?;
    for statement in [
        "DELETE FROM account_store WHERE account_id = $1",
        "DELETE FROM mailbox WHERE account_id = $1",
        "DELETE FROM mailbox_message WHERE account_id = $1",
        "DELETE FROM tombstone_run WHERE account_id = $1",
        "DELETE FROM flag_change WHERE account_id = $1",
        "DELETE FROM content WHERE account_id = $1",
        "DELETE FROM message_text WHERE account_id = $1",
        "DELETE FROM search_tail WHERE account_id = $1",
        "DELETE FROM search_segment WHERE account_id = $1",
        "DELETE FROM search_slices WHERE account_id = $1",
        "DELETE FROM message WHERE account_id = $1",
        "DELETE FROM delivery_key WHERE account_id = $1",
        "DELETE FROM garbage WHERE account_id = $1",
        "DELETE FROM subscription_ghost WHERE account_id = $1",
        "DELETE FROM vacated_name WHERE account_id = $1",
        "DELETE FROM annotation WHERE account_id = $1 OR reader_id = $1",
        "DELETE FROM url_key WHERE account_id = $1",
        "DELETE FROM acl WHERE account_id = $1 OR grantee_id = $1",
        "DELETE FROM reader_seen WHERE account_id = $1 OR reader_id = $1",
    ] {
        sqlx::query(statement).bind(account.as_i64()).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn quota_limit(
    pool: &PgPool,
    account: AccountId,
    limits: Limits,
) -> DbResult<Option<Quota>> {
    let row: Option<(i64, i64)> = sqlx::query_as(
        "UPDATE account_store SET limit_bytes = $2, limit_messages = $3 WHERE account_id = $1
         RETURNING used_bytes, used_messages",
    )
    .bind(account.as_i64())
    .bind(limits.bytes)
    .bind(limits.messages)
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(used_bytes, used_messages)| Quota {
        used_bytes,
        used_messages,
        limit_bytes: limits.bytes,
        limit_messages: limits.messages,
    }))
}

pub(super) async fn mailbox_keywords(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    old: &str,
    new: &str,
) -> DbResult<bool> {
    let done =
        sqlx::query("UPDATE mailbox SET keywords = $4 WHERE account_id = $1 AND id = $2 AND keywords = $3")
            .bind(account.as_i64())
            .bind(mailbox.as_i64())
            .bind(old)
            .bind(new)
            .execute(pool)
            .await?;
    Ok(done.rows_affected() > 0)
}

pub(super) async fn confirm(pool: &PgPool, keys: &[(AccountId, Vec<u8>)]) -> DbResult<()> {
    let accounts: Vec<i64> = keys.iter().map(|(account, _)| account.as_i64()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|(_, key)| key.as_slice()).collect();
    sqlx::query("SELECT mail_confirm($1, $2)").bind(accounts).bind(keys).execute(pool).await?;
    Ok(())
}

pub(super) async fn store_flags(
    pool: impl sqlx::PgExecutor<'_>,
    request: &StoreFlags,
) -> DbResult<Option<FlagsStored>> {
    let sql = format!(
        "SELECT {}, before, uids, flags_now, message_ids, modified FROM mail_store_flags($1, $2, $3, $4, $5, $6, $7)",
        mailbox_columns("(box)")
    );
    let (first, last) = bounds(&request.uids);
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.mailbox.as_i64())
        .bind(first)
        .bind(last)
        .bind(request.keep)
        .bind(request.set)
        .bind(request.unchanged_since)
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let state = mailbox_row(&row, 0)?;
    let at = MAILBOX_COLUMNS_LEN;
    let entries = entries(&row, [at + 1, at + 2, at + 3], state.highest_modseq)?;
    let before = row.try_get(at)?;
    Ok(Some(FlagsStored {
        written: Written { state, before, entries, vanished: UidSet::new() },
        modified: uid_set(array(&row, at + 4)?)?,
    }))
}

/// Entries of one mod-sequence from columns of UIDs, flags and messages.
fn entries(row: &PgRow, columns: [usize; 3], modseq: i64) -> DbResult<Vec<Entry>> {
    let [uids, flags, messages] = columns;
    array(row, uids)?
        .into_iter()
        .zip(array(row, flags)?)
        .zip(array(row, messages)?)
        .map(|((uid, flags), message)| entry(uid, flags, modseq, message))
        .collect()
}

pub(super) async fn expunge_pooled(pool: &PgPool, request: &Expunge) -> DbResult<Option<Written>> {
    expunge(&mut *pool.acquire().await?, request).await
}

pub(super) async fn expunge(conn: &mut PgConnection, request: &Expunge) -> DbResult<Option<Written>> {
    let columns = mailbox_columns("(box)");
    let sql = format!("SELECT {columns}, before, uids FROM mail_expunge($1, $2, $3, $4, $5, $6)");
    let (first, last) = bounds(&request.uids);
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.mailbox.as_i64())
        .bind(first)
        .bind(last)
        .bind(request.having.bits().cast_signed())
        .bind(request.now)
        .fetch_optional(conn)
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Written {
        state: mailbox_row(&row, 0)?,
        before: row.try_get(MAILBOX_COLUMNS_LEN)?,
        entries: Vec::new(),
        vanished: uid_set(array(&row, MAILBOX_COLUMNS_LEN + 1)?)?,
    }))
}

pub(super) async fn copy_pooled(pool: &PgPool, request: &Copy) -> DbResult<CopyOutcome> {
    copy(&mut *pool.acquire().await?, request).await
}

pub(super) async fn copy(conn: &mut PgConnection, request: &Copy) -> DbResult<CopyOutcome> {
    let sql = format!(
        "SELECT outcome, {}, {}, before, source_uids, first_uid, new_flags, message_ids
           FROM mail_copy($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        mailbox_columns("(source)"),
        mailbox_columns("(destination)")
    );
    let (first, last) = bounds(&request.uids);
    let bits = |flags: FlagBits| flags.bits().cast_signed();
    let (from, to): (Vec<i64>, Vec<i64>) =
        request.flag_map.iter().map(|(from, to)| (bits(*from), bits(*to))).unzip();
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(request.account.as_i64())
        .bind(request.source.as_i64())
        .bind(request.destination.as_i64())
        .bind(first)
        .bind(last)
        .bind(request.moves)
        .bind(from)
        .bind(to)
        .bind(request.now)
        .fetch_one(conn)
        .await?;
    match row.try_get::<i32, _>(0)? {
        0 => {}
        1 => return Ok(CopyOutcome::NoSource),
        2 => return Ok(CopyOutcome::NoDestination),
        3 => return Ok(CopyOutcome::OverQuota),
        4 => return Ok(CopyOutcome::UidsUsedUp),
        _ => return Ok(CopyOutcome::UnknownFlag),
    }
    let state = mailbox_row(&row, 1)?;
    let destination = mailbox_row(&row, 1 + MAILBOX_COLUMNS_LEN)?;
    let at = 1 + 2 * MAILBOX_COLUMNS_LEN;
    let source_uids = array(&row, at + 1)?;
    let first_uid: i64 = row.try_get(at + 2)?;
    let mut entries = Vec::new();
    if request.source == request.destination {
        let new = array(&row, at + 3)?.into_iter().zip(array(&row, at + 4)?);
        for (uid, (flags, message)) in (first_uid..).zip(new) {
            entries.push(entry(uid, flags, state.highest_modseq, message)?);
        }
    }
    let source_uids = uid_set(source_uids)?;
    let vanished = if request.moves { source_uids.clone() } else { UidSet::new() };
    let source = Written { state, before: row.try_get(at)?, entries, vanished };
    Ok(CopyOutcome::Done(Box::new(Copied { source, destination, source_uids, first_uid })))
}

pub(super) async fn sweep_garbage(pool: &PgPool, before: i64, limit: i64) -> DbResult<u64> {
    let looked_at: i64 =
        sqlx::query_scalar("SELECT mail_sweep($1, $2)").bind(before).bind(limit).fetch_one(pool).await?;
    Ok(looked_at.unsigned_abs())
}

pub(super) async fn sweep_tombstones(pool: &PgPool, before: i64, kept: i64) -> DbResult<u64> {
    let doomed: Vec<(i64, i64, i64)> = sqlx::query_as(DOOMED).bind(before).bind(kept).fetch_all(pool).await?;
    let mut removed = 0;
    for (account, mailbox, floor) in doomed {
        // The update locks the mailbox first, as every writer does; the floor is raised in the same statement that makes it true.
        let done = sqlx::query(
            "WITH raised AS (
               UPDATE mailbox m SET tombstone_floor = greatest(m.tombstone_floor, $3)
                WHERE m.account_id = $1 AND m.id = $2 RETURNING m.tombstone_floor)
             DELETE FROM tombstone_run t USING raised
              WHERE t.account_id = $1 AND t.mailbox_id = $2 AND t.modseq <= raised.tombstone_floor",
        )
        .bind(account)
        .bind(mailbox)
        .bind(floor)
        .execute(pool)
        .await?;
        removed += done.rows_affected();
    }
    Ok(removed)
}
