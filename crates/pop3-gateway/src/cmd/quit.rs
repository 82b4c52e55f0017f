//! QUIT after a login: the UPDATE state, RFC 1939 §6.

use mail_rpc::pb;

use crate::reply::{CmdError, CmdResult, Code, Reply};
use crate::session::{Session, Transaction};

/// Deletes what is marked, in one transaction. `+OK` comes after its commit.
pub(crate) async fn quit(session: &mut Session, transaction: &mut Transaction) -> CmdResult {
    let uids = transaction.maildrop.marked();
    if uids.is_empty() {
        return Reply::ok("bye");
    }
    let request = pb::ExpungeRequest {
        owner: 0,
        grant: transaction.grant(&session.gateway.backends).await.map_err(not_removed)?,
        mailbox_id: transaction.maildrop.mailbox_id(),
        uids,
        which: pb::expunge_request::Which::All.into(),
        known_modseq: 0,
    };
    match session.gateway.backends.mailbox.expunge(request).await {
        Ok(_) => Reply::ok("bye, marked messages are deleted"),
        Err(status) => Err(not_removed(status.into())),
    }
}

fn not_removed(error: CmdError) -> CmdError {
    let code = match error {
        CmdError::Refused { code, .. } => code,
        _ => Code::SysTemp,
    };
    CmdError::with_code(code, "deleted messages not removed")
}
