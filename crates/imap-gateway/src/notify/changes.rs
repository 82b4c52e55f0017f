//! What is different between two looks at an account's mailboxes, as far as a client wants to hear of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use imap_wire::StatusItem;
use mail_rpc::pb;
use mail_types::{HIERARCHY_SEPARATOR, Rights};

use super::sources::Key;
use super::spec::{Events, Spec};
use crate::others::shared_name;

/// What the client has been told, or could know from LIST and STATUS.
#[derive(Debug, Default)]
pub(crate) struct Known {
    boxes: BTreeMap<Key, KnownBox>,
    /// Subscribed names without a mailbox.
    ghosts: BTreeSet<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KnownBox {
    name: String,
    subscribed: bool,
    uid_validity: u32,
    uid_next: u32,
    exists: u32,
    /// `None`: LIST does not tell how many messages of another's mailbox the reader has not seen.
    unseen: Option<u32>,
    modseq: u64,
    /// RFC 5465 §5: without the right `r` nothing is told of messages.
    readable: bool,
}

impl KnownBox {
    fn new(state: &pb::MailboxState) -> Self {
        Self {
            name: state.name.clone(),
            subscribed: state.subscribed,
            uid_validity: state.uid_validity,
            uid_next: state.uid_next,
            exists: state.exists,
            unseen: Some(state.unseen),
            modseq: state.highest_modseq,
            readable: true,
        }
    }
}

/// Lines to write, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// LIST lines: names, and for a renamed mailbox the old one.
    pub(crate) names: BTreeMap<String, Option<String>>,
    /// STATUS lines, by mailbox.
    pub(crate) status: Vec<(Key, Vec<StatusItem>)>,
}

impl Changes {
    pub(crate) fn len(&self) -> usize {
        self.names.len() + self.status.len()
    }
}

impl Known {
    /// Of the mailboxes of others those that may be known of (right `l`), as LIST says.
    pub(crate) fn new(list: &pb::ListReply) -> Self {
        let ghosts: BTreeSet<String> = list.ghost_subscriptions.iter().cloned().collect();
        let own = list.mailboxes.iter().map(|state| ((0, state.mailbox_id), KnownBox::new(state)));
        let mut boxes: BTreeMap<Key, KnownBox> = own.collect();
        for shared in &list.shared {
            let Some(state) = &shared.state else { continue };
            let Some(name) = shared_name(&shared.owner_address, &state.name) else { continue };
            let known = KnownBox {
                subscribed: ghosts.contains(&name),
                name,
                unseen: None,
                readable: Rights::from_bits(state.rights).contains(Rights::READ),
                ..KnownBox::new(state)
            };
            boxes.insert((shared.owner, state.mailbox_id), known);
        }
        Self { boxes, ghosts }
    }

    /// Accounts that share mailboxes with this one.
    pub(crate) fn owners(&self) -> BTreeSet<u64> {
        self.boxes.keys().map(|(owner, _)| *owner).filter(|owner| *owner != 0).collect()
    }

    /// Does the client want to hear of messages in this mailbox? One of its own that is not known yet may be wanted; of others'
    /// it is told when the list changes.
    pub(crate) fn is_watched(&self, mailbox: Key, spec: &Spec) -> bool {
        self.boxes.get(&mailbox).map_or(mailbox.0 == 0, |known| {
            let events = spec.events(&known.name, known.subscribed);
            events.messages || events.flags
        })
    }

    /// Others' mailboxes of which it must be asked what the reader has seen. Those that did not change are as they were.
    pub(crate) fn stale(&mut self, old: &Self, spec: &Spec) -> Vec<Key> {
        let mut stale = Vec::new();
        for (key, known) in self.boxes.iter_mut().filter(|(key, known)| key.0 != 0 && known.readable) {
            match old.boxes.get(key).filter(|old| old.readable) {
                Some(old) if old.modseq == known.modseq => known.unseen = old.unseen,
                Some(_) if spec.events(&known.name, known.subscribed).flags => stale.push(*key),
                _ => {}
            }
        }
        stale
    }

    /// What was asked; `None`: it may not be read any more.
    pub(crate) fn freshen(&mut self, mailbox: Key, state: Option<&pb::MailboxState>) {
        if let Some(known) = self.boxes.get_mut(&mailbox) {
            *known = match state {
                Some(state) => KnownBox {
                    name: std::mem::take(&mut known.name),
                    subscribed: known.subscribed,
                    ..KnownBox::new(state)
                },
                None => KnownBox { readable: false, ..known.clone() },
            };
        }
    }

