//! What all sessions together know to be true, with the moment from which each fact was known.
//!
//! Moments are counted, not measured: a command sent at moment *t* must be answered with all that was acknowledged before *t*,
//! on whatever gateway (INV-25). What may have changed since is not judged; so no check depends on how fast anything is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fault::{Checked, require};
use crate::reply::{Fetch, Value};

mod message;

pub use message::{Message, Owned};

/// A moment.
pub type Moment = u64;
/// The number that each message of ours has in its `X-Soak-Id`.
pub type Id = u64;
/// Flags in lower case.
pub type Flags = BTreeSet<String>;

/// Shared by all sessions.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Ledger>>);

impl Shared {
    /// For one look or one entry; never held while waiting.
    pub fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The facts.
#[derive(Default)]
pub struct Ledger {
    now: Moment,
    /// By UIDVALIDITY, which this server never uses twice in an account.
    pub mailboxes: BTreeMap<u32, Mailbox>,
    /// The highest UIDVALIDITY seen under a name.
    names: HashMap<String, u32>,
    /// Octets of each message that was handed in.
    contents: HashMap<Id, Arc<Vec<u8>>>,
    /// Handed in by LMTP and acknowledged.
    pub delivered: BTreeSet<Id>,
    /// Of those, found in INBOX.
    pub placed: BTreeSet<Id>,
    /// Checks made, by invariant.
    pub checks: BTreeMap<&'static str, u64>,
    /// Commands sent, by name.
    pub commands: BTreeMap<String, u64>,
}

/// The facts about one mailbox.
#[derive(Default)]
pub struct Mailbox {
    /// By UID.
    pub messages: BTreeMap<u32, Message>,
    /// The highest UIDNEXT told.
    pub uidnext: u32,
    /// The highest HIGHESTMODSEQ told.
    pub highest: u64,
    /// EXPUNGE or CLOSE that run.
    pub expunging: u32,
    /// When the last one ended.
    pub expunged_at: Moment,
    /// May be deleted and renamed, so its messages may come from nowhere.
    pub volatile: bool,
}

impl Ledger {
    /// The present moment, which is then past.
    pub fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// Counts a check that was made.
    pub fn count(&mut self, invariant: &'static str, number: usize) {
        *self.checks.entry(invariant).or_default() += number as u64;
    }

    /// The mailbox of this UIDVALIDITY.
    pub fn mailbox(&mut self, validity: u32) -> &mut Mailbox {
        self.mailboxes.entry(validity).or_default()
    }

    /// A message that is known.
    pub fn message(&mut self, validity: u32, uid: u32) -> Option<&mut Message> {
        self.mailboxes.get_mut(&validity)?.messages.get_mut(&uid)
    }

    /// The number for a message about to be handed in.
    pub fn next_id(&mut self) -> Id {
        let id = self.contents.len() as Id + 1;
        self.contents.insert(id, Arc::default());
        id
    }

    /// What message `id` consists of.
    pub fn set_content(&mut self, id: Id, octets: Vec<u8>) {
        self.contents.insert(id, Arc::new(octets));
    }

    /// The octets handed in as `id`.
    pub fn content(&self, id: Id) -> Option<Arc<Vec<u8>>> {
        self.contents.get(&id).cloned()
    }

    /// How many messages were handed in.
    pub fn ids(&self) -> usize {
        self.contents.len()
    }

