//! GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208): one quota root for all of the account, named by the empty string.

use imap_wire::Code;
use mail_rpc::pb;
use mail_types::MailboxName;

use crate::error::{CmdError, CmdResult, Done};
use crate::session::Session;

/// RFC 9208 §5: STORAGE counts in units of 1024 octets.
const STORAGE_UNIT: u64 = 1024;

/// RFC 9208 §4.1.2
pub(crate) async fn get_quota(session: &mut Session, root: &str) -> CmdResult {
    if !root.is_empty() {
        return Err(CmdError::no(Code::NonExistent, "No such quota root"));
    }
    write_quota(session).await?;
    Done::plain()
}

/// RFC 9208 §4.1.3
pub(crate) async fn get_quota_root(session: &mut Session, name: &MailboxName) -> CmdResult {
    // The mailbox need not exist: this is what one of that name would have.
    if session.target(name).await?.whose.is_shared() {
        // It is charged to its owner, whose usage is nobody else's business.
        session.writer().quota_root(name.as_str(), &[]);
        return Done::plain();
    }
    session.writer().quota_root(name.as_str(), &[""]);
    write_quota(session).await?;
    Done::plain()
}

/// RFC 9208 §4.1.1: the operator's business.
pub(crate) fn set_quota() -> CmdResult {
    Err(CmdError::no(Code::NoPerm, "Quotas are set by the operator"))
}

async fn write_quota(session: &mut Session) -> Result<(), CmdError> {
    let request = pb::GetQuotaRequest { grant: session.grant()? };
    let quota = session.gateway.backends.mailbox.get_quota(request).await?;
    let mut resources = Vec::new();
    if quota.limit_bytes > 0 {
        resources.push((
            "STORAGE",
            quota.used_bytes.div_ceil(STORAGE_UNIT),
            quota.limit_bytes / STORAGE_UNIT,
        ));
    }
    if quota.limit_messages > 0 {
        resources.push(("MESSAGE", quota.used_messages, quota.limit_messages));
    }
    if quota.limit_mailboxes > 0 {
        resources.push(("MAILBOX", quota.used_mailboxes, quota.limit_mailboxes));
    }
    session.writer().quota("", &resources);
    Ok(())
}
