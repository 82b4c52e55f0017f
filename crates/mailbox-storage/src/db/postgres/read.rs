//! Reading. Every method is one statement, so what it returns is of one moment.

use super::*;

pub(super) async fn quota(pool: &PgPool, account: AccountId) -> DbResult<Option<Quota>> {
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

/// How `$2` and `$3` name a mailbox, called `m`.
fn which_sql(which: Which<'_>) -> (&'static str, i64, &str) {
    match which {
        Which::Id(id) => ("m.id = $2 AND $3 = ''", id.as_i64(), ""),
        Which::Name(name) => ("m.name = $3 AND $2 = 0", 0, name),
    }
}

pub(super) async fn mailbox(
    pool: &PgPool,
    account: AccountId,
    which: Which<'_>,
) -> DbResult<Option<MailboxRow>> {
    let (by, id, name) = which_sql(which);
    let sql = format!("SELECT {} FROM mailbox m WHERE m.account_id = $1 AND {by}", mailbox_columns("m"));
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(id)
        .bind(name)
        .fetch_optional(pool)
        .await?;
    row.map(|row| mailbox_row(&row, 0)).transpose()
}

pub(super) async fn sync(
    pool: &PgPool,
    account: AccountId,
    which: Which<'_>,
    since: Option<Since>,
) -> DbResult<Option<SyncRows>> {
    let (by, id, name) = which_sql(which);
    // What is listed is looked at first to last; LATERAL with OFFSET 0 makes the planner walk the ranges by the primary key.
    let listed = changes::ranges_since("$1", "m.id", "m.since");
    let sql = format!(
        "WITH n AS MATERIALIZED (
           SELECT m.*, CASE WHEN m.id = $4 AND $5 BETWEEN m.tombstone_floor AND m.highest_modseq
                            THEN $5 ELSE -1 END AS since
             FROM mailbox m WHERE m.account_id = $1 AND {by}),
         m AS MATERIALIZED (
           SELECT n.*, n.since < n.highest_modseq AND n.since < n.flag_changes_from AS look_at_all,
                  n.since < n.highest_modseq AND n.since >= n.flag_changes_from AS look_at_listed,
                  CASE WHEN n.since >= n.flag_changes_from AND n.since < n.highest_modseq THEN coalesce(
                    (SELECT x.uid FROM mailbox_message x
                      WHERE x.account_id = $1 AND x.mailbox_id = n.id AND x.modseq <= n.since
                      ORDER BY x.uid DESC LIMIT 1), 0) END AS last_old FROM n)
         SELECT {}, m.since, e.uids, e.flags, e.modseqs, e.messages, t.firsts, t.lasts
           FROM m
           CROSS JOIN LATERAL (
             SELECT array_agg(x.uid) AS uids, array_agg(x.flags) AS flags, array_agg(x.modseq) AS modseqs,
                    array_agg(x.message_id) AS messages
               FROM (SELECT * FROM (
                 SELECT mm.uid, mm.flags, mm.modseq, mm.message_id FROM mailbox_message mm
                  WHERE m.look_at_all AND mm.account_id = $1 AND mm.mailbox_id = m.id AND mm.modseq > m.since
                 UNION ALL
                 SELECT mm.uid, mm.flags, mm.modseq, mm.message_id FROM mailbox_message mm
                  WHERE m.look_at_listed AND mm.account_id = $1 AND mm.mailbox_id = m.id AND mm.uid > m.last_old
                 UNION ALL
                 SELECT mm.uid, mm.flags, mm.modseq, mm.message_id FROM {listed} r CROSS JOIN LATERAL (
                   SELECT x.uid, x.flags, x.modseq, x.message_id FROM mailbox_message x
                    WHERE m.look_at_listed AND x.account_id = $1 AND x.mailbox_id = m.id
                      AND x.uid BETWEEN r.first AND least(r.last, m.last_old) AND x.modseq > m.since OFFSET 0) mm
                 ) all_kinds ORDER BY uid) x) e
           CROSS JOIN LATERAL (
             SELECT array_agg(d.first_uid) AS firsts, array_agg(d.last_uid) AS lasts FROM tombstone_run d
              WHERE m.since >= 0 AND m.since < m.highest_modseq AND d.account_id = $1 AND d.mailbox_id = m.id
                AND d.modseq > m.since) t",
        mailbox_columns("m")
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
    let column = |place| array(&row, MAILBOX_COLUMNS_LEN + place);
    let (uids, flags, modseqs, messages) = (column(1)?, column(2)?, column(3)?, column(4)?);
    let mut entries = Vec::with_capacity(uids.len());
    for (((uid, flags), modseq), message) in uids.into_iter().zip(flags).zip(modseqs).zip(messages) {
        entries.push(entry(uid, flags, modseq, message)?);
    }
    Ok(Some(SyncRows {
        state: mailbox_row(&row, 0)?,
        full: row.try_get::<i64, _>(MAILBOX_COLUMNS_LEN)? < 0,
        entries,
        vanished: uid_runs(column(5)?.into_iter().zip(column(6)?))?,
    }))
}

pub(super) async fn vanished(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    since: i64,
) -> DbResult<Option<(i64, UidSet)>> {
    let row = sqlx::query(
        "SELECT m.tombstone_floor, t.firsts, t.lasts FROM mailbox m CROSS JOIN LATERAL (
           SELECT array_agg(d.first_uid) AS firsts, array_agg(d.last_uid) AS lasts
             FROM tombstone_run d WHERE d.account_id = $1 AND d.mailbox_id = $2 AND d.modseq > $3) t
         WHERE m.account_id = $1 AND m.id = $2",
    )
    .bind(account.as_i64())
    .bind(mailbox.as_i64())
    .bind(since)
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some((row.try_get(0)?, uid_runs(array(&row, 1)?.into_iter().zip(array(&row, 2)?))?)))
}

