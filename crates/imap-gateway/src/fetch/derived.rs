//! What is derived of a message once and never changes, kept by account and message. May be emptied at any time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mail_message::DERIVED_VERSION;
use mail_rpc::{DEADLINE, Entry, MailboxClient, Refusal, pb, set_to_pb};
use mail_types::{AccountId, MailboxId, MessageId, Uid, UidSet};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::time::timeout;

use crate::error::CmdError;

/// What a key and its place in the cache take, in bytes.
const ENTRY_BYTES: usize = 128;
/// What one message's data usually takes, in bytes: only a guess for the size of tables.
const USUAL_BYTES: usize = 2048;

/// Which data FETCH needs beside size and thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) envelope: bool,
    pub(crate) body: bool,
    pub(crate) body_structure: bool,
    pub(crate) parts: bool,
    pub(crate) preview: bool,
    /// INTERNALDATE and SAVEDATE, which belong to a UID: equal messages share all else.
    pub(crate) dates: bool,
}

impl Wanted {
    /// What either wants.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            envelope: self.envelope || other.envelope,
            body: self.body || other.body,
            body_structure: self.body_structure || other.body_structure,
            parts: self.parts || other.parts,
            preview: self.preview || other.preview,
            dates: self.dates || other.dates,
        }
    }
}

/// Whose mail, and where.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The owner of the mail.
    pub(crate) account: AccountId,
    /// The same as requests name it.
    pub(crate) owner: u64,
    pub(crate) grant: Bytes,
    pub(crate) mailbox: MailboxId,
}

/// Of one message; what was never asked for is `None`.
#[derive(Debug, Clone)]
pub(crate) struct MessageData {
    /// RFC822.SIZE in octets.
    pub(crate) size: u64,
    pub(crate) thread_id: u64,
    pub(crate) envelope: Option<Box<[u8]>>,
    pub(crate) body: Option<Box<[u8]>>,
    pub(crate) body_structure: Option<Box<[u8]>>,
    pub(crate) parts: Option<Box<[u8]>>,
    pub(crate) preview: Option<Box<str>>,
    dates: Dates,
}

/// When a message came, under one of its UIDs. Seconds since 1970 UTC.
#[derive(Debug, Clone, Copy)]
struct Dates {
    mailbox: MailboxId,
    uid: Uid,
    received_at: i64,
    saved_at: i64,
}

/// Which octets of a message are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kept {
    Header,
    Whole,
}

type Key = (AccountId, MessageId);
type ContentKey = (AccountId, MessageId, Kept);

/// The caches.
pub(crate) struct Derived {
    data: Cache<Key, Arc<MessageData>, ByBytes>,
    contents: Cache<ContentKey, Bytes, ByBytes>,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<MessageData>> for ByBytes {
    fn weight(&self, _: &Key, data: &Arc<MessageData>) -> u64 {
        (data.weight() + ENTRY_BYTES) as u64
    }
}

impl Weighter<ContentKey, Bytes> for ByBytes {
    fn weight(&self, _: &ContentKey, content: &Bytes) -> u64 {
        (content.len() + ENTRY_BYTES) as u64
    }
}

impl Derived {
    pub(crate) fn new(data_bytes: usize, content_bytes: usize) -> Self {
        Self {
            data: Cache::with_weighter(data_bytes / USUAL_BYTES + 16, data_bytes as u64, ByBytes),
            contents: Cache::with_weighter(content_bytes / USUAL_BYTES + 16, content_bytes as u64, ByBytes),
        }
    }

    /// The data of some messages, in their order; `None` for one that is gone. One call to storage for all that is missing.
    ///
    /// # Errors
    /// As storage says; NOT_FOUND when the mailbox was deleted.
    pub(crate) async fn load(
        &self,
        storage: &MailboxClient,
        place: &Place,
        entries: &[Entry],
        wanted: Wanted,
    ) -> Result<Vec<Option<Arc<MessageData>>>, CmdError> {
        let mut found: Vec<_> = entries
            .iter()
            .map(|entry| {
                let data = self.data.get(&(place.account, entry.message))?;
                data.has(wanted, place.mailbox, entry.uid).then_some(data)
            })
            .collect();
        let missing: UidSet = entries
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(entry, _)| entry.uid)
            .collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let request = pb::FetchRequest {
            owner: place.owner,
            grant: place.grant.clone(),
            mailbox_id: place.mailbox.get(),
            uids: set_to_pb(&missing),
            envelope: wanted.envelope,
            body: wanted.body,
            body_structure: wanted.body_structure,
            parts: wanted.parts,
            preview: wanted.preview,
        };
        let of_selected = |status| CmdError::of_selected(Refusal::from(status));
        let mut pages = storage.fetch(request).await.map_err(of_selected)?;
        while let Some(page) = in_time(pages.message()).await.map_err(CmdError::of_selected)? {
            for message in page.messages {
                let Ok(at) = entries.binary_search_by_key(&message.uid, |entry| entry.uid.get()) else {
                    continue;
                };
                let key = (place.account, entries[at].message);
                let data = self.take(key, message, wanted, (place.mailbox, entries[at].uid));
                found[at] = Some(data);
            }
        }
        Ok(found)
    }

