//! SEARCH, ESEARCH, SORT and THREAD.

use mail_types::{MailboxName, ModSeq, Uid, UidSet, UidValidity};

use super::Writer;
use crate::{Numbering, PartialRange, Tag};

/// What an ESEARCH line tells (RFC 9051 §7.3.4).
#[derive(Debug, Clone, Copy, Default)]
pub struct ESearch<'a> {
    /// `TAG`: the command that asked.
    pub tag: Option<&'a Tag>,
    /// `MAILBOX` and `UIDVALIDITY` (RFC 6237 §2.1)
    pub mailbox: Option<(&'a MailboxName, UidValidity)>,
    /// `UID`: the numbers are UIDs.
    pub by: Option<Numbering>,
    /// `MIN`
    pub min: Option<u32>,
    /// `MAX`
    pub max: Option<u32>,
    /// `ALL`; left out if it is empty, as the RFC demands.
    pub all: Option<Numbers<'a>>,
    /// `COUNT`
    pub count: Option<u32>,
    /// `PARTIAL`: the window, and what is in it, which may be nothing (NIL).
    pub partial: Option<(PartialRange, Numbers<'a>)>,
    /// `MODSEQ` (RFC 7162 §3.1.10)
    pub mod_seq: Option<ModSeq>,
    /// `RELEVANCY` (RFC 6203 §4): 1 to 100, in the order of the results that are told.
    pub relevancy: Option<&'a [u8]>,
    /// `REMOVEFROM` (RFC 5267 §4.3.4): positions, 0 for anywhere, and what is to be removed from there.
    pub remove_from: &'a [(u32, Numbers<'a>)],
    /// `ADDTO` (RFC 5267 §4.3.3): positions, 0 for mailbox order, and what is to be inserted there.
    pub add_to: &'a [(u32, Numbers<'a>)],
}

/// Results of a search.
#[derive(Debug, Clone, Copy)]
pub enum Numbers<'a> {
    /// Sequence numbers or UIDs, ascending.
    Set(&'a UidSet),
    /// In the order of SORT.
    Ordered(&'a [u32]),
}

/// A message, or a missing one, in a thread. Threads are lists of nodes in reading order, each with its depth: this
/// way neither writing nor dropping a deep thread needs a deep stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNode {
    /// 0 for the root of a thread; at most one more than the node before.
    pub depth: u32,
    /// `None` for a message that is missing.
    pub number: Option<u32>,
}

