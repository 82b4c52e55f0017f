//! The one place that decides whether a request may touch the mailbox it names. Every rpc that names a mailbox begins here.

use mail_rpc::{Refusal, Right};
use mail_types::{AccountId, Rights};
use tonic::Status;

use super::{demand, mailbox_gone, no_mailbox};
use crate::Inner;
use crate::db::Which;
use crate::sharing::Reader;

/// Whose mail a request is about, and what its sender may do with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    /// The owner: the account in every key.
    pub(super) account: AccountId,
    /// `None`: the owner itself. What a writer needs is asked again in its transaction.
    pub(super) reader: Option<Reader>,
    pub(super) rights: Rights,
}

/// The account and, if the owner is another, the reader. Nothing is allowed by this alone.
///
/// # Errors
/// For a grant that does not hold.
pub(super) fn who(
    inner: &Inner,
    grant: &[u8],
    owner: u64,
    right: Right,
) -> Result<(AccountId, Option<AccountId>), Status> {
    if owner == 0 {
        return Ok((demand(inner, grant, right)?, None));
    }
    // Others' mail is for people, not for the delivery gateway.
    let account = demand(inner, grant, Right::Own)?;
    let owner = AccountId::new(owner);
    Ok((owner, (owner != account).then_some(account)))
}

/// Checks that the sender of a request may do what `needs` says with a mailbox.
///
/// # Errors
/// NOT_FOUND, as if there were no such mailbox, for a reader who may not know of it; PERMISSION_DENIED for one who may; and those
/// of the grant.
pub(super) async fn access(
    inner: &Inner,
    (grant, owner, right): (&[u8], u64, Right),
    which: Which<'_>,
    needs: Rights,
) -> Result<Access, Status> {
    let (account, reader) = who(inner, grant, owner, right)?;
    let Some(reader) = reader else {
        return Ok(Access { account, reader: None, rights: Rights::ALL });
    };
    let found = inner.db.shared_access(account, which, reader).await?;
    let rights = found.map_or(Rights::NONE, |(_, rights)| rights);
    if !rights.contains(needs) || !rights.has_any(Rights::KNOWING) {
        return Err(refusal(which, rights));
    }
    Ok(Access { account, reader: Some(Reader { account: reader, needs }), rights })
}

/// What a reader hears who lacks a right.
pub(super) fn refusal(which: Which<'_>, rights: Rights) -> Status {
    match which {
        // An open mailbox that cannot be read any more is gone.
        Which::Id(_) if !rights.contains(Rights::READ) => mailbox_gone(),
        Which::Name(name) if !rights.has_any(Rights::KNOWING) => no_mailbox(name),
        _ => forbidden(),
    }
}

pub(super) fn forbidden() -> Status {
    Refusal::Forbidden("you lack the right to do this".into()).into()
}
