//! Adding messages: per message one execution to look, one to write. Each is a hop to the thread of the connection and back.

use super::*;

/// What an item meets.
struct Target {
    used: Quota,
    next_message_id: i64,
    mailbox: Option<(i64, i64, i64, i64)>,
    known: Option<Place>,
    first: Twins,
}

/// What is there of a message: an equal one, its staged content.
type Twins = (Option<i64>, Option<i64>);

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    items: Vec<Arc<InsertItem>>,
) -> DbResult<Vec<Inserted>> {
    let mut out = Vec::with_capacity(items.len());
    for item in &items {
        out.push(match look(conn, item).await? {
            Some(target) => insert_item(conn, item, target).await?,
            None => Inserted::NoAccount,
        });
    }
    Ok(out)
}

/// Inserts first, on the old message's share of the quota too: an insertion that is refused leaves the old one alone.
pub(super) async fn replace(
    conn: &mut SqliteConnection,
    item: InsertItem,
    old: OldMessage,
) -> DbResult<Option<ReplaceOutcome>> {
    let done = |inserted, expunged_at| Ok(Some(ReplaceOutcome { inserted, expunged_at }));
    let Some(mut target) = look(conn, &item).await? else { return done(Inserted::NoAccount, 0) };
    if let Some(place) = target.known {
        return done(Inserted::Duplicate(place), 0);
    }
    let size: Option<i64> = sqlx::query_scalar(
        "SELECT size FROM mailbox_message WHERE account_id = $1 AND mailbox_id = $2 AND uid = $3",
    )
    .bind(item.account.as_i64())
    .bind(old.mailbox.as_i64())
    .bind(i64::from(old.uid.get()))
    .fetch_optional(&mut *conn)
    .await?;
    let Some(size) = size else { return Ok(None) };
    target.used.used_bytes -= size;
    target.used.used_messages -= 1;
    let (account, now) = (item.account, item.now);
    let inserted = insert_item(conn, &item, target).await?;
    if !matches!(inserted, Inserted::Done { .. }) {
        return done(inserted, 0);
    }
    let uids = UidSet::range(old.uid, old.uid);
    let expunge = Expunge { account, mailbox: old.mailbox, uids, having: FlagBits::NONE, now };
    let written = write::expunge(conn, expunge).await?;
    done(inserted, written.map_or(0, |written| written.state.highest_modseq))
}

async fn insert_item(
    conn: &mut SqliteConnection,
    item: &InsertItem,
    mut target: Target,
) -> DbResult<Inserted> {
    let account = item.account.as_i64();
    if let Some(place) = target.known {
        return Ok(Inserted::Duplicate(place));
    }
    let Some((mailbox, uidvalidity, uidnext, modseq)) = target.mailbox else {
        return Ok(Inserted::NoMailbox);
    };
    if item.expect.is_some_and(|expected| expected.as_i64() != mailbox) {
        return Ok(Inserted::Stale);
    }
    let count = item.messages.len() as i64;
    if !target.used.has_room(item.messages.iter().map(|m| m.message.size).sum(), count) {
        return Ok(Inserted::OverQuota);
    }
    // INV-8: UIDNEXT has to be a UID too.
    if uidnext + count > i64::from(u32::MAX) {
        return Ok(Inserted::UidsUsedUp);
    }
    let ids = message_ids(conn, item, &mut target).await?;
    let Some(ids) = ids else { return Ok(Inserted::Stale) };
    for (i, (new, id)) in item.messages.iter().zip(ids).enumerate() {
        let spot = Spot { account, mailbox, uid: uidnext + i as i64, modseq: modseq + 1, id: id.id };
        // The key names the first message's place.
        let key = item.key.as_deref().filter(|_| i == 0);
        message(conn, item, new, &spot, (key, uidvalidity), id.is_new).await?;
    }
    let place = Place { mailbox: mailbox_id(mailbox)?, uidvalidity, uid: uidnext };
    Ok(Inserted::Done { place, modseq: modseq + 1 })
}