pub(super) async fn modseqs(pool: &PgPool, watches: &[(AccountId, MailboxId)]) -> DbResult<Vec<i64>> {
    let (accounts, mailboxes): (Vec<i64>, Vec<i64>) =
        watches.iter().map(|(account, mailbox)| (account.as_i64(), mailbox.as_i64())).unzip();
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT ARRAY(
           SELECT coalesce(m.highest_modseq, 0) FROM unnest($1::bigint[], $2::bigint[]) WITH ORDINALITY w (account, mailbox, place)
             LEFT JOIN mailbox m ON m.account_id = w.account AND m.id = w.mailbox
            ORDER BY w.place)",
    )
    .bind(accounts)
    .bind(mailboxes)
    .fetch_one(pool)
    .await?;
    Ok(found)
}

pub(super) async fn maildrop(
    pool: &PgPool,
    account: AccountId,
) -> DbResult<Option<(MailboxRow, Vec<u32>, Vec<u64>)>> {
    let sql = format!(
        "SELECT {}, e.uids, e.sizes FROM mailbox m CROSS JOIN LATERAL (
           SELECT array_agg(x.uid) AS uids, array_agg(x.size) AS sizes FROM (
             SELECT mm.uid, mm.size FROM mailbox_message mm
              WHERE mm.account_id = $1 AND mm.mailbox_id = m.id ORDER BY mm.uid) x) e
         WHERE m.account_id = $1 AND m.name = 'INBOX'",
        mailbox_columns("m")
    );
    let row = sqlx::query(AssertSqlSafe(sql)).bind(account.as_i64()).fetch_optional(pool).await?;
    let Some(row) = row else { return Ok(None) };
    let mut uids = Vec::new();
    for uid in array(&row, MAILBOX_COLUMNS_LEN)? {
        uids.push(u32::try_from(uid).map_err(damaged)?);
    }
    let sizes = array(&row, MAILBOX_COLUMNS_LEN + 1)?.into_iter().map(i64::unsigned_abs).collect();
    Ok(Some((mailbox_row(&row, 0)?, uids, sizes)))
}

/// The messages of a mailbox that are in the ranges `$3` to `$4`, as the FROM clause of a query. The planner takes account and
/// mailbox for independent and so thinks every mailbox is tiny; OFFSET 0 makes it walk the ranges by the primary key all the same.
/// It does so wherever rows are looked up by key here: a plain join may read all of an account's rows to find a few.
const NAMED: &str = "unnest($3::bigint[], $4::bigint[]) r (first, last) CROSS JOIN LATERAL (
      SELECT * FROM mailbox_message x WHERE x.account_id = $1 AND x.mailbox_id = $2
         AND x.uid BETWEEN r.first AND r.last OFFSET 0) mm";

/// The first `$5` of them: the ranges are walked in order, each by the index, and the walk ends there. Sorting all of them
/// first would make the pages of a large mailbox cost the square of its size.
pub(super) const FIRST_NAMED: &str =
    "(SELECT mm.* FROM unnest($3::bigint[], $4::bigint[]) r (first, last) CROSS JOIN LATERAL (
      SELECT * FROM mailbox_message x WHERE x.account_id = $1 AND x.mailbox_id = $2
         AND x.uid BETWEEN r.first AND r.last ORDER BY x.uid LIMIT $5) mm LIMIT $5) mm";

