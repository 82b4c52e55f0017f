//! Attributes and derived data of messages, in pages.

use std::sync::Arc;

use mail_rpc::{Right, pb, set_from_pb};
use mail_types::{AccountId, MailboxId, Rights, Uid, UidSet};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tracing::Instrument;

use super::access::access;
use super::url;
use crate::Inner;
use crate::db::{Columns, MessageRow, Which};

/// Messages of one query when derived data is wanted: a kilobyte or two each.
const WIDE_ROWS_MAX: i64 = 256;
/// Messages of one query when only the narrow columns are.
const NARROW_ROWS_MAX: i64 = 4096;
/// Octets after which a page is sent.
const PAGE_BYTES: usize = 256 << 10;
/// Octets that the narrow columns take.
const NARROW_BYTES: usize = 48;

pub(super) async fn fetch(
    inner: &Arc<Inner>,
    request: pb::FetchRequest,
) -> Result<ReceiverStream<Result<pb::FetchPage, Status>>, Status> {
    let (grant, which) =
        ((&*request.grant, request.owner, Right::Own), Which::Id(MailboxId::new(request.mailbox_id)));
    let account = access(inner, grant, which, Rights::READ).await?.account;
    Ok(answer(inner, account, request))
}

/// The same of the one message that a signed URL opens (RFC 4467 §6).
pub(super) async fn fetch_url(
    inner: &Arc<Inner>,
    request: pb::FetchUrlRequest,
) -> Result<ReceiverStream<Result<pb::FetchPage, Status>>, Status> {
    let proof = request.url.unwrap_or_default();
    let mut request = request.request.unwrap_or_default();
    let (owner, mailbox) = url::verify(inner, &request.grant, &proof).await?;
    let uid = proof.target.map_or(0, |target| target.uid);
    request.mailbox_id = mailbox.get();
    request.uids = vec![pb::UidRange { first: uid, last: uid }];
    Ok(answer(inner, owner, request))
}

fn answer(
    inner: &Arc<Inner>,
    account: AccountId,
    request: pb::FetchRequest,
) -> ReceiverStream<Result<pb::FetchPage, Status>> {
    let (sender, receiver) = channel(1);
    let inner = Arc::clone(inner);
    let work = async move {
        if let Err(status) = send_pages(&inner, account, request, &sender).await {
            // The caller may have gone away.
            let _ = sender.send(Err(status)).await;
        }
    };
    tokio::spawn(work.in_current_span());
    ReceiverStream::new(receiver)
}

/// No connection is held while a page waits for the caller.
async fn send_pages(
    inner: &Inner,
    account: AccountId,
    request: pb::FetchRequest,
    sender: &Sender<Result<pb::FetchPage, Status>>,
) -> Result<(), Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let columns = Columns {
        envelope: request.envelope,
        body: request.body,
        bodystructure: request.body_structure,
        parts: request.parts,
        preview: request.preview,
    };
    let wide = columns.envelope || columns.body || columns.bodystructure || columns.parts || columns.preview;
    let limit = if wide { WIDE_ROWS_MAX } else { NARROW_ROWS_MAX };
    let mut rest = set_from_pb(&request.uids);
    while !rest.is_empty() {
        let rows = inner.db.fetch(account, mailbox, &rest, columns, limit).await?;
        let more = rows.len() as i64 == limit;
        let last = rows.last().map_or(0, |row| row.uid as u32);
        let (mut page, mut bytes) = (pb::FetchPage::default(), 0);
        for row in rows {
            bytes += NARROW_BYTES
                + row.envelope.len()
                + row.body.len()
                + row.bodystructure.len()
                + row.parts.len()
                + row.preview.len();
            page.messages.push(message_to_pb(row));
            if bytes >= PAGE_BYTES {
                bytes = 0;
                if sender.send(Ok(std::mem::take(&mut page))).await.is_err() {
                    return Ok(());
                }
            }
        }
        if !page.messages.is_empty() && sender.send(Ok(page)).await.is_err() {
            return Ok(());
        }
        rest = if more { rest_after(&rest, last) } else { UidSet::new() };
    }
    Ok(())
}

/// What is above `last`.
pub(super) fn rest_after(set: &UidSet, last: u32) -> UidSet {
    match last.checked_add(1).and_then(Uid::new) {
        Some(next) => set.intersection(&UidSet::range(next, Uid::MAX)),
        None => UidSet::new(),
    }
}

fn message_to_pb(row: MessageRow) -> pb::MessageData {
    pb::MessageData {
        uid: row.uid as u32,
        message_id: row.message_id.unsigned_abs(),
        size: row.size.unsigned_abs(),
        received_at: row.received_at,
        saved_at: row.saved_at,
        thread_id: row.thread_id.unsigned_abs(),
        envelope: row.envelope.into(),
        body: row.body.into(),
        body_structure: row.bodystructure.into(),
        parts: row.parts.into(),
        preview: row.preview,
        derived_version: row.derived_version.unsigned_abs(),
    }
}
