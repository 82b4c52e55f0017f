//! EXPUNGE, UID EXPUNGE, CLOSE, and POP3's QUIT.

use mail_rpc::pb::expunge_request::Which;
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::{FlagBits, MailboxId};
use tonic::Status;

use super::{demand, mailbox_gone, publish, sync};
use crate::db::Expunge;
use crate::{Inner, now};

pub(super) async fn expunge(inner: &Inner, request: pb::ExpungeRequest) -> Result<pb::ExpungeReply, Status> {
    let account = demand(inner, &request.grant, Right::Own)?;
    let mailbox = MailboxId::new(request.mailbox_id);
    let having = match request.which() {
        Which::Deleted => FlagBits::DELETED,
        Which::All => FlagBits::NONE,
        Which::Unspecified => return Err(Refusal::Invalid("what to expunge is not said".into()).into()),
    };
    let uids = set_from_pb(&request.uids);
    let written = inner.db.expunge(Expunge { account, mailbox, uids, having, now: now() });
    let written = written.await?.ok_or_else(mailbox_gone)?;
    let modseq = written.state.highest_modseq;
    if modseq > written.before {
        publish(inner, account, mailbox, modseq);
    }
    let expunged = set_to_pb(&written.vanished);
    let sync = match request.known_modseq {
        0 => None,
        known => Some(sync::after(inner, account, known, written).await?),
    };
    Ok(pb::ExpungeReply { expunged, modseq: modseq.unsigned_abs(), sync })
}
