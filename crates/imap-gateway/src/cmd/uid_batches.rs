//! UIDBATCHES (RFC 10022): UID ranges that divide the selected mailbox into batches of as many messages. The view knows all there
//! is to it, so that a mailbox of any size has one answer, and TOOMANY never comes.

use imap_wire::{Code, Tag};
use mail_types::Uid;

use crate::error::{CmdError, CmdResult, Done};
use crate::limits::BATCH_MESSAGES_MIN;
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::sync::Expunges;

pub(crate) async fn uid_batches(
    session: &mut Session,
    tag: &Tag,
    size: u32,
    range: Option<(u32, u32)>,
) -> CmdResult {
    let (first, last) = range.unwrap_or((1, u32::MAX));
    if first > last {
        return Err(CmdError::bad_code(Code::ClientBug, "The first batch comes after the last one"));
    }
    if size < BATCH_MESSAGES_MIN {
        return Err(CmdError::no(Code::TooFew, "A batch has 500 messages or more"));
    }
    session.catch_up_if_stale(Expunges::Announce).await?;
    let batches = batches(session.selected()?.view.snapshot(), size as usize, (first, last));
    session.writer().uid_batches(tag, &batches);
    Done::plain()
}

/// The highest and the lowest UID of each of the batches wanted, the batch with the highest UIDs being the first. They lie close:
/// a batch begins right below the one before it, and the last one ends with UID 1.
fn batches(snapshot: &Snapshot, size: usize, (first, last): (u32, u32)) -> Vec<(Uid, Uid)> {
    let total = snapshot.len().div_ceil(size);
    let wanted = (first as usize - 1).min(total)..(last as usize).min(total);
    // The lowest UID of the batch at a place.
    let low = |batch: usize| match snapshot.len().checked_sub((batch + 1) * size) {
        None | Some(0) => Uid::new(1),
        Some(index) => Some(snapshot.get(index).uid),
    };
    let high = |batch: usize| match batch.checked_sub(1) {
        None => snapshot.last_uid(),
        Some(before) => low(before).and_then(|uid| Uid::new(uid.get() - 1)),
    };
    wanted.filter_map(|batch| Some((high(batch)?, low(batch)?))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mail_rpc::Entry;
    use mail_types::{FlagBits, MailboxId, MessageId, ModSeq};
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::Meta;

    fn snapshot(uids: impl IntoIterator<Item = u32>) -> Snapshot {
        let entries: Vec<Entry> = uids
            .into_iter()
            .map(|uid| Entry {
                uid: Uid::new(uid).unwrap(),
                flags: FlagBits::NONE,
                modseq: ModSeq::new(1),
                message: MessageId::new(u64::from(uid)),
            })
            .collect();
        let meta = Meta {
            mailbox: MailboxId::new(1),
            uid_validity: 1,
            uid_next: u32::MAX,
            modseq: ModSeq::new(1),
            keywords: Arc::default(),
        };
        Snapshot::new(meta, &entries)
    }

    fn numbers(snapshot: &Snapshot, size: usize, range: (u32, u32)) -> Vec<(u32, u32)> {
        batches(snapshot, size, range).into_iter().map(|(high, low)| (high.get(), low.get())).collect()
    }

    #[test]
    fn the_newest_come_first() {
        const ALL: (u32, u32) = (1, u32::MAX);
        let some = snapshot([3, 4, 8, 9, 10, 20, 21]);
        assert_eq!(numbers(&some, 3, ALL), [(21, 10), (9, 4), (3, 1)]);
        assert_eq!(numbers(&some, 3, (2, 2)), [(9, 4)]);
        assert_eq!(numbers(&some, 3, (2, 9)), [(9, 4), (3, 1)]);
        assert_eq!(numbers(&some, 3, (4, 9)), []);
        assert_eq!(numbers(&some, 7, ALL), [(21, 1)]);
        assert_eq!(numbers(&some, u32::MAX as usize, ALL), [(21, 1)]);
        assert_eq!(numbers(&snapshot([1]), 1, ALL), [(1, 1)]);
        assert_eq!(numbers(&snapshot([]), 3, ALL), []);
    }

    proptest! {
        #[test]
        fn each_message_is_in_one_batch(
            uids in proptest::collection::btree_set(1u32..2000, 1..300),
            size in 1usize..50,
        ) {
            let uids: Vec<u32> = uids.into_iter().collect();
            let all = numbers(&snapshot(uids.iter().copied()), size, (1, u32::MAX));
            prop_assert_eq!(all.len(), uids.len().div_ceil(size));
            prop_assert_eq!(all[0].0, uids[uids.len() - 1]);
            prop_assert_eq!(all[all.len() - 1].1, 1);
            for pair in all.windows(2) {
                prop_assert_eq!(pair[0].1, pair[1].0 + 1);
            }
            for (at, (high, low)) in all.iter().enumerate() {
                let messages = uids.iter().filter(|uid| (low..=high).contains(uid)).count();
                let rest = uids.len() - at * size;
                prop_assert_eq!(messages, rest.min(size));
            }
        }
    }
}
