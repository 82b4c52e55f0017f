//! STATUS (RFC 9051 §6.3.11, RFC 7162, RFC 8438, RFC 8474, RFC 9208).

use std::sync::Arc;

use imap_wire::{StatusItem, StatusValue, Writer};
use mail_rpc::pb;
use mail_types::{FlagBits, MailboxName};

use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::Wanted;
use crate::others::{Target, Whose, object_id};
use crate::session::Session;
use crate::snapshot::Snapshot;

pub(crate) async fn status(session: &mut Session, name: &MailboxName, items: &[StatusItem]) -> CmdResult {
    if items.contains(&StatusItem::HighestModSeq) {
        // RFC 7162 §3.1: a CONDSTORE-enabling command.
        session.enabled.condstore = true;
    }
    let target = session.target(name).await?;
    write_status(session, name.as_str(), &target, items).await?;
    Done::plain()
}

/// Asks for a mailbox's state and tells it under the name that the client uses.
pub(super) async fn write_status(
    session: &mut Session,
    name: &str,
    target: &Target,
    items: &[StatusItem],
) -> Result<(), CmdError> {
    let owner = target.whose.to_pb();
    let request = pb::StatusRequest { owner, grant: session.grant()?, name: target.name.clone() };
    let state = match session.state_ahead(&request) {
        Some(state) => state?,
        None => session.gateway.backends.mailbox.status(request).await?,
    };
    let deleted_bytes = deleted_bytes(session, target.whose, &state, items).await?;
    let limit = session.gateway.settings.message_bytes_max;
    let line = StatusLine { name, owner, state: &state, items, deleted_bytes, append_limit: limit };
    line.write(&mut session.writer());
    Ok(())
}

/// One `* STATUS` line.
pub(crate) struct StatusLine<'a> {
    /// As the client calls it.
    pub(crate) name: &'a str,
    /// Whose it is; 0: the user's own.
    pub(crate) owner: u64,
    pub(crate) state: &'a pb::MailboxState,
    pub(crate) items: &'a [StatusItem],
    pub(crate) deleted_bytes: u64,
    pub(crate) append_limit: u64,
}

impl StatusLine<'_> {
    pub(crate) fn write(&self, writer: &mut Writer<'_>) {
        let id = object_id('M', self.owner, self.state.mailbox_id);
        let values: Vec<_> = self.items.iter().map(|item| (*item, self.value(*item, &id))).collect();
        writer.status(self.name, &values);
    }

    fn value<'b>(&self, item: StatusItem, id: &'b str) -> StatusValue<'b> {
        let state = self.state;
        StatusValue::Number(match item {
            StatusItem::Messages => state.exists.into(),
            StatusItem::Recent => state.recent.into(),
            StatusItem::UidNext => state.uid_next.into(),
            StatusItem::UidValidity => state.uid_validity.into(),
            StatusItem::Unseen => state.unseen.into(),
            StatusItem::Deleted => state.deleted.into(),
            StatusItem::Size => state.bytes,
            StatusItem::HighestModSeq => state.highest_modseq,
            StatusItem::DeletedStorage => self.deleted_bytes,
            StatusItem::AppendLimit => self.append_limit,
            StatusItem::MailboxId => return StatusValue::Id(id),
        })
    }
}

/// RFC 9208 §4.1.4: octets that expunging would free. Counted message by message; nobody asks often.
pub(crate) async fn deleted_bytes(
    session: &mut Session,
    whose: Whose,
    state: &pb::MailboxState,
    items: &[StatusItem],
) -> Result<u64, CmdError> {
    if state.deleted == 0 || !items.contains(&StatusItem::DeletedStorage) {
        return Ok(0);
    }
    let grant = session.grant()?;
    let request = pb::OpenRequest {
        owner: whose.to_pb(),
        grant: grant.clone(),
        name: state.name.clone(),
        access: pb::Access::ReadOnly.into(),
        known: None,
    };
    let reply = session.gateway.backends.mailbox.open(request).await?;
    let snapshot: Arc<Snapshot> = Snapshot::from_reply(None, &reply)?;
    let deleted: Vec<_> =
        snapshot.range(0..snapshot.len()).filter(|entry| entry.flags.contains(FlagBits::DELETED)).collect();
    let wanted = Wanted::default();
    let gateway = Arc::clone(&session.gateway);
    let place = crate::fetch::Place {
        account: whose.owner(),
        owner: whose.to_pb(),
        grant,
        mailbox: snapshot.meta().mailbox,
    };
    let mut bytes = 0;
    for page in deleted.chunks(crate::limits::FETCH_PAGE_MESSAGES) {
        let found = gateway.derived.load(&gateway.backends.mailbox, &place, page, wanted).await?;
        bytes += found.iter().flatten().map(|message| message.size).sum::<u64>();
    }
    Ok(bytes)
}
