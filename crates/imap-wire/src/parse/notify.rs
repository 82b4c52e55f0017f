//! NOTIFY (RFC 5465 §8) and mailbox filters.

use super::cursor::{Cursor, Fail, Parsed};
use super::fetch::item_list;
use crate::parse::ParseErrorKind;
use crate::{MailboxFilter, MessageEvents, Notify, NotifyEvent, NotifyGroup};

pub(super) fn notify(cursor: &mut Cursor<'_>) -> Parsed<Notify> {
    cursor.space()?;
    if cursor.take_word("NONE") {
        return Ok(Notify::None);
    }
    if !cursor.take_word("SET") {
        return cursor.expected("SET or NONE");
    }
    cursor.space()?;
    let status = cursor.take_word("STATUS");
    if status {
        cursor.space()?;
    }
    let mut groups = vec![group(cursor)?];
    while !cursor.is_end() {
        cursor.space()?;
        groups.push(group(cursor)?);
    }
    Ok(Notify::Set { status, groups })
}

/// `event-group = "(" filter-mailboxes SP events ")"`
fn group(cursor: &mut Cursor<'_>) -> Parsed<NotifyGroup> {
    cursor.open()?;
    let filter = filter(cursor)?;
    cursor.space()?;
    let events = if cursor.take_word("NONE") { Vec::new() } else { cursor.list(event)? };
    cursor.close()?;
    Ok(NotifyGroup { filter, events })
}

fn event(cursor: &mut Cursor<'_>) -> Parsed<NotifyEvent> {
    let start = cursor.at;
    let event = match cursor.word().as_str() {
        "MESSAGENEW" => {
            let has_items = cursor.rest().starts_with(b" (");
            if !has_items {
                return Ok(NotifyEvent::MessageNew(Vec::new()));
            }
            cursor.space()?;
            return item_list(cursor).map(NotifyEvent::MessageNew);
        }
        "MESSAGEEXPUNGE" => MessageEvents::MessageExpunge,
        "FLAGCHANGE" => MessageEvents::FlagChange,
        "ANNOTATIONCHANGE" => MessageEvents::AnnotationChange,
        "MAILBOXNAME" => MessageEvents::MailboxName,
        "SUBSCRIPTIONCHANGE" => MessageEvents::SubscriptionChange,
        "MAILBOXMETADATACHANGE" => MessageEvents::MailboxMetadataChange,
        "SERVERMETADATACHANGE" => MessageEvents::ServerMetadataChange,
        _ => {
            cursor.at = start;
            return Ok(NotifyEvent::Unknown(cursor.atom()?.to_ascii_uppercase()));
        }
    };
    Ok(NotifyEvent::Other(event))
}

/// `filter-mailboxes *(SP filter-mailboxes)`, up to the closing parenthesis or the scope options, of which none is
/// defined (RFC 6237 §4).
pub(super) fn filters(cursor: &mut Cursor<'_>) -> Parsed<Vec<MailboxFilter>> {
    let mut filters = vec![filter(cursor)?];
    while cursor.peek() == Some(b' ') {
        cursor.space()?;
        filters.push(filter(cursor)?);
    }
    Ok(filters)
}

fn filter(cursor: &mut Cursor<'_>) -> Parsed<MailboxFilter> {
    let start = cursor.at;
    let make: fn(Vec<mail_types::MailboxName>) -> MailboxFilter = match cursor.word().as_str() {
        "SELECTED" => return Ok(MailboxFilter::Selected),
        "SELECTED-DELAYED" => return Ok(MailboxFilter::SelectedDelayed),
        "INBOXES" => return Ok(MailboxFilter::Inboxes),
        "PERSONAL" => return Ok(MailboxFilter::Personal),
        "SUBSCRIBED" => return Ok(MailboxFilter::Subscribed),
        "SUBTREE" => MailboxFilter::Subtree,
        "SUBTREE-ONE" => MailboxFilter::SubtreeOne,
        "MAILBOXES" => MailboxFilter::Mailboxes,
        _ => return Err(Fail { kind: ParseErrorKind::Expected("a mailbox filter"), at: start }),
    };
    cursor.space()?;
    let many = cursor.peek() == Some(b'(');
    Ok(make(if many { cursor.list(Cursor::mailbox)? } else { vec![cursor.mailbox()?] }))
}
