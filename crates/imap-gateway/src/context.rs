//! Searches whose results the client wants to be kept up to date of: UPDATE of SEARCH and SORT (RFC 5267 §4.3). `sync` tells
//! what the view's changes do to them; what needs storage follows when the command is done.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::BytesMut;
use imap_wire::{ESearch, Numbering, Numbers, SearchKey, SortCriterion, Tag, Writer};
use mail_types::{Uid, UidSet};

use crate::fetch::Plan;
use crate::limits::{CONTEXT_RESULTS_MAX, CONTEXTS_MAX};
use crate::order::{Run, insertions, removals};
use crate::view::View;

/// The contexts of one selected mailbox.
#[derive(Default)]
pub(crate) struct Contexts {
    live: Vec<Context>,
    /// New or changed messages that the contexts have not been matched with.
    touched: UidSet,
}

/// A search that is kept up to date.
pub(crate) struct Context {
    pub(crate) tag: Tag,
    pub(crate) by: Numbering,
    /// Its numbers are UIDs, those of the time of the command (RFC 5267 §4.3).
    pub(crate) key: SearchKey,
    /// Of SORT; empty: SEARCH, whose results are in the order of the mailbox.
    pub(crate) criteria: Vec<SortCriterion>,
    /// UIDs in their order.
    pub(crate) results: Vec<u32>,
    /// What is told of messages that come (RFC 5465 §7).
    pub(crate) fetch: Option<Arc<Plan>>,
    /// The last UID that was there when the context was matched last.
    pub(crate) seen_to: u32,
}

impl Contexts {
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    pub(crate) fn has(&self, tag: &Tag) -> bool {
        self.live.iter().any(|context| context.tag == *tag)
    }

    /// `false`: there is no room for it (RFC 5267 §4.3.1).
    pub(crate) fn add(&mut self, context: Context) -> bool {
        let results: usize = self.live.iter().map(|context| context.results.len()).sum();
        if self.live.len() >= CONTEXTS_MAX || results + context.results.len() > CONTEXT_RESULTS_MAX {
            return false;
        }
        self.live.push(context);
        true
    }

    /// RFC 5267 §4.3.5
    pub(crate) fn cancel(&mut self, tags: &[String]) {
        self.live.retain(|context| !tags.iter().any(|tag| tag == context.tag.as_str()));
    }

    /// The client wants to hear of no sequence numbers any more.
    pub(crate) fn use_uids(&mut self) {
        self.live.iter_mut().for_each(|context| context.by = Numbering::Uid);
    }

    /// Messages came or changed.
    pub(crate) fn touch(&mut self, uids: UidSet) {
        self.touched = self.touched.union(&uids);
    }

    /// What has been touched since this was asked last.
    pub(crate) fn take_touched(&mut self) -> UidSet {
        std::mem::take(&mut self.touched)
    }

    pub(crate) fn take_live(&mut self) -> Vec<Context> {
        std::mem::take(&mut self.live)
    }

    pub(crate) fn put_live(&mut self, live: Vec<Context>) {
        self.live = live;
    }

    /// Tells of results that are expunged, while the client still counts them (RFC 5267 §4.3.4).
    pub(crate) fn forget(&mut self, view: &View, out: &mut BytesMut) {
        if self.live.is_empty() || view.ghosts().is_empty() {
            return;
        }
        let gone: HashSet<u32> = view.ghosts().iter().map(|uid| uid.get()).collect();
        for context in &mut self.live {
            let gone: HashSet<u32> =
                context.results.iter().copied().filter(|uid| gone.contains(uid)).collect();
            context.change(&gone, None, view, out);
        }
    }
}

impl Context {
    pub(crate) fn is_sorted(&self) -> bool {
        !self.criteria.is_empty()
    }

    /// Takes results away, puts others in, and tells so. `new`: what was added, and the whole result with it.
    pub(crate) fn change(
        &mut self,
        gone: &HashSet<u32>,
        new: Option<(&HashSet<u32>, Vec<u32>)>,
        view: &View,
        out: &mut BytesMut,
    ) {
        let removed =
            if gone.is_empty() { Vec::new() } else { self.numbered(removals(&self.results, gone), view) };
        self.results.retain(|uid| !gone.contains(uid));
        let mut added = Vec::new();
        if let Some((uids, results)) = new {
            self.results = results;
            added = self.numbered(insertions(&self.results, uids), view);
        }
        if removed.is_empty() && added.is_empty() {
            return;
        }
        let (removed, added) = (self.told(removed), self.told(added));
        Writer::new(out).esearch(&ESearch {
            tag: Some(&self.tag),
            by: Some(self.by),
            remove_from: &borrowed(&removed),
            add_to: &borrowed(&added),
            ..ESearch::default()
        });
    }

    fn numbered(&self, runs: Vec<Run>, view: &View) -> Vec<Run> {
        if self.by == Numbering::Uid {
            return runs;
        }
        let number = |uid: u32| Uid::new(uid).and_then(|uid| view.number_of_uid(uid));
        runs.into_iter().map(|(at, uids)| (at, uids.into_iter().filter_map(number).collect())).collect()
    }

    /// RFC 5267 §4.3.3: of SEARCH one set suffices, at position 0.
    fn told(&self, runs: Vec<Run>) -> Vec<(u32, Told)> {
        if self.is_sorted() {
            return runs.into_iter().map(|(at, numbers)| (at, Told::Ordered(numbers))).collect();
        }
        let set = UidSet::from_ranges(runs.into_iter().flat_map(|(_, numbers)| numbers).map(|n| (n, n)));
        if set.is_empty() { Vec::new() } else { vec![(0, Told::Set(set))] }
    }
}

enum Told {
    Set(UidSet),
    Ordered(Vec<u32>),
}

fn borrowed(told: &[(u32, Told)]) -> Vec<(u32, Numbers<'_>)> {
    told.iter()
        .map(|(at, told)| match told {
            Told::Set(set) => (*at, Numbers::Set(set)),
            Told::Ordered(numbers) => (*at, Numbers::Ordered(numbers)),
        })
        .collect()
}