impl Writer<'_> {
    /// `* SEARCH n... (MODSEQ n)` (RFC 3501 §7.2.5, RFC 7162 §3.1.5)
    pub fn search(&mut self, numbers: impl IntoIterator<Item = u32>, mod_seq: Option<ModSeq>) {
        self.number_list("* SEARCH", numbers, mod_seq);
    }
    /// `* SORT n... (MODSEQ n)` (RFC 5256 §4, RFC 7162 §3.1.6)
    pub fn sort(&mut self, numbers: impl IntoIterator<Item = u32>, mod_seq: Option<ModSeq>) {
        self.number_list("* SORT", numbers, mod_seq);
    }
    fn number_list(&mut self, head: &str, numbers: impl IntoIterator<Item = u32>, mod_seq: Option<ModSeq>) {
        self.raw(head);
        for number in numbers {
            self.named_number(" ", number.into());
        }
        if let Some(mod_seq) = mod_seq {
            self.named_number(" (MODSEQ ", mod_seq.get());
            self.raw(")");
        }
        self.line_end();
    }

    /// `* UIDBATCHES (TAG "t") high:low,...` (RFC 10022 §3.1): ranges from the highest to the lowest.
    pub fn uid_batches(&mut self, tag: &Tag, ranges: &[(Uid, Uid)]) {
        self.raw("* UIDBATCHES (TAG ");
        self.string(tag.as_str().as_bytes());
        self.raw(")");
        for (i, (high, low)) in ranges.iter().enumerate() {
            self.named_number(if i > 0 { "," } else { " " }, high.get().into());
            self.named_number(":", low.get().into());
        }
        self.line_end();
    }

    /// `* ESEARCH (TAG "t") UID ...`
    pub fn esearch(&mut self, result: &ESearch<'_>) {
        self.raw("* ESEARCH");
        self.correlators(result);
        if result.by == Some(Numbering::Uid) {
            self.raw(" UID");
        }
        for (name, number) in [(" MIN ", result.min), (" MAX ", result.max), (" COUNT ", result.count)] {
            if let Some(number) = number {
                self.named_number(name, number.into());
            }
        }
        if let Some(all) = result.all.filter(|all| !all.is_empty()) {
            self.raw(" ALL ");
            self.numbers(all);
        }
        if let Some((range, numbers)) = result.partial {
            match range {
                PartialRange::Front(first, last) => {
                    self.named_number(" PARTIAL (", first.into());
                    self.named_number(":", last.into());
                }
                PartialRange::Back(first, last) => {
                    self.named_number(" PARTIAL (-", first.into());
                    self.named_number(":-", last.into());
                }
            }
            self.raw(" ");
            if numbers.is_empty() {
                self.raw("NIL")
            } else {
                self.numbers(numbers)
            }
            self.raw(")");
        }
        if let Some(mod_seq) = result.mod_seq {
            self.named_number(" MODSEQ ", mod_seq.get());
        }
        if let Some(scores) = result.relevancy {
            self.raw(" RELEVANCY (");
            for (i, score) in scores.iter().enumerate() {
                self.named_number(if i > 0 { " " } else { "" }, u64::from(*score));
            }
            self.raw(")");
        }
        self.updates(" REMOVEFROM (", result.remove_from);
        self.updates(" ADDTO (", result.add_to);
        self.line_end();
    }
    fn updates(&mut self, head: &str, updates: &[(u32, Numbers<'_>)]) {
        if updates.is_empty() {
            return;
        }
        self.raw(head);
        for (i, (position, numbers)) in updates.iter().enumerate() {
            self.named_number(if i > 0 { " " } else { "" }, u64::from(*position));
            self.raw(" ");
            self.numbers(*numbers);
        }
        self.raw(")");
    }
    fn correlators(&mut self, result: &ESearch<'_>) {
        if result.tag.is_none() && result.mailbox.is_none() {
            return;
        }
        self.raw(" (");
        if let Some(tag) = result.tag {
            self.raw("TAG ");
            self.string(tag.as_str().as_bytes());
        }
        if let Some((name, validity)) = result.mailbox {
            self.raw(if result.tag.is_some() { " MAILBOX " } else { "MAILBOX " });
            self.mailbox(name.as_str());
            self.named_number(" UIDVALIDITY ", validity.get().into());
        }
        self.raw(")");
    }
    fn numbers(&mut self, numbers: Numbers<'_>) {
        match numbers {
            Numbers::Set(set) => self.set(set),
            Numbers::Ordered(numbers) => self.ranges(ascending_runs(numbers)),
        }
    }

    /// `* THREAD (...)...` (RFC 5256 §4)
    pub fn thread(&mut self, nodes: &[ThreadNode]) {
        self.raw("* THREAD");
        if !nodes.is_empty() {
            self.raw(" ");
        }
        let children = child_counts(nodes);
        // For each ancestor: does a parenthesis close with it?
        let mut open: Vec<bool> = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let depth = (node.depth as usize).min(open.len());
            for closes in open.drain(depth..).rev() {
                self.raw(if closes { ")" } else { "" });
            }
            // An only child goes on in its parent's list.
            let siblings =
                if depth == 0 { 0 } else { children.parent_of[i].map_or(0, |p| children.count[p]) };
            let is_only = siblings == 1;
            if !is_only {
                self.raw("(");
            }
            if let Some(number) = node.number {
                self.number(number.into());
                self.raw(if children.count[i] > 0 { " " } else { "" });
            }
            open.push(!is_only);
        }
        for closes in open.drain(..).rev() {
            self.raw(if closes { ")" } else { "" });
        }
        self.line_end();
    }
}

impl Numbers<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Set(set) => set.is_empty(),
            Self::Ordered(numbers) => numbers.is_empty(),
        }
    }
}

/// RFC 5267 §3.2: ranges may stand for runs that are in order.
fn ascending_runs(numbers: &[u32]) -> impl Iterator<Item = (u32, u32)> + '_ {
    numbers
        .chunk_by(|a, b| a.checked_add(1) == Some(*b))
        .filter_map(|run| Some((*run.first()?, *run.last()?)))
}

struct Children {
    count: Vec<usize>,
    parent_of: Vec<Option<usize>>,
}

fn child_counts(nodes: &[ThreadNode]) -> Children {
    let mut children = Children { count: vec![0; nodes.len()], parent_of: vec![None; nodes.len()] };
    let mut ancestors: Vec<usize> = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        ancestors.truncate(node.depth as usize);
        if let Some(parent) = ancestors.last() {
            children.count[*parent] += 1;
            children.parent_of[i] = Some(*parent);
        }
        ancestors.push(i);
    }
    children
}
