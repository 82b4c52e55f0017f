//! What goes in and out of the database about annotations (RFC 5464).

use mail_types::{AccountId, MailboxId};

use crate::sharing::Reader;

/// Which annotations, in pages ordered by mailbox and entry.
#[derive(Debug, Clone)]
pub(crate) struct AnnotationQuery {
    pub(crate) account: AccountId,
    /// Whose private ones beside the shared.
    pub(crate) reader: AccountId,
    /// `None`: of all mailboxes and of the server; 0 is the server.
    pub(crate) mailbox: Option<MailboxId>,
    /// Only this one.
    pub(crate) entry: Option<String>,
    /// Only what is newer; then removed ones too.
    pub(crate) since: Option<i64>,
    /// Begin behind this.
    pub(crate) after: (MailboxId, String),
    pub(crate) limit: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct AnnotationRow {
    pub(crate) mailbox: i64,
    pub(crate) entry: String,
    /// `None`: removed.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) version: i64,
}

/// Values to set or to remove: all or none.
#[derive(Debug, Clone)]
pub(crate) struct Annotate {
    pub(crate) account: AccountId,
    pub(crate) reader: AccountId,
    /// Somebody who is not the owner, and what must be allowed.
    pub(crate) allowed: Option<Reader>,
    /// 0: the server.
    pub(crate) mailbox: MailboxId,
    /// Entry, whether it is private, value.
    pub(crate) changes: Vec<(String, bool, Option<Vec<u8>>)>,
    /// Most annotations of one mailbox and reader.
    pub(crate) max: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Annotated {
    /// With this version.
    Done(i64),
    NoMailbox,
    TooMany,
}

impl Annotate {
    /// How many there would be, given those that there are.
    pub(crate) fn count_after(&self, there: &[String]) -> usize {
        let changed = |entry: &String| self.changes.iter().any(|(name, _, _)| name == entry);
        let untouched = there.iter().filter(|entry| !changed(entry)).count();
        untouched + self.changes.iter().filter(|(_, _, value)| value.is_some()).count()
    }

    /// 0: shared.
    pub(crate) fn reader_of(&self, is_private: bool) -> i64 {
        if is_private { self.reader.as_i64() } else { 0 }
    }
}

/// `$1` account, `$2` reader, `$3` mailbox or -1, `$4` version or -1, `$5` and `$6` where to begin, `$7` entry or empty, `$8` limit.
pub(crate) const SELECT: &str = "
    SELECT a.mailbox_id, a.entry, a.value, a.version FROM annotation a
     WHERE a.account_id = $1 AND a.reader_id IN (0, $2) AND ($3 < 0 OR a.mailbox_id = $3)
       AND a.version > $4 AND (a.value IS NOT NULL OR $4 >= 0) AND (a.mailbox_id, a.entry) > ($5, $6)
       AND ($7 = '' OR a.entry = $7)
     ORDER BY a.mailbox_id, a.entry LIMIT $8";

/// `$1` account, `$2` mailbox, `$3` reader: what there is.
pub(crate) const NAMES: &str = "
    SELECT entry FROM annotation
     WHERE account_id = $1 AND mailbox_id = $2 AND reader_id IN (0, $3) AND value IS NOT NULL";

/// `$1` account, `$2` mailbox, `$3` entry, `$4` reader or 0, `$5` value, `$6` version.
pub(crate) const UPSERT: &str = "
    INSERT INTO annotation (account_id, mailbox_id, entry, reader_id, value, version) VALUES ($1, $2, $3, $4, $5, $6)
      ON CONFLICT (account_id, mailbox_id, entry, reader_id)
      DO UPDATE SET value = excluded.value, version = excluded.version";

/// `$1` account, `$2` mailbox, `$3` version: removed ones are told for this many versions.
pub(crate) const FORGET: &str = "
    DELETE FROM annotation WHERE account_id = $1 AND mailbox_id = $2 AND value IS NULL AND version < $3 - 1000";

/// `$1` account: the next version.
pub(crate) const NEXT: &str = "
    UPDATE account_store SET annotation_version = annotation_version + 1 WHERE account_id = $1
    RETURNING annotation_version";

/// `$1` account, `$2` from, `$3` to: INBOX keeps its annotations, and the mailbox its mail moves to gets them too (RFC 5464 §4.1).
pub(crate) const COPY: &str = "
    INSERT INTO annotation (account_id, mailbox_id, entry, reader_id, value, version)
    SELECT account_id, $3, entry, reader_id, value, version FROM annotation
     WHERE account_id = $1 AND mailbox_id = $2 AND value IS NOT NULL";
