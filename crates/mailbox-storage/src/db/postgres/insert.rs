//! Adding messages: calls of `mail_add`, and what precedes them.

use super::*;

/// The arguments of `mail_add` about items.
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
    bits: Vec<&'a [u8]>,
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
        self.bits.push(&message.bits);
        self.chunk_first.push(chunks.no.len() as i32 + 1);
        if new.staged.is_none() {
            for chunk in &message.chunks {
                chunks.push(chunk);
            }
        }
        self.chunk_last.push(chunks.no.len() as i32);
    }
}

pub(super) async fn insert_pooled(pool: &PgPool, all: &[Arc<InsertItem>]) -> DbResult<Vec<Inserted>> {
    insert(&mut *pool.acquire().await?, all).await
}

/// The old message goes first, so that the new one has its share of the quota; what is refused then is rolled back.
pub(super) async fn replace(
    pool: &PgPool,
    item: &[Arc<InsertItem>; 1],
    old: OldMessage,
) -> DbResult<Option<ReplaceOutcome>> {
    let account = item[0].account;
    let mut tx = pool.begin().await?;
    sqlx::query(
        "SELECT 1 FROM mailbox m WHERE m.account_id = $1 AND (m.id = $2 OR m.name = $3) ORDER BY m.id
           FOR NO KEY UPDATE",
    )
    .bind(account.as_i64())
    .bind(old.mailbox.as_i64())
    .bind(item[0].mailbox.as_str())
    .execute(&mut *tx)
    .await?;
    let uids = UidSet::range(old.uid, old.uid);
    let expunge = Expunge { account, mailbox: old.mailbox, uids, having: FlagBits::NONE, now: item[0].now };
    let gone = write::expunge(&mut tx, &expunge).await?;
    let gone = gone.filter(|written| !written.vanished.is_empty());
    if gone.is_none() && item[0].key.is_none() {
        return Ok(None);
    }
    // Of a message that is gone already, only the answer of an earlier try is of interest.
    let inserted = insert(&mut tx, item).await?.pop().ok_or_else(|| damaged("no outcome"))?;
    let expunged_at = match (inserted, gone) {
        (Inserted::Done { .. }, Some(written)) => {
            tx.commit().await?;
            written.state.highest_modseq
        }
        (Inserted::Done { .. }, None) => return Ok(None),
        _ => 0,
    };
    Ok(Some(ReplaceOutcome { inserted, expunged_at }))
}

pub(super) async fn insert(conn: &mut PgConnection, all: &[Arc<InsertItem>]) -> DbResult<Vec<Inserted>> {
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
    let rows: Vec<(i32, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT * FROM mail_add($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
           $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)",
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
    .bind(SCHEME)
    .bind(messages.bits)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(outcome, mailbox, uidvalidity, uid, modseq)| {
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