async fn look(conn: &mut SqliteConnection, item: &InsertItem) -> DbResult<Option<Target>> {
    let row = sqlx::query(
        "SELECT a.used_bytes, a.used_messages, a.limit_bytes, a.limit_messages, a.next_message_id,
           m.id, m.uidvalidity, m.uidnext, m.highest_modseq, k.mailbox_id, k.uidvalidity, k.uid,
           (SELECT id FROM message WHERE account_id = $1 AND content_hash = $5),
           (SELECT message_id FROM content WHERE account_id = $1 AND message_id = $6 LIMIT 1)
         FROM account_store a
           LEFT JOIN mailbox m ON m.account_id = a.account_id AND m.name IN ($2, $3)
           LEFT JOIN delivery_key k ON k.account_id = a.account_id AND k.key = $4
         WHERE a.account_id = $1 ORDER BY m.name = $2 DESC LIMIT 1",
    )
    .bind(item.account.as_i64())
    .bind(item.mailbox.as_str())
    .bind(if item.or_inbox { "INBOX" } else { item.mailbox.as_str() })
    .bind(item.key.as_deref())
    .bind(item.messages.first().map(|new| new.message.hash.as_slice()))
    .bind(item.messages.first().and_then(|new| new.staged).map(MessageId::as_i64))
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mailbox = match row.try_get::<Option<i64>, _>(5)? {
        Some(id) => Some((id, row.try_get(6)?, row.try_get(7)?, row.try_get(8)?)),
        None => None,
    };
    let known = match row.try_get::<Option<i64>, _>(9)? {
        Some(id) => {
            Some(Place { mailbox: mailbox_id(id)?, uidvalidity: row.try_get(10)?, uid: row.try_get(11)? })
        }
        None => None,
    };
    Ok(Some(Target {
        used: Quota {
            used_bytes: row.try_get(0)?,
            used_messages: row.try_get(1)?,
            limit_bytes: row.try_get(2)?,
            limit_messages: row.try_get(3)?,
        },
        next_message_id: row.try_get(4)?,
        mailbox,
        known,
        first: (row.try_get(12)?, row.try_get(13)?),
    }))
}

/// The id a message gets, or has because an equal one is there.
#[derive(Clone, Copy)]
struct Identity {
    id: i64,
    is_new: bool,
}

/// `None`: staged content is gone.
async fn message_ids(
    conn: &mut SqliteConnection,
    item: &InsertItem,
    target: &mut Target,
) -> DbResult<Option<Vec<Identity>>> {
    let mut out: Vec<Identity> = Vec::with_capacity(item.messages.len());
    for (i, new) in item.messages.iter().enumerate() {
        let twin = item.messages[..i].iter().position(|other| other.message.hash == new.message.hash);
        if let Some(twin) = twin {
            out.push(Identity { id: out[twin].id, is_new: false });
            continue;
        }
        let staged = new.staged.map_or(0, MessageId::as_i64);
        let (there, staged_there) =
            if i == 0 { target.first } else { twins(conn, item.account, new).await? };
        out.push(match there {
            Some(id) => Identity { id, is_new: false },
            None if staged != 0 && staged_there.is_none() => return Ok(None),
            None if staged != 0 => Identity { id: staged, is_new: true },
            None => {
                target.next_message_id += 1;
                Identity { id: target.next_message_id - 1, is_new: true }
            }
        });
    }
    Ok(Some(out))
}

async fn twins(conn: &mut SqliteConnection, account: AccountId, new: &NewMessage) -> DbResult<Twins> {
    Ok(sqlx::query_as(
        "SELECT (SELECT id FROM message WHERE account_id = $1 AND content_hash = $2),
                (SELECT message_id FROM content WHERE account_id = $1 AND message_id = $3 LIMIT 1)",
    )
    .bind(account.as_i64())
    .bind(new.message.hash.as_slice())
    .bind(new.staged.map(MessageId::as_i64))
    .fetch_one(conn)
    .await?)
}

/// Where a message goes.
struct Spot {
    account: i64,
    mailbox: i64,
    uid: i64,
    modseq: i64,
    id: i64,
}

