//! NOTIFY (RFC 5465) and its mailbox filters, which ESEARCH (RFC 6237) uses too.

use mail_types::MailboxName;

use super::FetchItem;

/// The arguments of NOTIFY (RFC 5465 §3).
#[derive(Debug, Clone, PartialEq)]
pub enum Notify {
    /// `NONE`: nothing at all.
    None,
    /// `SET`
    Set {
        /// `STATUS`: tell the present state of the mailboxes at once.
        status: bool,
        /// For which mailboxes what.
        groups: Vec<NotifyGroup>,
    },
}

/// One event group.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyGroup {
    /// For which mailboxes.
    pub filter: MailboxFilter,
    /// What; empty for `NONE`.
    pub events: Vec<NotifyEvent>,
}

/// A set of mailboxes (`filter-mailboxes`, RFC 5465 §6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxFilter {
    /// `SELECTED`
    Selected,
    /// `SELECTED-DELAYED`
    SelectedDelayed,
    /// `INBOXES`
    Inboxes,
    /// `PERSONAL`
    Personal,
    /// `SUBSCRIBED`
    Subscribed,
    /// `SUBTREE`: these and all below.
    Subtree(Vec<MailboxName>),
    /// `SUBTREE-ONE` (RFC 6237): these and those right below.
    SubtreeOne(Vec<MailboxName>),
    /// `MAILBOXES`: these.
    Mailboxes(Vec<MailboxName>),
}

/// An event (RFC 5465 §5).
#[derive(Debug, Clone, PartialEq)]
pub enum NotifyEvent {
    /// `MessageNew`, with the items to fetch; empty if none were given.
    MessageNew(Vec<FetchItem>),
    /// The other events.
    Other(MessageEvents),
    /// One that is not known, upper-case (`event-ext`, RFC 5465 §8).
    Unknown(String),
}

/// Events without arguments (RFC 5465 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageEvents {
    /// `MessageExpunge`
    MessageExpunge,
    /// `FlagChange`
    FlagChange,
    /// `AnnotationChange`
    AnnotationChange,
    /// `MailboxName`
    MailboxName,
    /// `SubscriptionChange`
    SubscriptionChange,
    /// `MailboxMetadataChange`
    MailboxMetadataChange,
    /// `ServerMetadataChange`
    ServerMetadataChange,
}
