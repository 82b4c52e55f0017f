//! From a command's name to the parser of its arguments.

use super::cursor::{Cursor, Fail, Parsed};
use super::{account, append, fetch, list, mailbox, notify, search};
use crate::parse::ParseErrorKind;
use crate::{CommandBody, Numbering};

/// Everything after the tag.
pub(crate) fn body(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let start = cursor.at;
    let body = match cursor.word().as_str() {
        "UID" => {
            cursor.space()?;
            uid_command(cursor, start)?
        }
        name => command(cursor, name, start)?,
    };
    if !matches!(body, CommandBody::Append(_) | CommandBody::Replace(_)) {
        cursor.end()?;
    }
    Ok(body)
}

fn uid_command(cursor: &mut Cursor<'_>, start: usize) -> Parsed<CommandBody> {
    match cursor.word().as_str() {
        "EXPUNGE" => {
            cursor.space()?;
            Ok(CommandBody::Expunge(Some(cursor.sequence_set()?)))
        }
        name => match on_messages(cursor, name, Numbering::Uid) {
            Some(body) => body,
            None => Err(Fail { kind: ParseErrorKind::UnknownCommand, at: start }),
        },
    }
}

/// The commands that also have a UID form.
fn on_messages(cursor: &mut Cursor<'_>, name: &str, by: Numbering) -> Option<Parsed<CommandBody>> {
    Some(match name {
        "FETCH" => fetch::fetch(cursor, by).map(CommandBody::Fetch),
        "STORE" => mailbox::store(cursor, by).map(CommandBody::Store),
        "SEARCH" => search::search(cursor, by).map(CommandBody::Search),
        "SORT" => search::sort(cursor, by).map(CommandBody::Sort),
        "THREAD" => search::thread(cursor, by).map(CommandBody::Thread),
        "COPY" => {
            mailbox::set_and_mailbox(cursor).map(|(set, mailbox)| CommandBody::Copy { by, set, mailbox })
        }
        "MOVE" => {
            mailbox::set_and_mailbox(cursor).map(|(set, mailbox)| CommandBody::Move { by, set, mailbox })
        }
        "REPLACE" => append::replace(cursor, by).map(CommandBody::Replace),
        _ => return None,
    })
}

fn command(cursor: &mut Cursor<'_>, name: &str, start: usize) -> Parsed<CommandBody> {
    if let Some(body) = on_messages(cursor, name, Numbering::Sequence) {
        return body;
    }
    if let Some(body) = without_arguments(name) {
        return Ok(body);
    }
    match name {
        "SELECT" => mailbox::select(cursor).map(CommandBody::Select),
        "EXAMINE" => mailbox::select(cursor).map(CommandBody::Examine),
        "STATUS" => mailbox::status(cursor),
        "APPEND" => append::append(cursor).map(CommandBody::Append),
        "LIST" => list::list(cursor).map(CommandBody::List),
        "LSUB" => list::lsub(cursor).map(CommandBody::Lsub),
        "CREATE" => mailbox::create(cursor),
        "DELETE" => mailbox::one(cursor).map(CommandBody::Delete),
        "RENAME" => mailbox::rename(cursor),
        "SUBSCRIBE" => mailbox::one(cursor).map(CommandBody::Subscribe),
        "UNSUBSCRIBE" => mailbox::one(cursor).map(CommandBody::Unsubscribe),
        "ESEARCH" => search::multi_search(cursor).map(CommandBody::Search),
        "LOGIN" => account::login(cursor),
        "AUTHENTICATE" => account::authenticate(cursor),
        "ID" => account::id(cursor),
        "ENABLE" => account::enable(cursor),
        "COMPRESS" => account::compress(cursor),
        _ => seldom(cursor, name, start),
    }
}

fn without_arguments(name: &str) -> Option<CommandBody> {
    Some(match name {
        "CAPABILITY" => CommandBody::Capability,
        "NOOP" => CommandBody::Noop,
        "LOGOUT" => CommandBody::Logout,
        "STARTTLS" => CommandBody::StartTls,
        "NAMESPACE" => CommandBody::Namespace,
        "IDLE" => CommandBody::Idle,
        "CHECK" => CommandBody::Check,
        "CLOSE" => CommandBody::Close,
        "UNSELECT" => CommandBody::Unselect,
        "EXPUNGE" => CommandBody::Expunge(None),
        "UNAUTHENTICATE" => CommandBody::Unauthenticate,
        _ => return None,
    })
}

fn seldom(cursor: &mut Cursor<'_>, name: &str, start: usize) -> Parsed<CommandBody> {
    match name {
        "GETQUOTA" => account::get_quota(cursor),
        "GETQUOTAROOT" => mailbox::one(cursor).map(CommandBody::GetQuotaRoot),
        "SETQUOTA" => account::set_quota(cursor),
        "SETACL" => mailbox::set_acl(cursor).map(CommandBody::SetAcl),
        "DELETEACL" => mailbox::and_identifier(cursor)
            .map(|(mailbox, identifier)| CommandBody::DeleteAcl { mailbox, identifier }),
        "LISTRIGHTS" => mailbox::and_identifier(cursor)
            .map(|(mailbox, identifier)| CommandBody::ListRights { mailbox, identifier }),
        "GETACL" => mailbox::one(cursor).map(CommandBody::GetAcl),
        "MYRIGHTS" => mailbox::one(cursor).map(CommandBody::MyRights),
        "GETMETADATA" => mailbox::get_metadata(cursor).map(CommandBody::GetMetadata),
        "SETMETADATA" => mailbox::set_metadata(cursor),
        "NOTIFY" => notify::notify(cursor).map(CommandBody::Notify),
        "LANGUAGE" => account::texts(cursor).map(CommandBody::Language),
        "COMPARATOR" => account::texts(cursor).map(CommandBody::Comparator),
        "GENURLAUTH" => account::gen_url_auth(cursor),
        "RESETKEY" => account::reset_key(cursor),
        "CANCELUPDATE" => account::texts(cursor).and_then(|tags| match tags.is_empty() {
            true => cursor.expected("a tag"),
            false => Ok(CommandBody::CancelUpdate(tags)),
        }),
        "URLFETCH" => account::url_fetch(cursor),
        "UIDBATCHES" => search::uid_batches(cursor),
        _ => Err(Fail { kind: ParseErrorKind::UnknownCommand, at: start }),
    }
}
