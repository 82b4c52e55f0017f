//! Rows and columns, there and back.

use super::*;

/// The columns of a mailbox, of the table or of a function's result that is called so.
pub(super) fn mailbox_columns(of: &str) -> String {
    const NAMES: [&str; MAILBOX_COLUMNS_LEN] = [
        "id",
        "name",
        "uidvalidity",
        "uidnext",
        "highest_modseq",
        "tombstone_floor",
        "special_use",
        "subscribed",
        "keywords",
        "messages",
        "unseen",
        "deleted",
        "bytes",
        "recent",
        "recent_from",
    ];
    NAMES.map(|name| format!("{of}.{name}")).join(", ")
}
/// How many they are.
pub(super) const MAILBOX_COLUMNS_LEN: usize = 15;

/// The mailbox whose columns begin at `at`.
pub(super) fn mailbox_row(row: &PgRow, at: usize) -> DbResult<MailboxRow> {
    Ok(MailboxRow {
        id: MailboxId::try_from(row.try_get::<i64, _>(at)?).map_err(damaged)?,
        name: row.try_get(at + 1)?,
        uidvalidity: row.try_get(at + 2)?,
        uidnext: row.try_get(at + 3)?,
        highest_modseq: row.try_get(at + 4)?,
        tombstone_floor: row.try_get(at + 5)?,
        special_use: row.try_get(at + 6)?,
        subscribed: row.try_get(at + 7)?,
        keywords: row.try_get(at + 8)?,
        messages: row.try_get(at + 9)?,
        unseen: row.try_get(at + 10)?,
        deleted: row.try_get(at + 11)?,
        bytes: row.try_get(at + 12)?,
        recent: row.try_get(at + 13)?,
        recent_from: row.try_get(at + 14)?,
    })
}

/// An array column; NULL, which aggregates of nothing are, is empty.
pub(super) fn array(row: &PgRow, at: usize) -> DbResult<Vec<i64>> {
    Ok(row.try_get::<Option<Vec<i64>>, _>(at)?.unwrap_or_default())
}

/// Lower and upper ends for `unnest`.
pub(super) fn bounds(uids: &UidSet) -> (Vec<i64>, Vec<i64>) {
    uids.ranges().iter().map(|(first, last)| (i64::from(*first), i64::from(*last))).unzip()
}

pub(super) fn entry(uid: i64, flags: i64, modseq: i64, message: i64) -> DbResult<Entry> {
    Ok(Entry {
        uid: Uid::try_from(uid).map_err(damaged)?,
        flags: FlagBits::from_bits(flags.unsigned_abs()),
        modseq: ModSeq::try_from(modseq).map_err(damaged)?,
        message: MessageId::try_from(message).map_err(damaged)?,
    })
}

pub(super) fn uid_set(uids: Vec<i64>) -> DbResult<UidSet> {
    let mut ranges = Vec::with_capacity(uids.len());
    for uid in uids {
        let uid = u32::try_from(uid).map_err(damaged)?;
        ranges.push((uid, uid));
    }
    Ok(UidSet::from_ranges(ranges))
}
