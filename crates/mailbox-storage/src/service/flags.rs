//! STORE.

use mail_rpc::pb::store_flags_request::How;
use mail_rpc::{Refusal, Right, pb, set_from_pb, set_to_pb};
use mail_types::{FlagBits, MailboxId, Rights};
use tonic::Status;

use super::access::{Access, access, forbidden};
use super::{mailbox_gone, number, publish, sync};
use crate::Inner;
use crate::db::{self, StoreFlags};
use crate::keywords::{Unknown, flag_bits, system_bits};
use crate::sharing::Reader;

pub(super) async fn store_flags(
    inner: &Inner,
    request: pb::StoreFlagsRequest,
) -> Result<pb::StoreFlagsReply, Status> {
    let mailbox = MailboxId::new(request.mailbox_id);
    let grant = (&*request.grant, request.owner, Right::Own);
    let asked = access(inner, grant, db::Which::Id(mailbox), Rights::READ).await?;
    if let Some(reader) = asked.reader {
        return store_shared(inner, &asked, reader, request).await;
    }
    let account = asked.account;
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

/// RFC 4314 §4: each flag has its right, and what the reader may not change stays as it is. \Seen is the reader's own.
async fn store_shared(
    inner: &Inner,
    asked: &Access,
    reader: Reader,
    request: pb::StoreFlagsRequest,
) -> Result<pb::StoreFlagsReply, Status> {
    let (owner, mailbox) = (asked.account, MailboxId::new(request.mailbox_id));
    let how = request.how();
    let mut flags = request.flags.unwrap_or_default();
    let allowed = asked.rights.flags();
    let named = system_bits(&flags);
    let keywords_named = !flags.keywords.is_empty();
    let may_change_some = match how {
        How::Replace => allowed != FlagBits::NONE,
        _ if keywords_named && asked.rights.contains(Rights::WRITE) => true,
        _ => named.bits() & allowed.bits() != 0 || (named == FlagBits::NONE && !keywords_named),
    };
    if !may_change_some {
        return Err(forbidden());
    }
    if !asked.rights.contains(Rights::WRITE) {
        flags.keywords.clear();
    }
    let unknown = if how == How::Remove { Unknown::LeaveOut } else { Unknown::Intern };
    let bits = flag_bits(inner, owner, mailbox, &flags, unknown).await?;
    let shared = allowed.without(FlagBits::SEEN).bits().cast_signed();
    let bits_now = bits.bits().cast_signed() & shared;
    let (keep, set) = match how {
        How::Add => (-1, bits_now),
        How::Remove => (!bits_now, 0),
        How::Replace => (!shared, bits_now),
        How::Unspecified => return Err(Refusal::Invalid("how to store is not said".into()).into()),
    };
    let seen = match how {
        _ if !asked.rights.contains(Rights::SEEN) => None,
        How::Replace => Some(named.contains(FlagBits::SEEN)),
        _ if named.contains(FlagBits::SEEN) => Some(how == How::Add),
        _ => None,
    };
    let change = StoreFlags {
        account: owner,
        mailbox,
        uids: set_from_pb(&request.uids),
        keep,
        set,
        unchanged_since: request.unchanged_since.map_or(i64::MAX, number),
    };
    // What was allowed when this began must be allowed still when it is done.
    let needs = asked.rights.without(Rights::ALL.without(Rights::READ.with(FLAG_RIGHTS)));
    let reader = Reader { needs, ..reader };
    let stored = inner.db.shared_store(change, reader, seen).await?.ok_or_else(mailbox_gone)?;
    if stored.modseq > stored.before {
        publish(inner, owner, mailbox, stored.modseq);
    }
    let sync = sync::after_for(inner, asked, mailbox, request.known_modseq).await?;
    Ok(pb::StoreFlagsReply { modified: set_to_pb(&stored.modified), sync: Some(sync) })
}

/// The rights that flags need.
const FLAG_RIGHTS: Rights = Rights::SEEN.with(Rights::WRITE).with(Rights::DELETE_MESSAGES);
