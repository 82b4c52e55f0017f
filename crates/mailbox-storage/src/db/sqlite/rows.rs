//! What rows and packed columns of SQLite mean.

use super::*;

/// The columns of `mailbox`, called `m` in the query.
pub(super) const MAILBOX_COLUMNS: &str = "m.id, m.name, m.uidvalidity, m.uidnext, m.highest_modseq, m.tombstone_floor, \
     m.special_use, m.subscribed, m.keywords, m.messages, m.unseen, m.deleted, m.bytes, m.recent, m.recent_from";
/// How many they are.
pub(super) const MAILBOX_COLUMNS_LEN: usize = 15;

/// The mailbox whose columns begin at `at`.
pub(super) fn mailbox_row(row: &SqliteRow, at: usize) -> DbResult<MailboxRow> {
    Ok(MailboxRow {
        id: mailbox_id(row.try_get(at)?)?,
        name: row.try_get(at + 1)?,
        uidvalidity: row.try_get(at + 2)?,
        uidnext: row.try_get(at + 3)?,
        highest_modseq: row.try_get(at + 4)?,
        tombstone_floor: row.try_get(at + 5)?,
        special_use: row.try_get(at + 6)?,
        subscribed: row.try_get::<i64, _>(at + 7)? != 0,
        keywords: row.try_get(at + 8)?,
        messages: row.try_get(at + 9)?,
        unseen: row.try_get(at + 10)?,
        deleted: row.try_get(at + 11)?,
        bytes: row.try_get(at + 12)?,
        recent: row.try_get(at + 13)?,
        recent_from: row.try_get(at + 14)?,
    })
}

pub(super) fn mailbox_id(id: i64) -> DbResult<MailboxId> {
    MailboxId::try_from(id).map_err(damaged)
}

/// Ranges as JSON for `json_each`: `[[1,5],[7,7]]`.
pub(super) fn ranges_json(uids: &UidSet) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(2 + 16 * uids.ranges().len());
    out.push('[');
    for (i, (first, last)) in uids.ranges().iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(out, "{comma}[{first},{last}]");
    }
    out.push(']');
    out
}

/// What `group_concat` made: records of `N` numbers, all separated by commas. Absent: none.
pub(super) fn numbers<const N: usize>(text: Option<&str>) -> DbResult<Vec<[i64; N]>> {
    let text = text.unwrap_or_default().as_bytes();
    let mut out = Vec::with_capacity(text.len() / (4 * N));
    let (mut record, mut place) = ([0i64; N], 0);
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memchr(b',', rest).unwrap_or(rest.len());
        let mut number = 0i64;
        for digit in &rest[..end] {
            if !digit.is_ascii_digit() {
                return Err(damaged("a packed column"));
            }
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
        }
        record[place] = number;
        place += 1;
        if place == N {
            out.push(record);
            place = 0;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if place == 0 { Ok(out) } else { Err(damaged("a packed column")) }
}

/// A row of uid, flags, mod-sequence and message id.
pub(super) fn entry([uid, flags, modseq, message]: [i64; 4]) -> DbResult<Entry> {
    Ok(Entry {
        uid: Uid::try_from(uid).map_err(damaged)?,
        flags: FlagBits::from_bits(flags.unsigned_abs()),
        modseq: ModSeq::try_from(modseq).map_err(damaged)?,
        message: MessageId::try_from(message).map_err(damaged)?,
    })
}

pub(super) fn uid_set(numbers: Vec<[i64; 1]>) -> DbResult<UidSet> {
    let mut ranges = Vec::with_capacity(numbers.len());
    for [uid] in numbers {
        let uid = u32::try_from(uid).map_err(damaged)?;
        ranges.push((uid, uid));
    }
    Ok(UidSet::from_ranges(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_numbers_are_read_and_damage_is_seen() {
        assert_eq!(numbers::<2>(Some("1,2,3,9223372036854775807")).unwrap(), [[1, 2], [3, i64::MAX]]);
        assert_eq!(numbers::<1>(None).unwrap().len(), 0);
        assert!(numbers::<2>(Some("1,2,3")).is_err());
        assert!(numbers::<1>(Some("1,x")).is_err());
    }

    #[test]
    fn ranges_become_json() {
        assert_eq!(ranges_json(&"1:3,7".parse().unwrap()), "[[1,3],[7,7]]");
        assert_eq!(ranges_json(&UidSet::new()), "[]");
    }
}
