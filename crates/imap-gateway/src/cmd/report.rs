//! What SEARCH, SORT and ESEARCH answer with return options: one ESEARCH line (RFC 4731, RFC 5267, RFC 9394, RFC 7377).

use imap_wire::{ESearch, Numbering, Numbers, PartialRange, SearchReturn, Tag, Writer};
use mail_types::{MailboxName, ModSeq, UidSet, UidValidity};

use super::fetch::{window, window_of};
use crate::view::Message;

/// A search that was made, and how it is to be answered.
pub(super) struct Report<'a> {
    pub(super) tag: &'a Tag,
    /// Of ESEARCH, which answers for several mailboxes.
    pub(super) mailbox: Option<(&'a MailboxName, UidValidity)>,
    pub(super) by: Numbering,
    pub(super) returns: &'a SearchReturn,
    /// RFC 7162 §3.1.5: the reply has a MODSEQ.
    pub(super) uses_modseq: bool,
    /// SORT: `found` is in an order of its own.
    pub(super) sorted: bool,
    pub(super) found: &'a [Message],
    /// How relevant each is (RFC 6203 §4); empty if the search was not fuzzy.
    pub(super) scores: &'a [u8],
}

pub(super) fn number(by: Numbering, message: &Message) -> u32 {
    match by {
        Numbering::Uid => message.entry.uid.get(),
        Numbering::Sequence => message.number,
    }
}

pub(super) fn highest_modseq(messages: &[Message]) -> Option<ModSeq> {
    messages.iter().map(|message| message.entry.modseq).max()
}

impl Report<'_> {
    /// Writes the line, unless nothing was asked for but to save the result. Returns what SAVE saves (RFC 5182 §2.1, §2.4).
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> UidSet {
        let (returns, found) = (self.returns, self.found);
        let (min, max) = (found.first(), found.last());
        let part = returns.partial.map(|partial| (partial, window(found, partial)));
        let told = self.told(part);
        let asked =
            returns.min || returns.max || returns.all || returns.count || returns.relevancy || part.is_some();
        if asked {
            let all = returns.all.then(|| self.listed(found)).filter(|all| !all.is_empty());
            let part = part.map(|(range, messages)| (range, self.listed(messages)));
            writer.esearch(&ESearch {
                tag: Some(self.tag),
                mailbox: self.mailbox,
                by: Some(self.by),
                min: min.filter(|_| returns.min).map(|message| number(self.by, message)),
                max: max.filter(|_| returns.max).map(|message| number(self.by, message)),
                all: all.as_ref().map(Listed::numbers),
                count: returns.count.then_some(found.len() as u32),
                partial: part.as_ref().map(|(range, listed)| (*range, listed.numbers())),
                mod_seq: highest_modseq(&told).filter(|_| self.uses_modseq),
                relevancy: returns.relevancy.then(|| self.relevancy()),
                ..ESearch::default()
            });
        }
        told.iter().map(|message| message.entry.uid).collect()
    }

    /// Of the window, or else of all that was found.
    fn relevancy(&self) -> &[u8] {
        match self.returns.partial {
            Some(partial) => self.scores.get(window_of(self.found.len(), partial)).unwrap_or_default(),
            None => self.scores,
        }
    }

    /// The messages that the answer speaks of.
    fn told(&self, part: Option<(PartialRange, &[Message])>) -> Vec<Message> {
        let (returns, found) = (self.returns, self.found);
        // RFC 5182 §2.4: with MIN and MAX alone, only they are saved.
        let extremes_only = (returns.min || returns.max) && !returns.all && !returns.count && part.is_none();
        match (extremes_only, part) {
            (true, _) => {
                let min = found.first().filter(|_| returns.min);
                let mut told: Vec<Message> =
                    min.into_iter().chain(found.last().filter(|_| returns.max)).copied().collect();
                told.dedup();
                told
            }
            (false, Some((_, window))) if !returns.all && !returns.count => window.to_vec(),
            _ => found.to_vec(),
        }
    }

    fn listed(&self, messages: &[Message]) -> Listed {
        let numbers = messages.iter().map(|message| number(self.by, message));
        match self.sorted {
            true => Listed::Sorted(numbers.collect()),
            false => Listed::Set(UidSet::from_ranges(numbers.map(|number| (number, number)))),
        }
    }
}

enum Listed {
    Set(UidSet),
    Sorted(Vec<u32>),
}

impl Listed {
    fn is_empty(&self) -> bool {
        match self {
            Self::Set(set) => set.is_empty(),
            Self::Sorted(numbers) => numbers.is_empty(),
        }
    }
    fn numbers(&self) -> Numbers<'_> {
        match self {
            Self::Set(set) => Numbers::Set(set),
            Self::Sorted(numbers) => Numbers::Ordered(numbers),
        }
    }
}
