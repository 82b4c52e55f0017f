//! Mailboxes of other users: how they are named, and whose they are (RFC 2342 §3, RFC 4314).
//!
//! `Other users/bob@example.org/Projects` is Bob's mailbox `Projects`. What nobody can own is looked for in the mail of
//! [`NOBODY`], so that storage answers for all that is not there in the same words and after the same work.

use imap_wire::Code;
use mail_rpc::pb::resolve_reply::Outcome;
use mail_rpc::{Refusal, pb};
use mail_types::{AccountId, HIERARCHY_SEPARATOR, MailboxName};

use crate::error::CmdError;
use crate::session::Session;

/// What the names of others' mailboxes begin with.
pub(crate) const OTHER_USERS: &str = "Other users/";
/// No account has this id.
const NOBODY: AccountId = AccountId::new(i64::MAX as u64);

/// Who looks at whose mail. Everything that is kept about mailboxes is kept by this: each reader of a mailbox has its own \Seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Whose {
    reader: AccountId,
    owner: AccountId,
}

impl Whose {
    pub(crate) fn own(account: AccountId) -> Self {
        Self { reader: account, owner: account }
    }
    pub(crate) fn of(reader: AccountId, owner: AccountId) -> Self {
        Self { reader, owner }
    }
    pub(crate) fn owner(self) -> AccountId {
        self.owner
    }
    pub(crate) fn is_shared(self) -> bool {
        self.owner != self.reader
    }
    /// As requests name it: 0 for the user's own mail.
    pub(crate) fn to_pb(self) -> u64 {
        if self.is_shared() { self.owner.get() } else { 0 }
    }
}

/// A mailbox as its owner calls it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) whose: Whose,
    /// The owner's address; empty for the user's own mail.
    pub(crate) owner_address: String,
    pub(crate) name: String,
}

/// RFC 8474 §4: ids of mailboxes, messages and threads, which are numbered by account.
pub(crate) fn object_id(kind: char, owner: u64, number: u64) -> String {
    if owner == 0 { format!("{kind}{number}") } else { format!("{kind}{owner}-{number}") }
}

/// The number of an id, if it is one of that owner's.
pub(crate) fn object_number(id: &str, kind: char, owner: u64) -> Option<u64> {
    let rest = id.strip_prefix(kind)?;
    let rest = if owner == 0 { rest } else { rest.strip_prefix(&format!("{owner}-"))? };
    rest.parse().ok()
}

/// The name under which others see a mailbox. `None`: the owner's address cannot be part of a name.
pub(crate) fn shared_name(owner_address: &str, name: &str) -> Option<String> {
    let full = format!("{OTHER_USERS}{owner_address}/{name}");
    (!owner_address.contains(HIERARCHY_SEPARATOR) && MailboxName::try_from(full.as_str()).is_ok())
        .then_some(full)
}

impl Session {
    /// Which mailbox a name means.
    ///
    /// # Errors
    /// When auth cannot say who the owner is. That there is no such owner is found out by asking for the mailbox.
    pub(crate) async fn target(&self, name: &MailboxName) -> Result<Target, CmdError> {
        let account = self.user()?.account;
        let text = name.as_str();
        let whose = Whose::own(account);
        let Some(rest) = text.strip_prefix(OTHER_USERS) else {
            let whose = if text == OTHER_USERS.trim_end_matches(HIERARCHY_SEPARATOR) {
                Whose { owner: NOBODY, ..whose }
            } else {
                whose
            };
            return Ok(Target { whose, owner_address: String::new(), name: text.to_owned() });
        };
        let (address, name) = rest.split_once(HIERARCHY_SEPARATOR).unwrap_or((rest, rest));
        let found = self.resolve(address).await?;
        let is_other = |reply: &pb::ResolveReply| {
            reply.account_id != account.get() && reply.account_address.eq_ignore_ascii_case(address)
        };
        let (owner, owner_address) = match found.filter(is_other) {
            Some(reply) if name.len() < rest.len() => {
                (AccountId::new(reply.account_id), reply.account_address)
            }
            _ => (NOBODY, address.to_owned()),
        };
        // INBOX is INBOX in any letters, here too (RFC 9051 §5.1).
        let name =
            MailboxName::try_from(name).map_or_else(|_| name.to_owned(), |name| name.as_str().to_owned());
        Ok(Target { whose: Whose { owner, ..whose }, owner_address, name })
    }

    /// Who logs in by this name; `None`: nobody.
    pub(crate) async fn resolve(&self, address: &str) -> Result<Option<pb::ResolveReply>, CmdError> {
        let request = pb::ResolveRequest { address: address.to_owned(), exact: true };
        match self.gateway.backends.auth.resolve(request).await.map_err(Refusal::from) {
            Ok(reply) if reply.outcome() == Outcome::Account => Ok(Some(reply)),
            Ok(_) | Err(Refusal::Invalid(_)) => Ok(None),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// RFC 9051 §6.3.6 knows no renaming from one user's mail into another's.
pub(crate) fn other_account() -> CmdError {
    CmdError::no(Code::Cannot, "A mailbox cannot be renamed from one account to another")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_others_are_others() {
        assert_eq!(object_id('M', 0, 5), "M5");
        assert_eq!(object_id('M', 7, 5), "M7-5");
        assert_eq!(object_number("E7-5", 'E', 7), Some(5));
        assert_eq!(object_number("E5", 'E', 7), None);
        assert_eq!(object_number("E7-5", 'E', 0), None);
        assert_eq!(object_number("E5", 'E', 0), Some(5));
    }

    #[test]
    fn names_that_cannot_be_are_not_made() {
        assert_eq!(shared_name("bob@example.org", "a/b").as_deref(), Some("Other users/bob@example.org/a/b"));
        assert_eq!(shared_name("a/b@example.org", "x"), None);
        assert_eq!(shared_name("a%b@example.org", "x"), None);
    }
}