const PLACE_SQL: &str = "
    INSERT INTO mailbox_message VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);
    UPDATE mailbox SET uidnext = $3 + 1, highest_modseq = $5, messages = messages + 1,
        unseen = unseen + 1 - ($6 & 1), deleted = deleted + ($6 >> 3 & 1), bytes = bytes + $7, recent = recent + 1
      WHERE account_id = $1 AND id = $2;
    UPDATE account_store SET used_bytes = used_bytes + $7, used_messages = used_messages + 1,
        next_message_id = max(next_message_id, $4 + 1) WHERE account_id = $1;
    INSERT INTO delivery_key SELECT $1, $10, $2, $11, $3, $12 WHERE $10 IS NOT NULL;";

const MESSAGE_SQL: &str = "
    INSERT INTO message VALUES ($1, $4, $13, $7, $14, $15, $16, $17, $18, $19, $20, $21, $22);
    INSERT INTO message_text VALUES ($1, $4, $23);
    INSERT INTO content SELECT $1, $4, $24, $25, $26, $27 WHERE $27 IS NOT NULL;
    INSERT INTO message_keys VALUES ($1, $4, $28);
    INSERT INTO search_tail VALUES ($1, $4, $17, $29, $30);";

async fn message(
    conn: &mut SqliteConnection,
    item: &InsertItem,
    new: &NewMessage,
    spot: &Spot,
    (key, uidvalidity): (Option<&[u8]>, i64),
    is_new: bool,
) -> DbResult<()> {
    let message = &new.message;
    let with_message = statements(is_new);
    let mut query = sqlx::query(with_message)
        .bind(spot.account)
        .bind(spot.mailbox)
        .bind(spot.uid)
        .bind(spot.id)
        .bind(spot.modseq)
        .bind(new.flags.bits().cast_signed())
        .bind(message.size)
        .bind(new.received_at)
        .bind(item.now)
        .bind(key)
        .bind(uidvalidity)
        .bind(item.key_made_at);
    if is_new {
        let first = if new.staged.is_none() { message.chunks.first() } else { None };
        query = query
            .bind(message.hash.as_slice())
            .bind(message.thread_id)
            .bind(message.sent_day)
            .bind(message.base_subject.as_str())
            .bind(message.derived_version)
            .bind(message.envelope.as_slice())
            .bind(message.body.as_slice())
            .bind(message.bodystructure.as_slice())
            .bind(message.parts.as_slice())
            .bind(message.preview.as_str())
            .bind(message.text.as_slice())
            .bind(first.map(|chunk| chunk.no))
            .bind(first.map(|chunk| chunk.raw_offset))
            .bind(first.map(|chunk| chunk.raw_len))
            .bind(first.map(|chunk| &*chunk.data))
            .bind(message.keys.as_slice())
            .bind(SCHEME)
            .bind(message.bits.as_slice());
    }
    query.execute(&mut *conn).await?;
    if is_new && new.staged.is_none() && message.chunks.len() > 1 {
        chunks(conn, spot.account, spot.id, &message.chunks[1..]).await?;
    }
    Ok(())
}

/// The statements for a message that is new, or for one that is there.
fn statements(is_new: bool) -> &'static str {
    static BOTH: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| format!("{MESSAGE_SQL}{PLACE_SQL}"));
    if is_new { &BOTH } else { PLACE_SQL }
}

pub(super) async fn stage(
    conn: &mut SqliteConnection,
    account: AccountId,
    now: i64,
) -> DbResult<Option<MessageId>> {
    let id: Option<i64> = sqlx::query_scalar(
        "UPDATE account_store SET next_message_id = next_message_id + 1 WHERE account_id = $1
         RETURNING next_message_id - 1",
    )
    .bind(account.as_i64())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(id) = id else { return Ok(None) };
    sqlx::query("INSERT INTO garbage VALUES ($1, $2, $3)")
        .bind(account.as_i64())
        .bind(id)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(Some(MessageId::try_from(id).map_err(damaged)?))
}

pub(super) async fn chunks(
    conn: &mut SqliteConnection,
    account: i64,
    message: i64,
    chunks: &[Chunk],
) -> DbResult<()> {
    for chunk in chunks {
        sqlx::query("INSERT INTO content VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(account)
            .bind(message)
            .bind(chunk.no)
            .bind(chunk.raw_offset)
            .bind(chunk.raw_len)
            .bind(&*chunk.data)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
