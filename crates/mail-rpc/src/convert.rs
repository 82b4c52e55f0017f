//! Between the generated types and `mail-types`.

use mail_types::{FlagBits, MessageId, ModSeq, Uid, UidSet};

use crate::Refusal;
use crate::pb;

/// One message of a mailbox, as far as a view of it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its UID.
    pub uid: Uid,
    /// Its flags.
    pub flags: FlagBits,
    /// When it last changed.
    pub modseq: ModSeq,
    /// What it is a copy of.
    pub message: MessageId,
}

/// A message as it travels: equal messages of one version of the contract are equal octets.
pub fn encode(message: &impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// Entries as columns of differences: a mailbox of 100 000 is well under a megabyte.
pub fn entries_to_pb(entries: impl IntoIterator<Item = Entry>) -> pb::Entries {
    let mut out = pb::Entries::default();
    let (mut uid, mut modseq, mut message) = (0u32, 0i64, 0i64);
    for entry in entries {
        out.uid_deltas.push(entry.uid.get().wrapping_sub(uid));
        out.flags.push(entry.flags.bits());
        out.modseq_deltas.push(entry.modseq.as_i64() - modseq);
        out.message_id_deltas.push(entry.message.as_i64() - message);
        (uid, modseq, message) = (entry.uid.get(), entry.modseq.as_i64(), entry.message.as_i64());
    }
    out
}

/// The entries of their columns.
///
/// # Errors
/// [`Refusal::Internal`] when the columns differ in length or hold impossible numbers, or the UIDs do not ascend.
pub fn entries_from_pb(columns: &pb::Entries) -> Result<Vec<Entry>, Refusal> {
    let damaged = || Refusal::Internal("damaged entries from storage".to_owned());
    let count = columns.uid_deltas.len();
    if [columns.flags.len(), columns.modseq_deltas.len(), columns.message_id_deltas.len()] != [count; 3] {
        return Err(damaged());
    }
    let mut out = Vec::with_capacity(count);
    let (mut uid, mut modseq, mut message) = (0u32, 0i64, 0i64);
    for i in 0..count {
        uid = uid
            .checked_add(columns.uid_deltas[i])
            .filter(|_| columns.uid_deltas[i] > 0)
            .ok_or_else(damaged)?;
        modseq = modseq.checked_add(columns.modseq_deltas[i]).ok_or_else(damaged)?;
        message = message.checked_add(columns.message_id_deltas[i]).ok_or_else(damaged)?;
        out.push(Entry {
            uid: Uid::new(uid).ok_or_else(damaged)?,
            flags: FlagBits::from_bits(columns.flags[i]),
            modseq: ModSeq::try_from(modseq).map_err(|_| damaged())?,
            message: MessageId::try_from(message).map_err(|_| damaged())?,
        });
    }
    Ok(out)
}

/// A set as ranges.
pub fn set_to_pb(set: &UidSet) -> Vec<pb::UidRange> {
    set.ranges().iter().map(|&(first, last)| pb::UidRange { first, last }).collect()
}

/// The set of any ranges.
pub fn set_from_pb(ranges: &[pb::UidRange]) -> UidSet {
    UidSet::from_ranges(ranges.iter().map(|range| (range.first, range.last)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_go_there_and_back(rows in proptest::collection::btree_map(1u32.., (any::<u64>(), any::<u64>(), any::<u64>()), 0..50)) {
            let entries: Vec<Entry> = rows.iter().map(|(uid, (flags, modseq, message))| Entry {
                uid: Uid::new(*uid).unwrap(),
                flags: FlagBits::from_bits(*flags),
                modseq: ModSeq::new(*modseq),
                message: MessageId::new(*message),
            }).collect();
            prop_assert_eq!(entries_from_pb(&entries_to_pb(entries.clone())), Ok(entries));
        }
    }

    #[test]
    fn damaged_columns_are_refused() {
        let bad = pb::Entries {
            uid_deltas: vec![1, 0],
            flags: vec![0, 0],
            modseq_deltas: vec![1, 1],
            message_id_deltas: vec![1, 1],
        };
        assert!(entries_from_pb(&bad).is_err());
        let bad = pb::Entries { uid_deltas: vec![1], ..Default::default() };
        assert!(entries_from_pb(&bad).is_err());
    }
}