    /// Mailboxes that the client named and may know of, but not read (RFC 5465 §3.1).
    pub(crate) fn without_access(&self, spec: &Spec) -> Vec<&str> {
        let unreadable = self.boxes.values().filter(|known| !known.readable);
        let wanted = unreadable.filter(|known| {
            let events = spec.events(&known.name, known.subscribed);
            events.messages || events.flags
        });
        wanted.map(|known| known.name.as_str()).collect()
    }

    /// Leaves only annotations that the client wants to hear of (RFC 5465 §5.6, §5.7).
    pub(crate) fn retain_wanted(&self, annotations: &mut BTreeMap<u64, Vec<String>>, spec: &Spec) {
        annotations.retain(|id, _| match self.boxes.get(&(0, *id)) {
            Some(known) => spec.events(&known.name, known.subscribed).annotations,
            None => *id == 0 && spec.wants_server_annotations(),
        });
    }

    /// STATUS lines of all mailboxes whose messages are watched, for `NOTIFY SET STATUS` (RFC 5465 §3.1).
    pub(crate) fn status(&self, spec: &Spec, selected: Option<Key>) -> Vec<(Key, Vec<StatusItem>)> {
        let others = self.boxes.iter().filter(|(key, known)| Some(**key) != selected && known.readable);
        others
            .filter_map(|(key, known)| {
                let events = spec.events(&known.name, known.subscribed);
                let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity];
                if events.flags {
                    items.push(StatusItem::HighestModSeq);
                }
                events.messages.then_some((*key, items))
            })
            .collect()
    }

    /// What the client should be told on the way to `new`. Not of what it did itself, to the names in `own`.
    pub(crate) fn changes(
        &self,
        new: &Self,
        spec: &Spec,
        (selected, condstore, own): (Option<Key>, bool, &[String]),
    ) -> Changes {
        let mut changes = Changes::default();
        let ids: BTreeSet<Key> = self.boxes.keys().chain(new.boxes.keys()).copied().collect();
        for id in ids {
            let (old, now) = (self.boxes.get(&id), new.boxes.get(&id));
            self.note_name(new, (old, now), spec, own, &mut changes);
            let Some(now) = now.filter(|now| Some(id) != selected && now.readable) else { continue };
            let events = spec.events(&now.name, now.subscribed);
            let old = old.filter(|old| old.readable);
            if let Some(items) = status_items(old, now, events, condstore) {
                changes.status.push((id, items));
            }
        }
        for name in self.ghosts.symmetric_difference(&new.ghosts) {
            if spec.events(name, true).subscriptions && !own.contains(name) {
                changes.names.entry(name.clone()).or_default();
            }
        }
        changes
    }

    /// RFC 5465 §5.4, §5.5
    fn note_name(
        &self,
        new: &Self,
        (old, now): (Option<&KnownBox>, Option<&KnownBox>),
        spec: &Spec,
        own: &[String],
        changes: &mut Changes,
    ) {
        let wants = |known: &KnownBox| spec.events(&known.name, known.subscribed).names;
        match (old, now) {
            (Some(old), Some(now)) if old.name != now.name => {
                let by_us = own.contains(&old.name) || own.contains(&now.name);
                if (wants(old) || wants(now)) && !by_us && !self.is_taken_along(new, old, now) {
                    changes.names.insert(now.name.clone(), Some(old.name.clone()));
                }
            }
            (Some(old), Some(now))
                if old.subscribed != now.subscribed
                    && spec.events(&now.name, true).subscriptions
                    && !own.contains(&now.name) =>
            {
                changes.names.entry(now.name.clone()).or_default();
            }
            (Some(only), None) | (None, Some(only)) if !own.contains(&only.name) => {
                if wants(only) {
                    changes.names.entry(only.name.clone()).or_default();
                }
                // The one right above is affected too: it has children now, or has none any more.
                if let Some((parent, _)) = only.name.rsplit_once(HIERARCHY_SEPARATOR) {
                    let subscribed = new.boxes.values().any(|known| known.name == parent && known.subscribed);
                    if spec.events(parent, subscribed).names {
                        changes.names.entry(parent.to_owned()).or_default();
                    }
                }
            }
            _ => {}
        }
    }

    /// Was it renamed because one above it was?
    fn is_taken_along(&self, new: &Self, old: &KnownBox, now: &KnownBox) -> bool {
        let parents = |known: &KnownBox| {
            known
                .name
                .rsplit_once(HIERARCHY_SEPARATOR)
                .map(|(parent, leaf)| (parent.to_owned(), leaf.to_owned()))
        };
        let (Some((old_parent, old_leaf)), Some((parent, leaf))) = (parents(old), parents(now)) else {
            return false;
        };
        let parent_id = self.boxes.iter().find(|(_, known)| known.name == old_parent).map(|(id, _)| id);
        old_leaf == leaf
            && match parent_id {
                Some(id) => new.boxes.get(id).is_some_and(|known| known.name == parent),
                // A level without a mailbox of its own: look further up.
                None => {
                    old_parent.contains(HIERARCHY_SEPARATOR)
                        && self.is_taken_along(
                            new,
                            &KnownBox { name: old_parent, ..old.clone() },
                            &KnownBox { name: parent, ..now.clone() },
                        )
                }
            }
    }
}

