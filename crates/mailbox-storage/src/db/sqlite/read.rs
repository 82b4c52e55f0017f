//! Reading. Every method is one statement, so what it returns is of one moment.

use sqlx::AssertSqlSafe;

use super::*;

pub(super) async fn quota(pool: &SqlitePool, account: AccountId) -> DbResult<Option<Quota>> {
    let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT used_bytes, used_messages, limit_bytes, limit_messages FROM account_store WHERE account_id = $1",
    )
    .bind(account.as_i64())
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|(used_bytes, used_messages, limit_bytes, limit_messages)| Quota {
        used_bytes,
        used_messages,
        limit_bytes,
        limit_messages,
    }))
}

/// `m.id = $2` or `m.name = $3`, whichever is named.
fn which_sql(which: Which<'_>) -> (&'static str, i64, &str) {
    match which {
        Which::Id(id) => ("m.id = $2", id.as_i64(), ""),
        Which::Name(name) => ("m.name = $3", 0, name),
    }
}

pub(super) async fn mailbox(
    conn: &mut SqliteConnection,
    account: AccountId,
    which: Which<'_>,
) -> DbResult<Option<MailboxRow>> {
    let (by, id, name) = which_sql(which);
    let sql = format!("SELECT {MAILBOX_COLUMNS} FROM mailbox m WHERE m.account_id = $1 AND {by}");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(id)
        .bind(name)
        .fetch_optional(conn)
        .await?;
    row.map(|row| mailbox_row(&row, 0)).transpose()
}

pub(super) async fn sync(
    pool: &SqlitePool,
    account: AccountId,
    which: Which<'_>,
    since: Option<Since>,
) -> DbResult<Option<SyncRows>> {
    let (by, id, name) = which_sql(which);
    const PACKED: &str = "group_concat(uid || ',' || flags || ',' || modseq || ',' || message_id)";
    let listed = changes::ranges_since("$1", "m.id", "m.since");
    // CROSS JOIN fixes the order of the loops: the ranges as they are listed, inside them by the index.
    let sql = format!(
        "WITH n AS MATERIALIZED (
           SELECT m.*, CASE WHEN m.id = $4 AND $5 BETWEEN m.tombstone_floor AND m.highest_modseq
                            THEN $5 ELSE -1 END AS since
             FROM mailbox m WHERE m.account_id = $1 AND {by}),
         m AS MATERIALIZED (
           SELECT n.*, CASE WHEN n.since >= n.flag_changes_from AND n.since < n.highest_modseq THEN coalesce(
                    (SELECT uid FROM mailbox_message WHERE account_id = $1 AND mailbox_id = n.id AND modseq <= n.since
                      ORDER BY uid DESC LIMIT 1), 0) END AS last_old FROM n)
         SELECT {MAILBOX_COLUMNS}, m.since,
           CASE WHEN m.last_old IS NOT NULL THEN
             (SELECT {PACKED} FROM (
                SELECT uid, flags, modseq, message_id FROM mailbox_message
                 WHERE account_id = $1 AND mailbox_id = m.id AND uid > m.last_old
                UNION ALL
                SELECT x.uid, x.flags, x.modseq, x.message_id FROM {listed} r CROSS JOIN mailbox_message x
                 WHERE x.account_id = $1 AND x.mailbox_id = m.id AND x.uid BETWEEN r.first AND min(r.last, m.last_old)
                   AND x.modseq > m.since
                ORDER BY uid))
           WHEN m.since < m.highest_modseq THEN
             (SELECT {PACKED} FROM
               (SELECT uid, flags, modseq, message_id FROM mailbox_message
                 WHERE account_id = $1 AND mailbox_id = m.id AND modseq > m.since ORDER BY uid))
           END,
           CASE WHEN m.since >= 0 AND m.since < m.highest_modseq THEN
             (SELECT group_concat(first_uid || ',' || last_uid) FROM tombstone_run
               WHERE account_id = $1 AND mailbox_id = m.id AND modseq > m.since)
           END
         FROM m"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(id)
        .bind(name)
        .bind(since.map_or(0, |since| since.mailbox.as_i64()))
        .bind(since.map_or(-1, |since| since.modseq))
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let since: i64 = row.try_get(MAILBOX_COLUMNS_LEN)?;
    let entries = numbers(row.try_get(MAILBOX_COLUMNS_LEN + 1)?)?;
    Ok(Some(SyncRows {
        state: mailbox_row(&row, 0)?,
        full: since < 0,
        entries: entries.into_iter().map(entry).collect::<DbResult<_>>()?,
        vanished: vanished_runs(row.try_get(MAILBOX_COLUMNS_LEN + 2)?)?,
    }))
}

