//! GETMETADATA and SETMETADATA (RFC 5464): entries are names here, what they mean is for the gateway to say.

use mail_rpc::pb::{get_metadata_request, set_metadata_request};
use mail_rpc::{Refusal, Right, pb};
use mail_types::{MailboxId, Rights};
use tonic::Status;

use super::access::{Access, access, forbidden};
use super::mailboxes::name;
use super::{demand, no_mailbox, number, publish};
use crate::Inner;
use crate::db::{Annotate, Annotated, AnnotationQuery, Which};

/// Longest value in octets (RFC 5464 §4.1: at least 1024).
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Most annotations of a mailbox, or of the server, that one reader sees (RFC 5464 §4.1: at least 10).
const ENTRIES_MAX: usize = 100;
/// RFC 5464 §3.3
const USING: Rights =
    Rights::READ.with(Rights::SEEN).with(Rights::WRITE).with(Rights::INSERT).with(Rights::POST);
/// Longest name of an entry in octets.
const ENTRY_BYTES_MAX: usize = 500;
/// Annotations of one answer: with the longest values well below what a message may hold.
const PAGE: i64 = 100;

pub(super) async fn get(
    inner: &Inner,
    request: pb::GetMetadataRequest,
) -> Result<pb::GetMetadataReply, Status> {
    use get_metadata_request::Of;
    let caller = demand(inner, &request.grant, Right::Own)?;
    let (mut account, reader) = (caller, caller);
    let mailbox = match request.of {
        Some(Of::Mailbox(name)) => {
            let found = find(inner, (&request.grant, request.owner), &name, Rights::LOOKUP).await?;
            account = found.access.account;
            Some(found.mailbox)
        }
        _ if request.owner != 0 => return Err(of_others()),
        Some(Of::Server(_)) => Some(MailboxId::new(0)),
        Some(Of::Everything(_)) => None,
        None => return Err(Refusal::Invalid("annotations of what is not said".into()).into()),
    };
    let query = AnnotationQuery {
        account,
        reader,
        mailbox,
        entry: (!request.entry.is_empty()).then_some(request.entry),
        since: request.changed_since.map(number),
        after: (MailboxId::new(request.after_mailbox), request.after_entry),
        limit: PAGE,
    };
    let rows = inner.db.annotations(query).await?;
    Ok(pb::GetMetadataReply {
        more: rows.len() as i64 >= PAGE,
        annotations: rows
            .into_iter()
            .map(|row| pb::Annotation {
                mailbox_id: row.mailbox.unsigned_abs(),
                entry: row.entry,
                value: row.value.map(Into::into),
                version: row.version.unsigned_abs(),
            })
            .collect(),
    })
}

pub(super) async fn set(
    inner: &Inner,
    request: pb::SetMetadataRequest,
) -> Result<pb::SetMetadataReply, Status> {
    use set_metadata_request::Of;
    let caller = demand(inner, &request.grant, Right::Own)?;
    let (mut account, mut allowed) = (caller, None);
    let mailbox = match request.of {
        Some(Of::Mailbox(name)) => {
            let shared =
                request.annotations.iter().any(|annotation| !annotation.entry.starts_with("/private/"));
            let needs = if shared { Rights::LOOKUP.with(Rights::WRITE) } else { Rights::LOOKUP };
            let found = find(inner, (&request.grant, request.owner), &name, needs).await?;
            (account, allowed) = (found.access.account, found.access.reader);
            found.mailbox
        }
        _ if request.owner != 0 => return Err(of_others()),
        Some(Of::Server(_)) => MailboxId::new(0),
        None => return Err(Refusal::Invalid("annotations of what is not said".into()).into()),
    };
    let mut changes = Vec::with_capacity(request.annotations.len());
    for pb::Annotation { entry, value, .. } in request.annotations {
        if value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) {
            return Ok(pb::SetMetadataReply {
                value_bytes_max: VALUE_BYTES_MAX as u64,
                ..Default::default()
            });
        }
        let is_private = entry.starts_with("/private/");
        if entry.len() > ENTRY_BYTES_MAX || !is_private && !entry.starts_with("/shared/") {
            return Err(Refusal::Invalid("this cannot be the name of an annotation".into()).into());
        }
        changes.push((entry, is_private, value.map(Vec::from)));
    }
    let request = Annotate { account, reader: caller, allowed, mailbox, changes, max: ENTRIES_MAX };
    match inner.db.annotate(request).await? {
        Annotated::Done(version) => {
            publish(inner, account, MailboxId::new(0), 0);
            Ok(pb::SetMetadataReply { version: version.unsigned_abs(), ..Default::default() })
        }
        Annotated::TooMany => Ok(pb::SetMetadataReply { too_many: true, ..Default::default() }),
        Annotated::NoMailbox => Err(super::mailbox_gone()),
    }
}

struct Found {
    access: Access,
    mailbox: MailboxId,
}

/// A mailbox whose annotations the caller may use: RFC 5464 §3.3 asks for the right `l`, and one of `r`, `s`, `w`, `i` and `p`. What
/// all see is changed by those who may change what all see, which is `w`.
async fn find(
    inner: &Inner,
    (grant, owner): (&[u8], u64),
    text: &str,
    needs: Rights,
) -> Result<Found, Status> {
    let name = name(text)?;
    let which = Which::Name(name.as_str());
    let access = access(inner, (grant, owner, Right::Own), which, needs).await?;
    if access.reader.is_some() && !access.rights.has_any(USING) {
        return Err(forbidden());
    }
    let row = inner.db.mailbox(access.account, which).await?;
    Ok(Found { access, mailbox: row.ok_or_else(|| no_mailbox(name.as_str()))?.id })
}

fn of_others() -> Status {
    Refusal::Invalid("only mailboxes have owners".to_owned()).into()
}