    /// What storage sent, with what is held already.
    fn take(
        &self,
        key: Key,
        message: pb::MessageData,
        wanted: Wanted,
        (mailbox, uid): (MailboxId, Uid),
    ) -> Arc<MessageData> {
        // What an older version derived is made anew some time, of which nobody tells.
        let is_final = message.derived_version >= DERIVED_VERSION;
        let data = Arc::new(MessageData::new(message, wanted, (mailbox, uid), self.data.get(&key)));
        if is_final {
            self.data.insert(key, Arc::clone(&data));
        }
        data
    }

    /// Octets that are kept: those asked for, or all.
    pub(crate) fn content(
        &self,
        account: AccountId,
        message: MessageId,
        kept: Kept,
    ) -> Option<(Kept, Bytes)> {
        if kept == Kept::Header
            && let Some(header) = self.contents.get(&(account, message, Kept::Header))
        {
            return Some((Kept::Header, header));
        }
        self.contents.get(&(account, message, Kept::Whole)).map(|content| (Kept::Whole, content))
    }

    pub(crate) fn keep_content(&self, account: AccountId, message: MessageId, kept: Kept, content: Bytes) {
        self.contents.insert((account, message, kept), content);
    }
}

impl MessageData {
    fn new(
        message: pb::MessageData,
        wanted: Wanted,
        (mailbox, uid): (MailboxId, Uid),
        held: Option<Arc<Self>>,
    ) -> Self {
        // Copied, since what came is a window into the whole page, which would be kept with it.
        let copied = |wanted: bool, bytes: &Bytes| wanted.then(|| Box::from(&bytes[..]));
        let held = held.as_deref();
        Self {
            size: message.size,
            thread_id: message.thread_id,
            envelope: copied(wanted.envelope, &message.envelope)
                .or_else(|| held.and_then(|held| held.envelope.clone())),
            body: copied(wanted.body, &message.body).or_else(|| held.and_then(|held| held.body.clone())),
            body_structure: copied(wanted.body_structure, &message.body_structure)
                .or_else(|| held.and_then(|held| held.body_structure.clone())),
            parts: copied(wanted.parts, &message.parts).or_else(|| held.and_then(|held| held.parts.clone())),
            preview: wanted
                .preview
                .then(|| message.preview.into_boxed_str())
                .or_else(|| held.and_then(|held| held.preview.clone())),
            dates: Dates { mailbox, uid, received_at: message.received_at, saved_at: message.saved_at },
        }
    }

    fn has(&self, wanted: Wanted, mailbox: MailboxId, uid: Uid) -> bool {
        (!wanted.envelope || self.envelope.is_some())
            && (!wanted.body || self.body.is_some())
            && (!wanted.body_structure || self.body_structure.is_some())
            && (!wanted.parts || self.parts.is_some())
            && (!wanted.preview || self.preview.is_some())
            && (!wanted.dates || self.dates_of(mailbox, uid).is_some())
    }

    fn dates_of(&self, mailbox: MailboxId, uid: Uid) -> Option<Dates> {
        Some(self.dates).filter(|dates| (dates.mailbox, dates.uid) == (mailbox, uid))
    }

    /// INTERNALDATE of this UID, if it is the one this was loaded for.
    pub(crate) fn received_at(&self, mailbox: MailboxId, uid: Uid) -> Option<i64> {
        self.dates_of(mailbox, uid).map(|dates| dates.received_at)
    }

    /// When it came into this mailbox, likewise.
    pub(crate) fn saved_at(&self, mailbox: MailboxId, uid: Uid) -> Option<i64> {
        self.dates_of(mailbox, uid).map(|dates| dates.saved_at)
    }

    fn weight(&self) -> usize {
        let blobs = [&self.envelope, &self.body, &self.body_structure, &self.parts];
        blobs.iter().filter_map(|blob| blob.as_deref()).map(<[u8]>::len).sum::<usize>()
            + self.preview.as_deref().map_or(0, str::len)
            + size_of::<Self>()
    }
}

/// The next piece of a stream of storage, within the time that a call may take.
///
/// # Errors
/// What storage says, or [`Refusal::Unavailable`].
pub(super) async fn in_time<T>(
    next: impl Future<Output = Result<Option<T>, tonic::Status>>,
) -> Result<Option<T>, Refusal> {
    const LIMIT: Duration = DEADLINE;
    match timeout(LIMIT, next).await {
        Ok(next) => next.map_err(Refusal::from),
        Err(_) => Err(Refusal::Unavailable("storage stopped in the middle of an answer".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_made_anew_is_not_kept() {
        let derived = Derived::new(1 << 20, 1 << 20);
        let key = (AccountId::new(1), MessageId::new(2));
        let take = |version: u32, envelope: &'static [u8]| {
            let message = pb::MessageData {
                derived_version: version,
                envelope: Bytes::from_static(envelope),
                ..pb::MessageData::default()
            };
            let wanted = Wanted { envelope: true, ..Wanted::default() };
            derived.take(key, message, wanted, (MailboxId::new(3), Uid::MIN)).envelope.clone()
        };
        assert_eq!(take(DERIVED_VERSION - 1, b"old").as_deref(), Some(&b"old"[..]));
        assert!(derived.data.get(&key).is_none());
        assert_eq!(take(DERIVED_VERSION, b"new").as_deref(), Some(&b"new"[..]));
        assert_eq!(derived.data.get(&key).unwrap().envelope.as_deref(), Some(&b"new"[..]));
        // A process that is newer than this one.
        assert!(take(DERIVED_VERSION + 1, b"newer").is_some());
    }
}
