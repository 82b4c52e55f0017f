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
        "DELETE FROM tombstone WHERE account_id = $1",
        "DELETE FROM content WHERE account_id = $1",
        "DELETE FROM message_text WHERE account_id = $1",
        "DELETE FROM message WHERE account_id = $1",
        "DELETE FROM delivery_key WHERE account_id = $1",
        "DELETE FROM garbage WHERE account_id = $1",
        "DELETE FROM subscription_ghost WHERE account_id = $1",
        "DELETE FROM vacated_name WHERE account_id = $1",
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

/// The arguments of `mail_insert` about items.
#[derive(Default)]
struct Items<'a> {
    account: Vec<i64>,
    name: Vec<&'a str>,
    or_inbox: Vec<bool>,
    expect: Vec<Option<i64>>,
    key: Vec<Option<&'a [u8]>>,
    key_at: Vec<i64>,
    now: Vec<i64>,
    first: Vec<i32>,
    last: Vec<i32>,
}

/// Those about messages.
#[derive(Default)]
struct Messages<'a> {
    hash: Vec<&'a [u8]>,
    size: Vec<i64>,
    staged: Vec<Option<i64>>,
    flags: Vec<i64>,
    received: Vec<i64>,
    thread: Vec<i64>,
    sent_day: Vec<Option<i32>>,
    subject: Vec<&'a str>,
    version: Vec<i32>,
    envelope: Vec<&'a [u8]>,
    body: Vec<&'a [u8]>,
    structure: Vec<&'a [u8]>,
    parts: Vec<&'a [u8]>,
    preview: Vec<&'a str>,
    text: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
    chunk_first: Vec<i32>,
    chunk_last: Vec<i32>,
}

/// Those about chunks.
#[derive(Default)]
struct Chunks<'a> {
    no: Vec<i32>,
    offset: Vec<i64>,
    len: Vec<i32>,
    data: Vec<&'a [u8]>,
}

impl<'a> Chunks<'a> {
    fn push(&mut self, chunk: &'a Chunk) {
        self.no.push(chunk.no);
        self.offset.push(chunk.raw_offset);
        self.len.push(chunk.raw_len);
        self.data.push(&chunk.data);
    }
}

impl<'a> Messages<'a> {
    fn push(&mut self, new: &'a NewMessage, chunks: &mut Chunks<'a>) {
        let message = &*new.message;
        self.hash.push(&message.hash);
        self.size.push(message.size);
        self.staged.push(new.staged.map(MessageId::as_i64));
        self.flags.push(new.flags.bits().cast_signed());
        self.received.push(new.received_at);
        self.thread.push(message.thread_id);
        self.sent_day.push(message.sent_day);
        self.subject.push(&message.base_subject);
        self.version.push(message.derived_version);
        self.envelope.push(&message.envelope);
        self.body.push(&message.body);
        self.structure.push(&message.bodystructure);
        self.parts.push(&message.parts);
        self.preview.push(&message.preview);
        self.text.push(&message.text);
        self.keys.push(&message.keys);
        self.chunk_first.push(chunks.no.len() as i32 + 1);
        if new.staged.is_none() {
            for chunk in &message.chunks {
                chunks.push(chunk);
            }
        }
        self.chunk_last.push(chunks.no.len() as i32);
    }
}

pub(super) async fn insert(pool: &PgPool, all: &[Arc<InsertItem>]) -> DbResult<Vec<Inserted>> {
    let (mut items, mut messages, mut chunks) = (Items::default(), Messages::default(), Chunks::default());
    for item in all {
        items.account.push(item.account.as_i64());
        items.name.push(&item.mailbox);
        items.or_inbox.push(item.or_inbox);
        items.expect.push(item.expect.map(MailboxId::as_i64));
        items.key.push(item.key.as_deref());
        items.key_at.push(item.key_made_at);
        items.now.push(item.now);
        items.first.push(messages.size.len() as i32 + 1);
        for new in &item.messages {
            messages.push(new, &mut chunks);
        }
        items.last.push(messages.size.len() as i32);
    }
    let rows: Vec<(i32, i64, i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT i.o_outcome, i.o_mailbox, i.o_uidvalidity, i.o_uid, i.o_modseq,
             CASE WHEN i.o_outcome = 0 THEN mail_keep_keys($1[i.place], $10[$8[i.place] : $9[i.place]],
               $31[$8[i.place] : $9[i.place]]) END
           FROM mail_insert($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30)
             WITH ORDINALITY i (o_outcome, o_mailbox, o_uidvalidity, o_uid, o_modseq, place)",
    )
    .bind(items.account)
    .bind(items.name)
    .bind(items.or_inbox)
    .bind(items.expect)
    .bind(items.key)
    .bind(items.key_at)
    .bind(items.now)
    .bind(items.first)
    .bind(items.last)
    .bind(messages.hash)
    .bind(messages.size)
    .bind(messages.staged)
    .bind(messages.flags)
    .bind(messages.received)
    .bind(messages.thread)
    .bind(messages.sent_day)
    .bind(messages.subject)
    .bind(messages.version)
    .bind(messages.envelope)
    .bind(messages.body)
    .bind(messages.structure)
    .bind(messages.parts)
    .bind(messages.preview)
    .bind(messages.text)
    .bind(messages.chunk_first)
    .bind(messages.chunk_last)
    .bind(chunks.no)
    .bind(chunks.offset)
    .bind(chunks.len)
    .bind(chunks.data)
    .bind(messages.keys)
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(outcome, mailbox, uidvalidity, uid, modseq, _)| {
            let place = Place { mailbox: MailboxId::try_from(mailbox).map_err(damaged)?, uidvalidity, uid };
            Ok(match outcome {
                0 => Inserted::Done { place, modseq },
                1 => Inserted::Duplicate(place),
                2 => Inserted::NoAccount,
                3 => Inserted::NoMailbox,
                4 => Inserted::OverQuota,
                5 => Inserted::UidsUsedUp,
                _ => Inserted::Stale,
            })
        })
        .collect()
}

