//! Threads (RFC 5256 §3, BASE.6.4.THREAD). Pure; no step needs a stack as deep as a thread, and none more time than the
//! messages and their references, loops aside, whose search is bounded.

mod merge;
mod tree;

use super::column::ThreadKeys;
use tree::Forest;

/// How messages are threaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RFC 5256: by subject alone.
    OrderedSubject,
    /// RFC 5256: by references, then threads of one subject together.
    References,
    /// draft-ietf-morg-inthread: by references alone, the thread with the message that arrived last at the end.
    Refs,
}

/// What messages are threaded by, each a column in the order of the messages.
#[derive(Debug, Default)]
pub(crate) struct Messages<'a> {
    pub(crate) keys: Vec<ThreadKeys<'a>>,
    /// Sent dates (RFC 5256 §2.2), as numbers that compare as they do.
    pub(crate) sent: Vec<u64>,
    /// INTERNALDATE; for [`Algorithm::Refs`] alone.
    pub(crate) arrived: Vec<u64>,
    /// Equal for equal base subjects; for the other two.
    pub(crate) subjects: Vec<u64>,
    /// Which of the subjects are empty.
    pub(crate) no_subject: Vec<bool>,
}

/// A message in a thread, by its place, or a missing one. In reading order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    /// 0 for the root of a thread.
    pub(crate) depth: u32,
    /// `None` for a message that is missing.
    pub(crate) place: Option<u32>,
}

/// The threads of the messages; every message is in them once.
pub(crate) fn thread(algorithm: Algorithm, messages: &Messages<'_>) -> Vec<Node> {
    match algorithm {
        Algorithm::OrderedSubject => ordered_subject(messages),
        Algorithm::References => {
            let mut forest = Forest::new(&messages.keys);
            forest.sort(&messages.sent);
            merge::by_subject(&mut forest, messages);
            forest.sort(&messages.sent);
            forest.nodes()
        }
        Algorithm::Refs => {
            let mut forest = Forest::new(&messages.keys);
            forest.sort(&messages.sent);
            forest.sort_roots_by_latest(&messages.arrived);
            forest.nodes()
        }
    }
}

/// The first message of a subject is the root, all others its children.
fn ordered_subject(messages: &Messages<'_>) -> Vec<Node> {
    let mut order: Vec<u32> = (0..messages.subjects.len() as u32).collect();
    order.sort_unstable_by_key(|place| {
        let at = *place as usize;
        (messages.subjects[at], messages.sent[at], *place)
    });
    let mut threads: Vec<&[u32]> =
        order.chunk_by(|a, b| messages.subjects[*a as usize] == messages.subjects[*b as usize]).collect();
    threads.sort_unstable_by_key(|thread| (messages.sent[thread[0] as usize], thread[0]));
    let nodes = threads.into_iter().flat_map(|thread| {
        thread.iter().enumerate().map(|(i, place)| Node { depth: u32::from(i > 0), place: Some(*place) })
    });
    nodes.collect()
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