pub(super) async fn fetch(
    pool: &PgPool,
    (account, mailbox, uids): (AccountId, MailboxId, &UidSet),
    columns: Columns,
    limit: i64,
) -> DbResult<Vec<MessageRow>> {
    let sql = format!(
        "SELECT mm.uid, mm.message_id, mm.size, mm.received_at, mm.saved_at, m.thread_id,
           CASE WHEN $6 THEN m.envelope ELSE '' END, CASE WHEN $7 THEN m.body ELSE '' END,
           CASE WHEN $8 THEN m.bodystructure ELSE '' END, CASE WHEN $9 THEN m.parts ELSE '' END,
           CASE WHEN $10 THEN m.preview ELSE '' END, m.derived_version
         FROM {FIRST_NAMED} CROSS JOIN LATERAL (
           SELECT * FROM message x WHERE x.account_id = $1 AND x.id = mm.message_id OFFSET 0) m ORDER BY mm.uid"
    );
    let (first, last) = bounds(uids);
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(first)
        .bind(last)
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
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &[Uid],
) -> DbResult<Vec<(Uid, MessageId, u64)>> {
    let uids: Vec<i64> = uids.iter().map(|uid| uid.as_i64()).collect();
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT mm.uid, mm.message_id, mm.size FROM unnest($3::bigint[]) u CROSS JOIN LATERAL (
           SELECT * FROM mailbox_message x WHERE x.account_id = $1 AND x.mailbox_id = $2 AND x.uid = u OFFSET 0) mm",
    )
    .bind(account.as_i64())
    .bind(mailbox.as_i64())
    .bind(uids)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(uid, message, size)| {
            let message = MessageId::try_from(message).map_err(damaged)?;
            Ok((Uid::try_from(uid).map_err(damaged)?, message, size.unsigned_abs()))
        })
        .collect()
}

pub(super) async fn content_read(
    pool: &PgPool,
    account: AccountId,
    wanted: &[(MessageId, u32, u32)],
) -> DbResult<Vec<ChunkRow>> {
    let (mut messages, mut firsts, mut lasts) = (Vec::new(), Vec::new(), Vec::new());
    for (message, first, last) in wanted {
        messages.push(message.as_i64());
        firsts.push(first.cast_signed());
        lasts.push(last.cast_signed());
    }
    let rows: Vec<(i64, i32, i32, Vec<u8>)> = sqlx::query_as(
        "SELECT c.message_id, c.chunk_no, c.raw_len, c.data
           FROM unnest($2::bigint[], $3::integer[], $4::integer[]) WITH ORDINALITY w (message, first, last, place)
          CROSS JOIN LATERAL (SELECT * FROM content x WHERE x.account_id = $1 AND x.message_id = w.message
            AND x.chunk_no BETWEEN w.first AND w.last OFFSET 0) c
          ORDER BY w.place, c.chunk_no",
    )
    .bind(account.as_i64())
    .bind(messages)
    .bind(firsts)
    .bind(lasts)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(message, no, raw_len, data)| {
            let message = MessageId::try_from(message).map_err(damaged)?;
            Ok(ChunkRow { message, no: no.cast_unsigned(), raw_len: raw_len.cast_unsigned(), data })
        })
        .collect()
}

pub(super) async fn search_column(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    test: ColumnTest,
) -> DbResult<UidSet> {
    let (join, column) = match test.column {
        TestColumn::ReceivedAt => ("", "mm.received_at"),
        TestColumn::SavedAt => ("", "mm.saved_at"),
        TestColumn::Size => ("", "mm.size"),
        TestColumn::SentDay => (
            "CROSS JOIN LATERAL (SELECT x.sent_day FROM message x
               WHERE x.account_id = $1 AND x.id = mm.message_id OFFSET 0) m",
            "m.sent_day",
        ),
    };
    let sql = format!("SELECT array_agg(mm.uid) FROM {NAMED} {join} WHERE {column} >= $5 AND {column} < $6");
    let (first, last) = bounds(uids);
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(first)
        .bind(last)
        .bind(test.from)
        .bind(test.to)
        .fetch_one(pool)
        .await?;
    uid_set(array(&row, 0)?)
}

pub(super) async fn flags_used(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
) -> DbResult<FlagBits> {
    let (first, last) = bounds(uids);
    let used: i64 =
        sqlx::query_scalar(AssertSqlSafe(format!("SELECT coalesce(bit_or(mm.flags), 0) FROM {NAMED}")))
            .bind(account.as_i64())
            .bind(mailbox.as_i64())
            .bind(first)
            .bind(last)
            .fetch_one(pool)
            .await?;
    Ok(FlagBits::from_bits(used.unsigned_abs()))
}

pub(super) async fn search_texts(
    pool: &PgPool,
    account: AccountId,
    mailbox: MailboxId,
    uids: &UidSet,
    limit: i64,
) -> DbResult<Vec<(Uid, Vec<u8>)>> {
    let sql = format!(
        "SELECT mm.uid, t.text FROM {FIRST_NAMED}
          CROSS JOIN LATERAL (
            SELECT x.text FROM message_text x WHERE x.account_id = $1 AND x.message_id = mm.message_id OFFSET 0) t
          ORDER BY mm.uid"
    );
    let (first, last) = bounds(uids);
    let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(sql))
        .bind(account.as_i64())
        .bind(mailbox.as_i64())
        .bind(first)
        .bind(last)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(|(uid, text)| Ok((Uid::try_from(uid).map_err(damaged)?, text))).collect()
}