pub(super) async fn stage(pool: &PgPool, account: AccountId, now: i64) -> DbResult<Option<MessageId>> {
    let id: Option<i64> = sqlx::query_scalar(
        "WITH taken AS (UPDATE account_store SET next_message_id = next_message_id + 1 WHERE account_id = $1
           RETURNING next_message_id - 1 AS id)
         INSERT INTO garbage SELECT $1, id, $2 FROM taken RETURNING message_id",
    )
    .bind(account.as_i64())
    .bind(now)
    .fetch_optional(pool)
    .await?;
    id.map(|id| MessageId::try_from(id).map_err(damaged)).transpose()
}

pub(super) async fn stage_chunks(
    pool: &PgPool,
    account: AccountId,
    message: MessageId,
    all: &[Chunk],
) -> DbResult<()> {
    let mut chunks = Chunks::default();
    all.iter().for_each(|chunk| chunks.push(chunk));
    sqlx::query(
        "INSERT INTO content SELECT $1, $2, c.no, c.at, c.len, c.data
           FROM unnest($3::integer[], $4::bigint[], $5::integer[], $6::bytea[]) c (no, at, len, data)",
    )
    .bind(account.as_i64())
    .bind(message.as_i64())
    .bind(chunks.no)
    .bind(chunks.offset)
    .bind(chunks.len)
    .bind(chunks.data)
    .execute(pool)
    .await?;
    Ok(())
}

pub(super) async fn confirm(pool: &PgPool, keys: &[(AccountId, Vec<u8>)]) -> DbResult<()> {
    let accounts: Vec<i64> = keys.iter().map(|(account, _)| account.as_i64()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|(_, key)| key.as_slice()).collect();
    sqlx::query("SELECT mail_confirm($1, $2)").bind(accounts).bind(keys).execute(pool).await?;
    Ok(())
}

pub(super) async fn store_flags(pool: &PgPool, request: &StoreFlags) -> DbResult<Option<FlagsStored>> {
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

pub(super) async fn expunge(pool: &PgPool, request: &Expunge) -> DbResult<Option<Written>> {
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
        .fetch_optional(pool)
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

pub(super) async fn sweep_tombstones(pool: &PgPool, kept: i64) -> DbResult<u64> {
    let crowded: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT account_id, mailbox_id FROM tombstone GROUP BY account_id, mailbox_id HAVING count(*) > $1",
    )
    .bind(kept)
    .fetch_all(pool)
    .await?;
    let mut removed = 0;
    for (account, mailbox) in crowded {
        // The update locks the mailbox first, as every writer does; the floor is raised in the same statement that makes it true.
        let done = sqlx::query(
            "WITH floor AS (
               SELECT modseq FROM tombstone WHERE account_id = $1 AND mailbox_id = $2
                ORDER BY modseq DESC, uid DESC LIMIT 1 OFFSET $3),
             raised AS (
               UPDATE mailbox m SET tombstone_floor = greatest(m.tombstone_floor, floor.modseq) FROM floor
                WHERE m.account_id = $1 AND m.id = $2 RETURNING m.tombstone_floor)
             DELETE FROM tombstone t USING raised
              WHERE t.account_id = $1 AND t.mailbox_id = $2 AND t.modseq <= raised.tombstone_floor",
        )
        .bind(account)
        .bind(mailbox)
        .bind(kept)
        .execute(pool)
        .await?;
        removed += done.rows_affected();
    }
    Ok(removed)
}
