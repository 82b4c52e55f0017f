//! Clients that want no message sequence numbers (RFC 9586). What they are told is a matter of the writer, which puts UIDs in the
//! place of numbers, and of `sync`, which says VANISHED; what they must not ask is here.

use imap_wire::{CommandBody, Numbering, SearchKey, Select, SequenceSet};

/// Does a command name messages by their numbers (RFC 9586 §3)?
pub(crate) fn names_numbers(body: &CommandBody) -> bool {
    use CommandBody as C;
    match body {
        C::Fetch(fetch) => fetch.by == Numbering::Sequence,
        C::Store(store) => store.by == Numbering::Sequence,
        C::Replace(replace) => replace.by == Numbering::Sequence,
        C::Copy { by, .. } | C::Move { by, .. } => *by == Numbering::Sequence,
        // SEARCH, SORT and THREAD would answer with numbers.
        C::Search(search) => search.by == Numbering::Sequence || key_names_numbers(&search.key),
        C::Sort(sort) => sort.by == Numbering::Sequence || key_names_numbers(&sort.key),
        C::Thread(thread) => thread.by == Numbering::Sequence || key_names_numbers(&thread.key),
        // The message sequence match data of QRESYNC.
        C::Select(Select { qresync: Some(qresync), .. })
        | C::Examine(Select { qresync: Some(qresync), .. }) => qresync.sequence_match.is_some(),
        _ => false,
    }
}

/// A saved result is one of UIDs. Depth is bounded by the parser.
fn key_names_numbers(key: &SearchKey) -> bool {
    use SearchKey as K;
    match key {
        K::Sequence(set) => *set != SequenceSet::Saved,
        K::And(keys) => keys.iter().any(key_names_numbers),
        K::Or(a, b) => key_names_numbers(a) || key_names_numbers(b),
        K::Not(key) | K::Fuzzy(key) => key_names_numbers(key),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_hide_deep_in_a_search() {
        let number = || SearchKey::Sequence(SequenceSet::Ranges(Vec::new()));
        let not = |key| SearchKey::Not(Box::new(key));
        let or = |a, b| SearchKey::Or(Box::new(a), Box::new(b));
        assert!(key_names_numbers(&SearchKey::And(vec![SearchKey::All, not(or(SearchKey::New, number()))])));
        assert!(key_names_numbers(&SearchKey::Fuzzy(Box::new(or(number(), SearchKey::All)))));
        let saved = || SearchKey::Sequence(SequenceSet::Saved);
        let uids = SearchKey::Uid(SequenceSet::Ranges(Vec::new()));
        assert!(!key_names_numbers(&SearchKey::And(vec![uids, not(or(saved(), SearchKey::All))])));
    }
}