fn vanished_runs(packed: Option<&str>) -> DbResult<UidSet> {
    uid_runs(numbers(packed)?.into_iter().map(|[first, last]| (first, last)))
}

pub(super) async fn vanished(
    pool: &SqlitePool,
    account: AccountId,
    mailbox: MailboxId,
    since: i64,
) -> DbResult<Option<(i64, UidSet)>> {
    let row: Option<(i64, Option<String>)> = sqlx::query_as(
        "SELECT m.tombstone_floor,
           (SELECT group_concat(first_uid || ',' || last_uid) FROM tombstone_run
             WHERE account_id = $1 AND mailbox_id = $2 AND modseq > $3)
         FROM mailbox m WHERE m.account_id = $1 AND m.id = $2",
    )
    .bind(account.as_i64())
    .bind(mailbox.as_i64())
    .bind(since)
    .fetch_optional(pool)
    .await?;
    let Some((floor, runs)) = row else { return Ok(None) };
    Ok(Some((floor, vanished_runs(runs.as_deref())?)))
}

pub(super) async fn modseqs(pool: &SqlitePool, watches: &[(AccountId, MailboxId)]) -> DbResult<Vec<i64>> {
    let pairs: Vec<String> =
        watches.iter().map(|(account, mailbox)| format!("[{account},{mailbox}]")).collect();
    let text: Option<String> = sqlx::query_scalar(
        "SELECT group_concat(n) FROM (
           SELECT coalesce(m.highest_modseq, 0) AS n FROM json_each($1) w
             LEFT JOIN mailbox m ON m.account_id = w.value ->> 0 AND m.id = w.value ->> 1
            ORDER BY w.key)",
    )
    .bind(format!("[{}]", pairs.join(",")))
    .fetch_one(pool)
    .await?;
    Ok(numbers::<1>(text.as_deref())?.into_iter().map(|[n]| n).collect())
}

pub(super) async fn maildrop(
    pool: &SqlitePool,
    account: AccountId,
) -> DbResult<Option<(MailboxRow, Vec<u32>, Vec<u64>)>> {
    let sql = format!(
        "SELECT {MAILBOX_COLUMNS}, (SELECT group_concat(uid || ',' || size) FROM
           (SELECT uid, size FROM mailbox_message WHERE account_id = $1 AND mailbox_id = m.id ORDER BY uid))
         FROM mailbox m WHERE m.account_id = $1 AND m.name = 'INBOX'"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(account.as_i64()).fetch_optional(pool).await?;
    let Some(row) = row else { return Ok(None) };
    let (mut uids, mut sizes) = (Vec::new(), Vec::new());
    for [uid, size] in numbers(row.try_get(MAILBOX_COLUMNS_LEN)?)? {
        uids.push(u32::try_from(uid).map_err(damaged)?);
        sizes.push(size.unsigned_abs());
    }
    Ok(Some((mailbox_row(&row, 0)?, uids, sizes)))
}

/// The messages of a mailbox that are in `$3`, as the FROM clause of a query. CROSS JOIN fixes the order of the loops: the
/// ranges as they stand, inside them by the index. So rows ascend by UID without being sorted, and LIMIT ends the walk early;
/// sorting all of them first would make the pages of a large mailbox cost the square of its size.
pub(super) const NAMED: &str = "json_each($3) r CROSS JOIN mailbox_message mm
      ON mm.account_id = $1 AND mm.mailbox_id = $2 AND mm.uid BETWEEN r.value ->> 0 AND r.value ->> 1";

