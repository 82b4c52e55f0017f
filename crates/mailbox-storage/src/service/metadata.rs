//! GETMETADATA and SETMETADATA (RFC 5464): entries are names here, what they mean is for the gateway to say.

use mail_rpc::pb::{get_metadata_request, set_metadata_request};
use mail_rpc::{Refusal, Right, pb};
use mail_types::{AccountId, MailboxId};
use tonic::Status;

use super::mailboxes::name;
use super::{demand, no_mailbox, number, publish};
use crate::Inner;
use crate::db::{Annotate, Annotated, AnnotationQuery, Which};

/// Longest value in octets (RFC 5464 §4.1: at least 1024).
const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Most annotations of a mailbox, or of the server, that one reader sees (RFC 5464 §4.1: at least 10).
const ENTRIES_MAX: usize = 100;
/// Longest name of an entry in octets.
const ENTRY_BYTES_MAX: usize = 500;
/// Annotations of one answer: with the longest values well below what a message may hold.
const PAGE: i64 = 100;

pub(super) async fn get(
    inner: &Inner,
    request: pb::GetMetadataRequest,
) -> Result<pb::GetMetadataReply, Status> {
    use get_metadata_request::Of;
    let account = demand(inner, &request.grant, Right::Own)?;
    let mailbox = match request.of {
        Some(Of::Mailbox(name)) => Some(find(inner, account, &name).await?),
        Some(Of::Server(_)) => Some(MailboxId::new(0)),
        Some(Of::Everything(_)) => None,
        None => return Err(Refusal::Invalid("annotations of what is not said".into()).into()),
    };
    let query = AnnotationQuery {
        account,
        reader: account,
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
    let account = demand(inner, &request.grant, Right::Own)?;
    let mailbox = match request.of {
        Some(Of::Mailbox(name)) => find(inner, account, &name).await?,
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
    let request = Annotate { account, reader: account, mailbox, changes, max: ENTRIES_MAX };
    match inner.db.annotate(request).await? {
        Annotated::Done(version) => {
            publish(inner, account, MailboxId::new(0), 0);
            Ok(pb::SetMetadataReply { version: version.unsigned_abs(), ..Default::default() })
        }
        Annotated::TooMany => Ok(pb::SetMetadataReply { too_many: true, ..Default::default() }),
        Annotated::NoMailbox => Err(super::mailbox_gone()),
    }
}

async fn find(inner: &Inner, account: AccountId, text: &str) -> Result<MailboxId, Status> {
    let name = name(text)?;
    let row = inner.db.mailbox(account, Which::Name(name.as_str())).await?;
    Ok(row.ok_or_else(|| no_mailbox(name.as_str()))?.id)
}
