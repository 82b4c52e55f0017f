//! What one session has been told of its selected mailbox, and may therefore expect.

use crate::fault::{Checked, Fault, require};
use crate::ledger::{Flags, Moment};
use crate::reply::Fetch;

/// A message at its number.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// `None` until a FETCH reply tells it.
    pub uid: Option<u32>,
    /// As last told, without \Recent.
    pub flags: Option<Flags>,
    /// As last told.
    pub modseq: Option<u64>,
    /// No UID below this can be this message's (INV-2).
    pub floor: u32,
}

/// The view.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The mailbox's name.
    pub name: String,
    /// UIDVALIDITY
    pub validity: u32,
    /// EXAMINE
    pub read_only: bool,
    /// May be deleted by others.
    pub volatile: bool,
    /// In the order of their numbers.
    pub entries: Vec<Entry>,
    /// Flags that `* FLAGS` has announced.
    pub flags: Flags,
    /// The last HIGHESTMODSEQ: all changes up to there have been told.
    pub highest: u64,
    /// When this session last asked the database.
    pub asked: Moment,
    /// UIDs of later messages are at least this.
    pub floor: u32,
    /// Which selection this is, among all of all sessions.
    pub number: u64,
    /// UIDONLY: nothing has a number. Messages whose UIDs are not known yet are the last entries, whatever their place.
    pub by_uid: bool,
}

/// What is new in a FETCH line.
pub enum Learnt {
    /// The UID was not known.
    Uid(u32, u32),
    /// It was.
    Known,
}

impl View {
    /// Messages whose UID is not known yet.
    pub fn unknown(&self) -> usize {
        self.entries.iter().filter(|entry| entry.uid.is_none()).count()
    }

    /// The first of them.
    pub fn first_unknown(&self) -> Option<usize> {
        self.entries.iter().position(|entry| entry.uid.is_none())
    }

    /// The known UIDs before and after an index; 0 and the largest where there are none.
    fn around(&self, index: usize) -> (u32, u32) {
        let before = self.entries[..index].iter().rev().find_map(|entry| entry.uid).unwrap_or(0);
        let after = self.entries[index..].iter().find_map(|entry| entry.uid).unwrap_or(u32::MAX);
        (before, after)
    }

    /// UIDs that are known, ascending.
    pub fn uids(&self) -> Vec<u32> {
        self.entries.iter().filter_map(|entry| entry.uid).collect()
    }

    /// The index of a UID.
    pub fn find(&self, uid: u32) -> Option<usize> {
        self.entries.iter().position(|entry| entry.uid == Some(uid))
    }

    /// `* n EXISTS`
    ///
    /// # Errors
    /// INV-12: it never shrinks the view.
    pub fn exists(&mut self, count: u32) -> Checked {
        let known = self.entries.len();
        require(count as usize >= known, "INV-12", || format!("{count} EXISTS, {known} messages are known"))?;
        let new = Entry { floor: self.floor, ..Entry::default() };
        self.entries.resize(count as usize, new);
        Ok(())
    }

    /// `* n EXPUNGE`
    ///
    /// # Errors
    /// INV-13: there is no such number.
    pub fn expunge(&mut self, number: u32) -> Checked<Option<u32>> {
        let count = self.entries.len();
        require(number as usize <= count, "INV-13", || {
            format!("{number} EXPUNGE, {count} messages are known")
        })?;
        Ok(self.entries.remove(number as usize - 1).uid)
    }

    /// A UID of `* VANISHED`.
    ///
    /// # Errors
    /// INV-35: it is none of this view's.
    pub fn vanished(&mut self, uid: u32) -> Checked {
        let may_be = |index: &usize| {
            let (before, after) = self.around(*index);
            self.entries[*index].uid.is_none() && before < uid && uid < after
        };
        let index = match self.by_uid {
            true => self.find(uid).or_else(|| self.first_unknown()),
            false => self.find(uid).or_else(|| (0..self.entries.len()).find(may_be)),
        };
        require(index.is_some(), "INV-35", || format!("VANISHED {uid}, which this session was not told of"))?;
        self.entries.remove(index.unwrap_or_default());
        Ok(())
    }

    /// A fault with the message that it is about.
    pub fn about(&self, fault: Fault, uid: u32) -> Fault {
        match fault {
            Fault::Broken(mut violation) => {
                violation.what =
                    format!("UID {uid} of {} ({}): {}", self.name, self.validity, violation.what);
                Fault::Broken(violation)
            }
            ended => ended,
        }
    }

    /// The number that the message of a UIDFETCH line has here, and what its UID could not be below if it is new.
    ///
    /// # Errors
    /// INV-14: there are no more messages.
    pub fn number_of(&mut self, uid: u32) -> Checked<(u32, Option<u32>)> {
        if let Some(index) = self.find(uid) {
            return Ok((index as u32 + 1, None));
        }
        let unknown = self.first_unknown();
        require(unknown.is_some(), "INV-14", || format!("{uid} UIDFETCH, all messages are known"))?;
        let unknown = unknown.unwrap_or_default();
        let mut entry = self.entries.remove(unknown);
        entry.uid = Some(uid);
        let floor = entry.floor;
        let place = self.entries[..unknown].partition_point(|entry| entry.uid < Some(uid));
        self.entries.insert(place, entry);
        Ok((place as u32 + 1, Some(floor)))
    }

    /// UID, flags and mod-sequence of a FETCH line.
    ///
    /// # Errors
    /// INV-14: no such number. INV-15: another UID. INV-1: UIDs do not ascend. INV-29: the mod-sequence goes back. INV-28: a change
    /// that should have been told before HIGHESTMODSEQ was.
    pub fn fetched(&mut self, fetch: &Fetch) -> Checked<Learnt> {
        let count = self.entries.len();
        let index = fetch.number as usize - 1;
        require(index < count, "INV-14", || format!("{} FETCH, {count} messages are known", fetch.number))?;
        let mut learnt = Learnt::Known;
        if let Some(uid) = fetch.uid {
            match self.entries[index].uid {
                Some(known) => require(uid == known, "INV-15", || {
                    format!("message {} has UID {uid}, had {known}", fetch.number)
                })?,
                None => {
                    let (before, after) = self.around(index);
                    require(before < uid && uid < after, "INV-1", || {
                        format!("message {} has UID {uid}, between {before} and {after}", fetch.number)
                    })?;
                    learnt = Learnt::Uid(uid, self.entries[index].floor);
                }
            }
        }
        let highest = self.highest;
        let entry = &mut self.entries[index];
        entry.uid = entry.uid.or(fetch.uid);
        if let Some(modseq) = fetch.modseq {
            if let Some(known) = entry.modseq {
                require(modseq >= known, "INV-29", || {
                    format!("the mod-sequence of UID {:?} went back from {known} to {modseq}", entry.uid)
                })?;
                require(modseq == known || modseq > highest, "INV-28", || {
                    format!(
                        "UID {:?} changed at {modseq}; HIGHESTMODSEQ {highest} was told before that",
                        entry.uid
                    )
                })?;
            }
            entry.modseq = Some(modseq);
        }
        if let Some(flags) = &fetch.flags {
            if fetch.modseq.is_none() {
                // What mod-sequence these flags have is not known.
                entry.modseq = entry.modseq.filter(|_| entry.flags.as_ref() == Some(flags));
            }
            entry.flags = Some(flags.clone());
        }
        Ok(learnt)
    }
}
