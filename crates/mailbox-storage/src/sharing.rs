//! Who may do what in mailboxes of others (RFC 4314): the rules, and what they are asked of the database with.

use std::sync::Arc;

use mail_types::{AccountId, FlagBits, MailboxId, MessageId, Rights, Uid, UidSet};

use crate::db::{Expunge, InsertItem, Inserted, MailboxRow, Written};

/// Entries of one access control list.
pub(crate) const ACL_ENTRIES_MAX: usize = 1000;
/// Entries that one reader's list of others' mailboxes is made of.
pub(crate) const SHARED_ROWS_MAX: i64 = 20_000;

/// Somebody who is not the owner, and what must be allowed at the moment of the work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader {
    pub(crate) account: AccountId,
    pub(crate) needs: Rights,
}

/// An entry of a mailbox's access control list.
#[derive(Debug, Clone)]
pub(crate) struct AclRow {
    pub(crate) mailbox: MailboxId,
    /// 0: anyone.
    pub(crate) grantee: AccountId,
    pub(crate) negative: bool,
    pub(crate) rights: Rights,
    /// The grantee's when the entry was made.
    pub(crate) address: String,
}

/// What becomes of the rights of an entry.
pub(crate) type RightsEdit = Arc<dyn Fn(Rights) -> Rights + Send + Sync>;

/// One change of a list.
#[derive(Clone)]
pub(crate) struct AclEdit {
    pub(crate) owner: AccountId,
    pub(crate) mailbox: MailboxId,
    pub(crate) grantee: AccountId,
    pub(crate) negative: bool,
    pub(crate) edit: RightsEdit,
    pub(crate) address: String,
    pub(crate) owner_address: String,
}

/// A mailbox that somebody else may use.
#[derive(Debug)]
pub(crate) struct SharedRow {
    pub(crate) owner: AccountId,
    pub(crate) owner_address: String,
    pub(crate) state: MailboxRow,
    pub(crate) rights: Rights,
}

/// What a reader's change of flags did.
#[derive(Debug)]
pub(crate) struct SharedStored {
    /// The mailbox's mod-sequence before, and after; equal when there was nothing to do.
    pub(crate) before: i64,
    pub(crate) modseq: i64,
    /// Left alone because of `unchanged_since`.
    pub(crate) modified: UidSet,
}

/// A message that is to be copied.
#[derive(Debug)]
pub(crate) struct CopyRow {
    pub(crate) uid: Uid,
    /// \Seen is that of the one who copies.
    pub(crate) flags: FlagBits,
    pub(crate) message: MessageId,
    pub(crate) size: i64,
    pub(crate) received_at: i64,
}

/// Messages for a mailbox that need not be the writer's own, and where they are taken from if they are moved.
#[derive(Debug, Clone)]
pub(crate) struct Transfer {
    pub(crate) insert: Arc<InsertItem>,
    pub(crate) destination: MailboxId,
    /// `None`: the destination is the writer's own.
    pub(crate) reader: Option<Reader>,
    /// Places of the messages that the reader has seen.
    pub(crate) seen: Vec<usize>,
    /// What to expunge by whom (`None`: the owner), and how many messages that must be.
    pub(crate) source: Option<(Expunge, Option<Reader>, usize)>,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Transferred {
    pub(crate) inserted: Inserted,
    pub(crate) source: Option<Written>,
}

/// The rights that the entries for one reader add up to: all that are given, without those that are taken away. RFC 4314 §2 leaves
/// the way of adding up to the server.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RightsSum {
    given: Rights,
    taken: Rights,
}

impl RightsSum {
    pub(crate) fn add(&mut self, negative: bool, rights: Rights) {
        let side = if negative { &mut self.taken } else { &mut self.given };
        *side = side.with(rights);
    }
    pub(crate) fn total(self) -> Rights {
        self.given.without(self.taken)
    }
}

/// A reader's rights to a mailbox by the lists of its owner's account.
pub(crate) fn rights_in(acl: &[AclRow], mailbox: MailboxId, reader: AccountId) -> Rights {
    let mut sum = RightsSum::default();
    let anyone = AccountId::new(0);
    for entry in acl {
        if entry.mailbox == mailbox && (entry.grantee == reader || entry.grantee == anyone) {
            sum.add(entry.negative, entry.rights);
        }
    }
    sum.total()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_away_is_gone_whoever_gave_it() {
        let entry = |grantee, negative, rights| AclRow {
            mailbox: MailboxId::new(1),
            grantee: AccountId::new(grantee),
            negative,
            rights: Rights::parse(rights).unwrap(),
            address: String::new(),
        };
        let acl = [entry(0, false, "lr"), entry(5, false, "lrswi"), entry(5, true, "w"), entry(6, true, "r")];
        let rights = |reader| rights_in(&acl, MailboxId::new(1), AccountId::new(reader)).to_string();
        assert_eq!([rights(5), rights(6), rights(7)], ["lrsi", "l", "lr"]);
        assert_eq!(rights_in(&acl, MailboxId::new(2), AccountId::new(5)), Rights::NONE);
    }
}
