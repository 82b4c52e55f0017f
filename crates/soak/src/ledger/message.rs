//! The facts about one message: above all, which flags it may have.

use std::collections::{BTreeMap, HashMap};

use super::{Flags, Id, Moment};
use crate::fault::{Checked, require};
use crate::reply::Value;

/// A keyword that one session alone sets and removes, so that what it must be is known exactly (INV-19).
#[derive(Debug, Clone, Copy)]
pub struct Owned {
    /// Set, after its owner's last acknowledged command.
    pub set: bool,
    /// Since when that is known.
    pub since: Moment,
    /// A command of its owner runs.
    pub pending: bool,
}

/// The facts.
#[derive(Debug, Default)]
pub struct Message {
    /// Since when its UID is known.
    pub known_at: Moment,
    /// It was appended, copied or delivered by somebody of ours.
    pub origin: bool,
    /// It is a copy of one whose own origin was not known yet: any flag may have come with it.
    pub foreign: bool,
    /// Which message it is.
    pub id: Option<Id>,
    /// RFC822.SIZE
    pub size: Option<u64>,
    /// All that never changes, by FETCH item.
    pub fixed: HashMap<String, Value>,
    /// Since when it is known to be gone.
    pub gone_at: Option<Moment>,
    /// The highest HIGHESTMODSEQ with which it was there: what ended it is above that.
    pub alive_at: u64,
    /// UID EXPUNGE, MOVE or DELE named it.
    pub removal_tried: bool,
    /// Since when it may be \Deleted.
    pub deleted_at: Option<Moment>,
    /// What the flags are at a mod-sequence, and since when that is known.
    pub states: BTreeMap<u64, (Flags, Moment)>,
    /// It was once seen without \Deleted.
    pub seen_plain: bool,
    /// Flags that somebody tried to set.
    pub added: Flags,
    /// Flags that somebody tried to remove.
    pub contested: Flags,
    /// Flags that are surely set, since when.
    pub held: HashMap<String, Moment>,
    /// The keywords of single sessions.
    pub owned: HashMap<String, Owned>,
    /// The one selection that has it as \Recent.
    pub recent_to: Option<u64>,
    /// Mod-sequences at which a conditional STORE won.
    pub won: Vec<u64>,
}

impl Message {
    /// Somebody is about to add these flags.
    pub fn adding(&mut self, flags: &Flags, now: Moment) {
        self.added.extend(flags.iter().cloned());
        if flags.contains("\\deleted") {
            self.deleted_at.get_or_insert(now);
        }
    }

    /// Somebody is about to remove these.
    pub fn removing(&mut self, flags: &Flags) {
        self.held.retain(|flag, _| !flags.contains(flag));
        self.contested.extend(flags.iter().cloned());
    }

    /// These were set, and that was acknowledged.
    pub fn holds(&mut self, flags: &Flags, now: Moment) {
        for flag in flags.iter().filter(|flag| !self.contested.contains(*flag)) {
            self.held.entry(flag.clone()).or_insert(now);
        }
    }

    /// Whose news a session that asked at `asked` must know of this message.
    pub fn modseq_at(&self, asked: Moment) -> u64 {
        self.states.iter().rev().find(|(_, (_, at))| *at < asked).map_or(0, |(modseq, _)| *modseq)
    }

    /// A session was told of the flags. `asked`: when it last asked the database; `own`: its own keyword.
    ///
    /// # Errors
    /// INV-19: a flag that nobody set, or one that must be set and is not. INV-28: other flags at the same mod-sequence.
    pub fn observed(
        &mut self,
        flags: &Flags,
        modseq: Option<u64>,
        (asked, own, now): (Moment, &str, Moment),
    ) -> Checked {
        if let Some(strange) =
            flags.iter().find(|flag| !self.added.contains(*flag)).filter(|_| self.origin && !self.foreign)
        {
            return require(false, "INV-23", || format!("{strange} is set, and nobody set it"));
        }
        for (flag, since) in &self.held {
            require(*since >= asked || flags.contains(flag), "INV-19", || {
                format!("{flag} was set, nobody removed it, and it is not there")
            })?;
        }
        for (keyword, owned) in &self.owned {
            let is_certain = !owned.pending && (owned.since < asked || keyword == own);
            require(!is_certain || flags.contains(keyword) == owned.set, "INV-19", || {
                format!("{keyword} must be {}; flags {flags:?}", if owned.set { "set" } else { "gone" })
            })?;
        }
        if let Some(modseq) = modseq {
            let (known, _) = self.states.entry(modseq).or_insert_with(|| (flags.clone(), now));
            require(known == flags, "INV-28", || {
                format!("at mod-sequence {modseq} flags are {flags:?}, were {known:?}")
            })?;
        }
        Ok(())
    }
}