pub(super) async fn fetch(
    pool: &SqlitePool,
    (account, mailbox, uids): (AccountId, MailboxId, &UidSet),
    columns: Columns,
    limit: i64,
) -> DbResult<Vec<MessageRow>> {
    let sql = format!(
        "SELECT mm.uid, mm.message_id, mm.size, mm.received_at, mm.saved_at, m.thread_id,
           iif($5, m.envelope, x''), iif($6, m.body, x''), iif($7, m.bodystructure, x''),
           iif($8, m.parts, x''), iif($9, m.preview, ''), m.derived_version
         FROM {NAMED} CROSS JOIN message m ON m.account_id = $1 AND m.id = mm.message_id
         LIMIT $4"
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(ranges_json(uids))
        .bind(limit)
        .bind(columns.envelope)
        .bind(columns.body)
        .bind(columns.bodystructure)
        .bind(columns.parts)
        .bind(columns.preview)
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(MessageRow {
                uid: row.try_get(0)?,
                message_id: row.try_get(1)?,
                size: row.try_get(2)?,
                received_at: row.try_get(3)?,
                saved_at: row.try_get(4)?,
                thread_id: row.try_get(5)?,
                envelope: row.try_get(6)?,
                body: row.try_get(7)?,
                bodystructure: row.try_get(8)?,
                parts: row.try_get(9)?,
                preview: row.try_get(10)?,
                derived_version: row.try_get(11)?,
            })
        })
        .collect()
}

pub(super) async fn content_find(
    pool: &SqlitePool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &[Uid],
) -> DbResult<Vec<(Uid, MessageId, u64)>> {
    let set: UidSet = uids.iter().copied().collect();
    let sql = format!("SELECT group_concat(mm.uid || ',' || mm.message_id || ',' || mm.size) FROM {NAMED}");
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(ranges_json(&set))
        .fetch_one(pool)
        .await?;
    let mut out = Vec::new();
    for [uid, message, size] in numbers(text.as_deref())? {
        let message = MessageId::try_from(message).map_err(damaged)?;
        out.push((Uid::try_from(uid).map_err(damaged)?, message, size.unsigned_abs()));
    }
    Ok(out)
}

pub(super) async fn content_read(
    pool: &SqlitePool,
    account: AccountId,
    wanted: &[(MessageId, u32, u32)],
) -> DbResult<Vec<ChunkRow>> {
    let list: Vec<String> =
        wanted.iter().map(|(message, first, last)| format!("[{message},{first},{last}]")).collect();
    let rows: Vec<(i64, u32, u32, Vec<u8>)> = sqlx::query_as(
        "SELECT c.message_id, c.chunk_no, c.raw_len, c.data FROM json_each($2) w CROSS JOIN content c
           ON c.account_id = $1 AND c.message_id = w.value ->> 0
          AND c.chunk_no BETWEEN w.value ->> 1 AND w.value ->> 2
         ORDER BY w.key, c.chunk_no",
    )
    .bind(account.as_i64())
    .bind(format!("[{}]", list.join(",")))
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(message, no, raw_len, data)| {
            Ok(ChunkRow { message: MessageId::try_from(message).map_err(damaged)?, no, raw_len, data })
        })
        .collect()
}

pub(super) async fn search_column(
    pool: &SqlitePool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    test: ColumnTest,
) -> DbResult<UidSet> {
    let (join, column) = match test.column {
        TestColumn::ReceivedAt => ("", "mm.received_at"),
        TestColumn::SavedAt => ("", "mm.saved_at"),
        TestColumn::Size => ("", "mm.size"),
        TestColumn::SentDay => ("JOIN message m ON m.account_id = $1 AND m.id = mm.message_id", "m.sent_day"),
    };
    let sql =
        format!("SELECT group_concat(mm.uid) FROM {NAMED} {join} WHERE {column} >= $4 AND {column} < $5");
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(ranges_json(uids))
        .bind(test.from)
        .bind(test.to)
        .fetch_one(pool)
        .await?;
    uid_set(numbers(text.as_deref())?)
}

pub(super) async fn flags_used(
    pool: &SqlitePool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
) -> DbResult<FlagBits> {
    let sql = format!("SELECT group_concat(DISTINCT mm.flags) FROM {NAMED}");
    let text: Option<String> = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(ranges_json(uids))
        .fetch_one(pool)
        .await?;
    let all = numbers(text.as_deref())?;
    Ok(all
        .into_iter()
        .fold(FlagBits::NONE, |used, [bits]| used.with(FlagBits::from_bits(bits.unsigned_abs()))))
}

pub(super) async fn search_texts(
    pool: &SqlitePool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    limit: i64,
) -> DbResult<Vec<(Uid, Vec<u8>)>> {
    let sql = format!(
        "SELECT mm.uid, t.text FROM {NAMED}
           CROSS JOIN message_text t ON t.account_id = $1 AND t.message_id = mm.message_id
         LIMIT $4"
    );
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(ranges_json(uids))
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(|(uid, text)| Ok((Uid::try_from(uid).map_err(damaged)?, text))).collect()
}