/// RFC 5465 §5.1 to §5.3, for a mailbox that is not selected.
fn status_items(
    old: Option<&KnownBox>,
    now: &KnownBox,
    events: Events,
    condstore: bool,
) -> Option<Vec<StatusItem>> {
    let Some(old) = old else {
        return (events.messages && now.exists > 0)
            .then(|| vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity]);
    };
    let came_or_went = (old.uid_next, old.exists) != (now.uid_next, now.exists);
    let is_anew = old.uid_validity != now.uid_validity;
    let mut items = Vec::new();
    if events.messages && (came_or_went || is_anew) {
        items.extend([StatusItem::Messages, StatusItem::UidNext]);
    }
    if events.flags && old.unseen != now.unseen {
        items.push(StatusItem::Unseen);
    }
    let flags_changed = events.flags && old.modseq != now.modseq && condstore;
    if items.is_empty() && !flags_changed && !(events.flags && is_anew) {
        return None;
    }
    items.push(StatusItem::UidValidity);
    if condstore {
        items.push(StatusItem::HighestModSeq);
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use imap_wire::{MailboxFilter, MessageEvents, NotifyEvent, NotifyGroup};

    use super::*;

    fn state(id: u64, name: &str) -> pb::MailboxState {
        pb::MailboxState {
            mailbox_id: id,
            name: name.into(),
            uid_validity: 1,
            uid_next: 5,
            exists: 4,
            ..Default::default()
        }
    }

    fn known(mailboxes: Vec<pb::MailboxState>) -> Known {
        Known::new(&pb::ListReply { mailboxes, ..Default::default() })
    }

    fn all() -> Spec {
        let other = |event| NotifyEvent::Other(event);
        let events = vec![
            NotifyEvent::MessageNew(Vec::new()),
            other(MessageEvents::MessageExpunge),
            other(MessageEvents::FlagChange),
            other(MessageEvents::MailboxName),
            other(MessageEvents::SubscriptionChange),
        ];
        Spec::new(vec![NotifyGroup { filter: MailboxFilter::Personal, events }]).unwrap()
    }

    fn names(old: &Known, new: &Known, own: &[String]) -> Vec<(String, Option<String>)> {
        old.changes(new, &all(), (None, false, own)).names.into_iter().collect()
    }

    #[test]
    fn names_come_and_go() {
        let old = known(vec![state(1, "INBOX"), state(2, "a")]);
        let new = known(vec![state(1, "INBOX"), state(2, "a"), state(3, "a/b")]);
        assert_eq!(names(&old, &new, &[]), [("a".into(), None), ("a/b".into(), None)]);
        assert_eq!(names(&new, &old, &[]), [("a".into(), None), ("a/b".into(), None)]);
        assert_eq!(names(&old, &new, &["a/b".into()]), []);
    }

    #[test]
    fn children_are_renamed_in_silence() {
        let old = known(vec![state(2, "a"), state(3, "a/b"), state(4, "a/x/c")]);
        let new = known(vec![state(2, "z"), state(3, "z/b"), state(4, "z/x/c")]);
        assert_eq!(names(&old, &new, &[]), [("z".into(), Some("a".into()))]);
        let alone = known(vec![state(2, "a"), state(3, "b"), state(4, "a/x/c")]);
        assert_eq!(names(&old, &alone, &[]), [("b".into(), Some("a/b".into()))]);
    }

    #[test]
    fn only_what_changed_is_in_status() {
        let old = known(vec![state(1, "INBOX"), state(2, "a")]);
        let more = pb::MailboxState { uid_next: 6, exists: 5, highest_modseq: 9, ..state(2, "a") };
        let seen = pb::MailboxState { unseen: 1, highest_modseq: 9, ..state(2, "a") };
        let flagged = pb::MailboxState { highest_modseq: 9, ..state(2, "a") };
        let status = |now: &pb::MailboxState, selected, condstore| {
            let new = known(vec![state(1, "INBOX"), now.clone()]);
            old.changes(&new, &all(), (selected, condstore, &[])).status
        };
        use StatusItem as S;
        assert_eq!(status(&more, None, false), [((0, 2), vec![S::Messages, S::UidNext, S::UidValidity])]);
        assert_eq!(status(&more, Some((0, 2)), false), []);
        assert_eq!(status(&seen, None, false), [((0, 2), vec![S::Unseen, S::UidValidity])]);
        assert_eq!(status(&flagged, None, false), []);
        assert_eq!(status(&flagged, None, true), [((0, 2), vec![S::UidValidity, S::HighestModSeq])]);
    }

    fn shared(theirs: pb::MailboxState, rights: &str) -> pb::ListReply {
        let rights = Rights::parse(rights).unwrap().bits();
        let theirs = Some(pb::MailboxState { rights, ..theirs });
        let owner_address = "bob@example.org".to_owned();
        let shared = vec![pb::SharedMailbox { owner: 7, owner_address, state: theirs }];
        pb::ListReply { mailboxes: vec![state(2, "INBOX")], shared, ..Default::default() }
    }

    fn others() -> Spec {
        let other = |event| NotifyEvent::Other(event);
        let events = vec![
            NotifyEvent::MessageNew(Vec::new()),
            other(MessageEvents::MessageExpunge),
            other(MessageEvents::FlagChange),
            other(MessageEvents::MailboxName),
        ];
        let filter = MailboxFilter::Subtree(vec![mail_types::MailboxName::try_from("Other users").unwrap()]);
        Spec::new(vec![NotifyGroup { filter, events }]).unwrap()
    }

    #[test]
    fn mailboxes_of_others_are_not_mistaken_for_ones_own() {
        let old = Known::new(&shared(state(2, "INBOX"), "lr"));
        let more = pb::MailboxState { uid_next: 6, exists: 5, highest_modseq: 9, ..state(2, "INBOX") };
        let mut new = Known::new(&shared(more.clone(), "lr"));
        assert_eq!(new.stale(&old, &others()), [(7, 2)]);
        new.freshen((7, 2), Some(&pb::MailboxState { unseen: 3, ..more }));
        let lines = |selected| old.changes(&new, &others(), (selected, false, &[])).status;
        use StatusItem as S;
        let items = vec![S::Messages, S::UidNext, S::Unseen, S::UidValidity];
        assert_eq!(lines(None), [((7, 2), items.clone())]);
        assert_eq!(lines(Some((0, 2))), [((7, 2), items)]);
        assert_eq!(lines(Some((7, 2))), []);
        assert!(old.changes(&new, &all(), (None, true, &[])).status.is_empty());
        assert_eq!(new.owners(), BTreeSet::from([7]));
        assert!(new.is_watched((7, 2), &others()) && !new.is_watched((7, 3), &others()));
    }

    #[test]
    fn without_rights_nothing_is_told() {
        let more = pb::MailboxState { uid_next: 6, exists: 5, highest_modseq: 9, ..state(2, "a") };
        let (before, after) =
            (Known::new(&shared(state(2, "a"), "lr")), Known::new(&shared(more.clone(), "l")));
        assert_eq!(before.changes(&after, &others(), (None, true, &[])), Changes::default());
        assert_eq!(after.without_access(&others()), ["Other users/bob@example.org/a"]);
        assert!(after.status(&others(), None).is_empty());
        // It may be read again: what there is now is news.
        let again = Known::new(&shared(more, "lr"));
        assert_eq!(after.changes(&again, &others(), (None, false, &[])).status.len(), 1);
        let mut refused = Known::new(&shared(state(2, "a"), "lr"));
        refused.freshen((7, 2), None);
        assert!(refused.status(&others(), None).is_empty());
        // The right `l` comes and goes like the mailbox itself.
        let none = Known::new(&pb::ListReply { mailboxes: vec![state(2, "INBOX")], ..Default::default() });
        let gone = before.changes(&none, &others(), (None, true, &[]));
        let names: Vec<&str> = gone.names.keys().map(String::as_str).collect();
        assert_eq!(names, ["Other users/bob@example.org", "Other users/bob@example.org/a"]);
        assert!(gone.status.is_empty());
        assert_eq!(none.changes(&before, &others(), (None, true, &[])).names, gone.names);
    }
}
