//! EXPUNGE, UID EXPUNGE, CLOSE, and POP3's QUIT.

use mail_rpc::pb::expunge_request::Which;
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::{FlagBits, MailboxId, Rights};
use tonic::Status;

use super::access::access;
use super::{mailbox_gone, publish, sync};
use crate::db::{self, Expunge};
use crate::{Inner, now};

pub(super) async fn expunge(inner: &Inner, request: pb::ExpungeRequest) -> Result<pb::ExpungeReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let needs = Rights::READ.with(Rights::EXPUNGE);
    let asked = access(inner, grant, db::Which::Id(mailbox), needs).await?;
    let account = asked.account;
    let having = match request.which() {
        Which::Deleted => FlagBits::DELETED,
        Which::All => FlagBits::NONE,
        Which::Unspecified => return Err(Refusal::Invalid("what to expunge is not said".into()).into()),
    };
    let uids = set_from_pb(&request.uids);
    let work = Expunge { account, mailbox, uids, having, now: now() };
    let written = match asked.reader {
        None => inner.db.expunge(work).await?,
        Some(reader) => inner.db.shared_expunge(work, reader).await?,
    };
    let written = written.ok_or_else(mailbox_gone)?;
    let modseq = written.state.highest_modseq;
    if modseq > written.before {
        publish(inner, account, mailbox, modseq);
    }
    let expunged = set_to_pb(&written.vanished);
    let sync = match request.known_modseq {
        0 => None,
        known if asked.reader.is_some() => Some(sync::after_for(inner, &asked, mailbox, known).await?),
        known => Some(sync::after(inner, account, known, written).await?),
    };
    Ok(pb::ExpungeReply { expunged, modseq: modseq.unsigned_abs(), sync })
}
