//! What a client wants to hear of (RFC 5465 §3.1, §5, §6), checked. Pure.

use std::sync::Arc;

use imap_wire::{FetchItem, MailboxFilter, MessageEvents, NotifyEvent, NotifyGroup};
use mail_types::{HIERARCHY_SEPARATOR, MailboxName};

use crate::fetch::Plan;
use crate::limits::NOTIFY_NAMES_MAX;
use crate::others::OTHER_USERS;

/// The events there are (RFC 5465 §5), for BADEVENT.
pub(crate) const EVENTS: &[&str] = &[
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
];

/// All groups of one NOTIFY.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    /// `None`: nothing about messages of the selected mailbox.
    pub(crate) selected: Option<SelectedEvents>,
    groups: Vec<(MailboxFilter, Events)>,
}

/// Of the selected mailbox; arrivals and expunges always.
#[derive(Debug)]
pub(crate) struct SelectedEvents {
    /// SELECTED-DELAYED: expunges wait for a command that allows them.
    pub(crate) delayed: bool,
    pub(crate) flags: bool,
    /// What to tell of new messages beside that they are there.
    pub(crate) fetch: Option<Arc<Plan>>,
}

/// Of another mailbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Events {
    /// MessageNew and MessageExpunge.
    pub(crate) messages: bool,
    pub(crate) flags: bool,
    pub(crate) names: bool,
    pub(crate) subscriptions: bool,
    pub(crate) annotations: bool,
    /// Whatever mailboxes the group is about.
    server_annotations: bool,
}

/// Why a NOTIFY cannot be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It makes no sense.
    Bad(&'static str),
    /// An event that we do not know.
    BadEvent,
    /// Too many mailboxes are named.
    TooMuch,
}

impl Spec {
    pub(crate) fn new(groups: Vec<NotifyGroup>) -> Result<Self, Refused> {
        let mut spec = Self::default();
        let (mut has_selected, mut names) = (false, 0);
        for NotifyGroup { filter, events } in groups {
            let asked = Asked::new(events)?;
            let delayed = match &filter {
                MailboxFilter::Selected => Some(false),
                MailboxFilter::SelectedDelayed => Some(true),
                MailboxFilter::SubtreeOne(_) => return Err(Refused::Bad("SUBTREE-ONE is not for NOTIFY")),
                MailboxFilter::Subtree(list) | MailboxFilter::Mailboxes(list) => {
                    names += list.len();
                    None
                }
                MailboxFilter::Inboxes | MailboxFilter::Personal | MailboxFilter::Subscribed => None,
            };
            match delayed {
                Some(_) if has_selected => {
                    return Err(Refused::Bad("Only one of SELECTED and SELECTED-DELAYED"));
                }
                Some(delayed) => {
                    has_selected = true;
                    spec.selected = asked.selected(delayed)?;
                }
                // RFC 5465 §8: fetch attributes for the selected mailbox only.
                None if !asked.items.is_empty() => {
                    return Err(Refused::Bad("Fetch attributes are for the selected mailbox"));
                }
                None => spec.groups.push((filter, asked.events)),
            }
        }
        if names > NOTIFY_NAMES_MAX { Err(Refused::TooMuch) } else { Ok(spec) }
    }

    /// Is anything wanted of other mailboxes than the selected one?
    pub(crate) fn wants_others(&self) -> bool {
        self.groups.iter().any(|(_, events)| *events != Events::default())
    }

    /// Can any of those be another's?
    pub(crate) fn wants_shared(&self) -> bool {
        let others = |names: &[MailboxName]| names.iter().any(|name| is_shared(name.as_str()));
        self.groups.iter().any(|(filter, events)| {
            *events != Events::default()
                && match filter {
                    MailboxFilter::Subscribed => true,
                    MailboxFilter::Mailboxes(names) | MailboxFilter::Subtree(names) => others(names),
                    _ => false,
                }
        })
    }

    pub(crate) fn wants_annotations(&self) -> bool {
        self.wants_server_annotations() || self.groups.iter().any(|(_, events)| events.annotations)
    }

    pub(crate) fn wants_server_annotations(&self) -> bool {
        self.groups.iter().any(|(_, events)| events.server_annotations)
    }

    /// All that the groups say of one mailbox (RFC 5465 §6: several may apply).
    pub(crate) fn events(&self, name: &str, subscribed: bool) -> Events {
        let mut all = Events::default();
        for (_, events) in self.groups.iter().filter(|(filter, _)| matches(filter, name, subscribed)) {
            all.messages |= events.messages;
            all.flags |= events.flags;
            all.names |= events.names;
            all.subscriptions |= events.subscriptions;
            all.annotations |= events.annotations;
        }
        all
    }
}

/// One group's events.
#[derive(Default)]
struct Asked {
    events: Events,
    items: Vec<FetchItem>,
}

