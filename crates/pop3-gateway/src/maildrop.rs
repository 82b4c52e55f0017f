//! The maildrop as this session sees it: messages by number, as they were at login, and the marks of DELE.
//!
//! **Invariant:** a message's number never changes in a session (RFC 1939 §4), whatever is marked or expunged elsewhere.

use mail_rpc::pb;

/// One message of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) uid: u32,
    /// Octets.
    pub(crate) size: u64,
    deleted: bool,
}

/// The snapshot.
#[derive(Debug)]
pub(crate) struct Maildrop {
    mailbox_id: u64,
    uid_validity: u32,
    messages: Vec<Message>,
}

/// Why a message cannot be had by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoMessage {
    #[error("no such message, only {0} messages in maildrop")]
    Absent(usize),
    #[error("message {0} is marked as deleted")]
    Deleted(u64),
}

impl Maildrop {
    /// `None` when storage's columns do not fit each other.
    pub(crate) fn new(reply: pb::Maildrop) -> Option<Self> {
        let pb::Maildrop { mailbox_id, uid_validity, uids, sizes } = reply;
        (uids.len() == sizes.len()).then(|| Self {
            mailbox_id,
            uid_validity,
            messages: uids
                .into_iter()
                .zip(sizes)
                .map(|(uid, size)| Message { uid, size, deleted: false })
                .collect(),
        })
    }

    pub(crate) fn mailbox_id(&self) -> u64 {
        self.mailbox_id
    }

    /// A message that is there and not marked.
    pub(crate) fn message(&self, number: u64) -> Result<Message, NoMessage> {
        let message = self.index(number).map(|index| self.messages[index]);
        match message {
            Some(message) if message.deleted => Err(NoMessage::Deleted(number)),
            Some(message) => Ok(message),
            None => Err(NoMessage::Absent(self.messages.len())),
        }
    }

    /// Messages not marked, with their numbers.
    pub(crate) fn listing(&self) -> impl Iterator<Item = (u64, Message)> {
        (1..).zip(self.messages.iter().copied()).filter(|(_, message)| !message.deleted)
    }

    /// Messages not marked after this number.
    pub(crate) fn listing_after(&self, number: u64) -> impl Iterator<Item = (u64, Message)> {
        let skip = usize::try_from(number).unwrap_or(usize::MAX).min(self.messages.len());
        (number.saturating_add(1)..)
            .zip(self.messages[skip..].iter().copied())
            .filter(|(_, message)| !message.deleted)
    }

    /// How many are not marked, and their octets. 64 bits: maildrops beyond 4 GiB are common.
    pub(crate) fn totals(&self) -> (usize, u64) {
        self.listing().fold((0, 0), |(count, octets), (_, message)| {
            (count + 1, u64::saturating_add(octets, message.size))
        })
    }

    /// DELE. The message goes at QUIT.
    pub(crate) fn mark(&mut self, number: u64) -> Result<(), NoMessage> {
        self.message(number)?;
        if let Some(index) = self.index(number) {
            self.messages[index].deleted = true;
        }
        Ok(())
    }

    /// RSET.
    pub(crate) fn unmark_all(&mut self) {
        for message in &mut self.messages {
            message.deleted = false;
        }
    }

    /// UIDs of what is marked, as ranges. A range never spans a UID that this session was not told of.
    pub(crate) fn marked(&self) -> Vec<pb::UidRange> {
        let mut ranges: Vec<pb::UidRange> = Vec::new();
        for message in self.messages.iter().filter(|message| message.deleted) {
            match ranges.last_mut() {
                Some(range) if range.last.checked_add(1) == Some(message.uid) => range.last = message.uid,
                _ => ranges.push(pb::UidRange { first: message.uid, last: message.uid }),
            }
        }
        ranges
    }

    /// The unique id of a message: UIDVALIDITY and UID, which together name it for ever (RFC 9051 §2.3.1.1). Printable
    /// and far below 70 octets (RFC 1939 §7).
    pub(crate) fn unique_id(&self, message: Message) -> String {
        format!("{:x}.{:x}", self.uid_validity, message.uid)
    }

    fn index(&self, number: u64) -> Option<usize> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        (index < self.messages.len()).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maildrop(uids: &[u32]) -> Maildrop {
        Maildrop::new(pb::Maildrop {
            mailbox_id: 1,
            uid_validity: 0xabc,
            uids: uids.to_vec(),
            sizes: uids.iter().map(|&uid| u64::from(uid) * 10).collect(),
        })
        .unwrap()
    }

    #[test]
    fn numbers_stay_after_dele() {
        let mut drop = maildrop(&[3, 5, 9]);
        drop.mark(1).unwrap();
        assert_eq!(drop.listing().map(|(n, m)| (n, m.uid)).collect::<Vec<_>>(), [(2, 5), (3, 9)]);
        assert_eq!(drop.listing_after(2).map(|(n, m)| (n, m.uid)).collect::<Vec<_>>(), [(3, 9)]);
        assert_eq!(drop.totals(), (2, 140));
        assert_eq!(drop.mark(1), Err(NoMessage::Deleted(1)));
        assert_eq!(drop.message(3).unwrap().uid, 9);
        drop.unmark_all();
        assert_eq!(drop.totals(), (3, 170));
    }

    #[test]
    fn there_is_no_message_zero_or_beyond() {
        let drop = maildrop(&[3, 5]);
        for number in [0, 3, u64::MAX] {
            assert_eq!(drop.message(number), Err(NoMessage::Absent(2)));
            assert_eq!(drop.listing_after(number).count(), if number == 0 { 2 } else { 0 });
        }
    }

    #[test]
    fn totals_have_64_bits() {
        let drop = Maildrop::new(pb::Maildrop {
            mailbox_id: 1,
            uid_validity: 1,
            uids: vec![1, 2, 3],
            sizes: vec![3_000_000_000; 3],
        });
        assert_eq!(drop.unwrap().totals(), (3, 9_000_000_000));
    }

    #[test]
    fn marked_messages_become_ranges() {
        let mut drop = maildrop(&[1, 2, 5, 9, 12]);
        for number in [1, 2, 3, 5] {
            drop.mark(number).unwrap();
        }
        let range = |first, last| pb::UidRange { first, last };
        assert_eq!(drop.marked(), [range(1, 2), range(5, 5), range(12, 12)]);
    }

    #[test]
    fn unique_ids_never_meet() {
        let drop = maildrop(&[0x1, 0x12]);
        let ids: Vec<_> = drop.listing().map(|(_, m)| drop.unique_id(m)).collect();
        assert_eq!(ids, ["abc.1", "abc.12"]);
    }

    #[test]
    fn columns_that_do_not_fit_are_refused() {
        assert!(Maildrop::new(pb::Maildrop { uids: vec![1], ..Default::default() }).is_none());
    }
}
