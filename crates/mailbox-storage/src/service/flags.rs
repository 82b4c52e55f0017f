//! STORE.

use mail_rpc::pb::store_flags_request::How;
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::MailboxId;
use tonic::Status;

use super::{demand, mailbox_gone, number, publish, sync};
use crate::Inner;
use crate::db::StoreFlags;
use crate::keywords::{Unknown, flag_bits};

pub(super) async fn store_flags(
    inner: &Inner,
    request: pb::StoreFlagsRequest,
) -> Result<pb::StoreFlagsReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let mailbox = MailboxId::new(request.mailbox_id);
    let how = request.how();
    let unknown = if how == How::Remove { Unknown::LeaveOut } else { Unknown::Intern };
    let flags = request.flags.unwrap_or_default();
    let bits = flag_bits(inner, account, mailbox, &flags, unknown).await?.bits().cast_signed();
    let (keep, set) = match how {
        How::Add => (-1, bits),
        How::Remove => (!bits, 0),
        How::Replace => (0, bits),
        How::Unspecified => return Err(Refusal::Invalid("how to store is not said".into()).into()),
    };
    let stored = inner.db.store_flags(StoreFlags {
        account,
        mailbox,
        uids: set_from_pb(&request.uids),
        keep,
        set,
        unchanged_since: request.unchanged_since.map_or(i64::MAX, number),
    });
    let stored = stored.await?.ok_or_else(mailbox_gone)?;
    if stored.written.state.highest_modseq > stored.written.before {
        publish(inner, account, mailbox, stored.written.state.highest_modseq);
    }
    let modified = set_to_pb(&stored.modified);
    let sync = sync::after(inner, account, request.known_modseq, stored.written).await?;
    Ok(pb::StoreFlagsReply { modified, sync: Some(sync) })
}