impl Asked {
    fn new(events: Vec<NotifyEvent>) -> Result<Self, Refused> {
        let mut asked = Self::default();
        let (mut new, mut expunge) = (false, false);
        for event in events {
            match event {
                NotifyEvent::MessageNew(items) => {
                    new = true;
                    asked.items = items;
                }
                NotifyEvent::Other(MessageEvents::MessageExpunge) => expunge = true,
                NotifyEvent::Other(MessageEvents::FlagChange) => asked.events.flags = true,
                NotifyEvent::Other(MessageEvents::MailboxName) => asked.events.names = true,
                NotifyEvent::Other(MessageEvents::SubscriptionChange) => asked.events.subscriptions = true,
                NotifyEvent::Other(MessageEvents::MailboxMetadataChange) => asked.events.annotations = true,
                NotifyEvent::Other(MessageEvents::ServerMetadataChange) => {
                    asked.events.server_annotations = true;
                }
                NotifyEvent::Other(MessageEvents::AnnotationChange) | NotifyEvent::Unknown(_) => {
                    return Err(Refused::BadEvent);
                }
            }
        }
        // RFC 5465 §5
        if new != expunge || asked.events.flags && !new {
            return Err(Refused::Bad("MessageNew and MessageExpunge go together, and come with FlagChange"));
        }
        asked.events.messages = new;
        Ok(asked)
    }

    /// RFC 5465 §6.1: message events only.
    fn selected(self, delayed: bool) -> Result<Option<SelectedEvents>, Refused> {
        let events = &self.events;
        if events.names || events.subscriptions || events.annotations || events.server_annotations {
            return Err(Refused::Bad("Only message events for the selected mailbox"));
        }
        let fetch = (!self.items.is_empty()).then(|| Arc::new(Plan::new(peeking(self.items))));
        Ok(self.events.messages.then_some(SelectedEvents { delayed, flags: self.events.flags, fetch }))
    }
}

/// Telling of a message is not reading it.
pub(crate) fn peeking(mut items: Vec<FetchItem>) -> Vec<FetchItem> {
    for item in &mut items {
        if let FetchItem::BodySection { peek, .. } | FetchItem::Binary { peek, .. } = item {
            *peek = true;
        }
    }
    items
}

/// RFC 5465 §6
fn matches(filter: &MailboxFilter, name: &str, subscribed: bool) -> bool {
    match filter {
        MailboxFilter::Selected | MailboxFilter::SelectedDelayed | MailboxFilter::SubtreeOne(_) => false,
        // §6.2, §6.3: mail is delivered into whichever mailbox `user+detail` names, so these are all of the user's own.
        MailboxFilter::Inboxes | MailboxFilter::Personal => !is_shared(name),
        MailboxFilter::Subscribed => subscribed,
        MailboxFilter::Mailboxes(names) => names.iter().any(|known| known.as_str() == name),
        MailboxFilter::Subtree(names) => names.iter().any(|known| {
            name.strip_prefix(known.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(HIERARCHY_SEPARATOR))
        }),
    }
}

/// Is it in the namespace of others' mailboxes?
fn is_shared(name: &str) -> bool {
    name.starts_with(OTHER_USERS) || name == OTHER_USERS.trim_end_matches(HIERARCHY_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::try_from(text).unwrap()
    }

    fn messages() -> Vec<NotifyEvent> {
        vec![NotifyEvent::MessageNew(Vec::new()), NotifyEvent::Other(MessageEvents::MessageExpunge)]
    }

    #[test]
    fn message_events_come_together() {
        let selected = |events| {
            let group = NotifyGroup { filter: MailboxFilter::Selected, events };
            Spec::new(vec![group])
        };
        assert!(selected(messages()).unwrap().selected.is_some());
        assert!(selected(Vec::new()).unwrap().selected.is_none());
        let flags = NotifyEvent::Other(MessageEvents::FlagChange);
        for events in [
            vec![NotifyEvent::MessageNew(Vec::new())],
            vec![flags.clone()],
            vec![NotifyEvent::Other(MessageEvents::MailboxName)],
        ] {
            assert!(matches!(selected(events), Err(Refused::Bad(_))));
        }
        assert!(selected([messages(), vec![flags]].concat()).unwrap().selected.unwrap().flags);
        let unknown = vec![NotifyEvent::Unknown("X".into())];
        assert_eq!(selected(unknown).unwrap_err(), Refused::BadEvent);
    }

    #[test]
    fn groups_add_up() {
        let spec = Spec::new(vec![
            NotifyGroup { filter: MailboxFilter::Subtree(vec![name("a")]), events: messages() },
            NotifyGroup {
                filter: MailboxFilter::Subscribed,
                events: vec![NotifyEvent::Other(MessageEvents::SubscriptionChange)],
            },
        ])
        .unwrap();
        let both = Events { messages: true, subscriptions: true, ..Events::default() };
        assert_eq!(spec.events("a/b", true), both);
        assert_eq!(spec.events("a", false), Events { messages: true, ..Events::default() });
        assert_eq!(spec.events("ab", false), Events::default());
    }

    #[test]
    fn mailboxes_of_others_are_not_personal() {
        let spec = |filter| Spec::new(vec![NotifyGroup { filter, events: messages() }]).unwrap();
        let shared = "Other users/bob@example.org/INBOX";
        for (filter, wants, watches) in [
            (MailboxFilter::Personal, false, false),
            (MailboxFilter::Inboxes, false, false),
            (MailboxFilter::Subscribed, true, true),
            (MailboxFilter::Mailboxes(vec![name(shared)]), true, true),
            (MailboxFilter::Mailboxes(vec![name("INBOX")]), false, false),
            (MailboxFilter::Subtree(vec![name("Other users")]), true, true),
            (MailboxFilter::Subtree(vec![name("Other users/bob@example.org")]), true, true),
            (MailboxFilter::Subtree(vec![name("Other users/carol@example.org")]), true, false),
        ] {
            let spec = spec(filter);
            assert_eq!(
                (spec.wants_shared(), spec.events(shared, true).messages),
                (wants, watches),
                "{spec:?}"
            );
        }
    }
}