    /// The highest UIDVALIDITY known under a name.
    pub fn validity_of(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// INV-6: a name's UIDVALIDITY was told; `known` is what was known of it when the command was sent.
    ///
    /// # Errors
    /// When it went back.
    pub fn name_seen(&mut self, name: &str, validity: u32, known: Option<u32>, volatile: bool) -> Checked {
        self.count("INV-6", 1);
        require(known.is_none_or(|known| validity >= known), "INV-6", || {
            format!("UIDVALIDITY of {name} went back from {known:?} to {validity}")
        })?;
        if let Some(known) = known.filter(|_| !volatile) {
            require(validity == known, "INV-6", || {
                format!("UIDVALIDITY of {name}, which nobody deletes, is {validity} after {known}")
            })?;
        }
        let highest = self.names.entry(name.to_owned()).or_default();
        *highest = validity.max(*highest);
        self.mailbox(validity).volatile |= volatile;
        Ok(())
    }

    /// INV-2, INV-3: a message is announced that was not known. `floor`: UIDs below it are late, because a command sent later than
    /// they were all known showed the mailbox without this one.
    ///
    /// # Errors
    /// When it is late, or was gone before.
    pub fn announced(&mut self, validity: u32, uid: u32, floor: u32) -> Checked {
        let now = self.tick();
        self.count("INV-2", 1);
        require(uid >= floor, "INV-2", || {
            format!(
                "UID {uid} appeared late: {} was told or promised before, in mailbox {validity}",
                floor - 1
            )
        })?;
        let mailbox = self.mailbox(validity);
        mailbox.messages.entry(uid).or_insert_with(|| Message { known_at: now, ..Message::default() });
        mailbox.uidnext = mailbox.uidnext.max(uid.saturating_add(1));
        Ok(())
    }

    /// INV-4, INV-37, INV-39: this UID was given to a new message, by APPENDUID or COPYUID.
    ///
    /// # Errors
    /// When it was given before.
    pub fn born(&mut self, validity: u32, uid: u32, id: Option<Id>) -> Checked<&mut Message> {
        let now = self.tick();
        self.count("INV-4", 1);
        let mailbox = self.mailboxes.entry(validity).or_default();
        mailbox.uidnext = mailbox.uidnext.max(uid.saturating_add(1));
        let message =
            mailbox.messages.entry(uid).or_insert_with(|| Message { known_at: now, ..Message::default() });
        require(!message.origin, "INV-4", || format!("UID {uid} of {validity} was given twice"))?;
        message.origin = true;
        if let (Some(known), Some(id)) = (message.id, id) {
            require(known == id, "INV-37", || {
                format!("UID {uid} of {validity} is message {known}, and was said to be {id}")
            })?;
        }
        message.id = message.id.or(id);
        Ok(message)
    }

    /// A message is said to be gone.
    ///
    /// # Errors
    /// INV-9, INV-15: when nobody asked for that.
    pub fn gone(&mut self, validity: u32, uid: u32) -> Checked {
        let now = self.tick();
        self.count("INV-9", 1);
        let Some(mailbox) = self.mailboxes.get_mut(&validity) else { return Ok(()) };
        let may_go = mailbox.may_be_gone(uid);
        let message =
            mailbox.messages.entry(uid).or_insert_with(|| Message { known_at: now, ..Message::default() });
        require(may_go, "INV-9", || {
            format!("UID {uid} of {validity} is gone, and nobody expunged or moved it")
        })?;
        message.gone_at.get_or_insert(now);
        Ok(())
    }

    /// INV-5: what never changes about a message, and INV-46: it is what was handed in.
    ///
    /// # Errors
    /// When it did.
    pub fn unchanging(&mut self, validity: u32, uid: u32, fetch: &Fetch) -> Checked {
        let mut count = fetch.others.len() + usize::from(fetch.size.is_some());
        let content = |id: &Option<Id>| id.and_then(|id| self.contents.get(&id).cloned());
        let Some(message) =
            self.mailboxes.get_mut(&validity).and_then(|mailbox| mailbox.messages.get_mut(&uid))
        else {
            return Ok(());
        };
        let at = format!("UID {uid} of {validity}");
        if let Some(size) = fetch.size {
            let known = *message.size.get_or_insert(size);
            require(known == size, "INV-5", || format!("RFC822.SIZE of {at} is {size}, was {known}"))?;
        }
        for (name, value) in &fetch.others {
            if name == "BODY[]"
                && let Value::String(octets) = value
            {
                let id = id_of(octets);
                let known = *message.id.get_or_insert_with(|| id.unwrap_or_default());
                require(id == Some(known), "INV-15", || format!("{at} is message {id:?}, was {known}"))?;
                let size = *message.size.get_or_insert(octets.len() as u64);
                require(octets.len() as u64 == size, "INV-5", || {
                    format!("{at} has {} octets, RFC822.SIZE was {size}", octets.len())
                })?;
                if let Some(content) = content(&message.id).filter(|content| !content.is_empty()) {
                    count += 1;
                    require(octets.ends_with(&content), "INV-46", || {
                        format!("{at}: the octets returned are not those handed in")
                    })?;
                }
            }
            let known = message.fixed.entry(name.clone()).or_insert_with(|| value.clone());
            require(known == value, "INV-5", || format!("{name} of {at} is {value:?}, was {known:?}"))?;
        }
        self.count("INV-5", count);
        Ok(())
    }
}

impl Mailbox {
    /// Could a command that was sent have removed this message?
    pub fn may_be_gone(&self, uid: u32) -> bool {
        let Some(message) = self.messages.get(&uid) else { return true };
        // An APPEND or COPY that is not answered yet may have brought it as \Deleted.
        message.removal_tried
            || message.gone_at.is_some()
            || !message.origin && !message.seen_plain && (self.expunging > 0 || self.expunged_at > 0)
            || message.deleted_at.is_some_and(|at| self.expunging > 0 || self.expunged_at >= at)
    }

    /// UIDs known to be there at moment `at`, which nobody may have removed.
    pub fn surely_there(&self, at: Moment) -> impl Iterator<Item = u32> {
        self.messages
            .iter()
            .filter(move |(uid, message)| message.known_at < at && !self.may_be_gone(**uid))
            .map(|(uid, _)| *uid)
    }

    /// A client says that it will expunge: whatever is \Deleted may go.
    pub fn expunge_begins(&mut self) {
        self.expunging += 1;
    }

    /// It has got its answer.
    pub fn expunge_ends(&mut self, now: Moment) {
        self.expunging = self.expunging.saturating_sub(1);
        self.expunged_at = now;
    }
}

/// The `X-Soak-Id` of a message or its header.
pub fn id_of(octets: &[u8]) -> Option<Id> {
    let head = octets.split(|octet| *octet == b'\n').take(40);
    head.filter_map(|line| line.strip_prefix(b"X-Soak-Id: "))
        .find_map(|rest| std::str::from_utf8(rest).ok()?.trim().parse().ok())
}
