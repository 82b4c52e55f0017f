//! Why a command failed, sorted by whose fault it is, and translated once.

use std::borrow::Cow;
use std::io;

use bytes::Bytes;
use imap_wire::{Code, MetadataCode};
use line_server::ReadError;
use mail_rpc::Refusal;
use mail_types::{ModSeq, UidSet, UidValidity};
use service_runtime::metrics;

use crate::view::{LateUid, NoSuchMessage};

/// A command's failure.
#[derive(Debug)]
pub(crate) enum CmdError {
    /// BAD: the client sent something that makes no sense (here).
    Bad(Code<'static>, Cow<'static, str>),
    /// NO: understood and declined.
    No(Code<'static>, Cow<'static, str>),
    /// NO \[BADURL\] (RFC 4469 §4.1): nothing that we could use is there.
    BadUrl(Bytes),
    /// BYE: the session cannot go on.
    Bye(Code<'static>, Cow<'static, str>),
    /// The connection is of no use any more.
    Disconnected(ReadError),
}

/// A command's success: the reply is still to be written, unless `written`.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) code: DoneCode,
    /// Instead of "<COMMAND> completed".
    pub(crate) text: Option<&'static str>,
    /// The command has written its tagged reply.
    pub(crate) written: bool,
}

/// The response code of a success.
#[derive(Debug, Default)]
pub(crate) enum DoneCode {
    #[default]
    None,
    ReadOnly,
    ReadWrite,
    Capability(Vec<String>),
    HighestModSeq(ModSeq),
    MailboxId(String),
    /// The mechanism of authorized URLs (RFC 4467 §8).
    UrlMech,
    /// Octets of the longest annotation that was left out (RFC 5464 §4.2.1).
    LongEntries(u64),
    Modified(UidSet),
    /// UIDVALIDITY of the destination, and the new UIDs.
    AppendUid(UidValidity, UidSet),
    /// UIDVALIDITY of the destination, UIDs in the source, and in the same order the new ones.
    CopyUid(UidValidity, UidSet, UidSet),
}

pub(crate) type CmdResult = Result<Done, CmdError>;

impl Done {
    /// Nothing special.
    pub(crate) fn plain() -> CmdResult {
        Ok(Self::default())
    }
    pub(crate) fn with_code(code: DoneCode) -> CmdResult {
        Ok(Self { code, ..Self::default() })
    }
    pub(crate) fn already_written() -> CmdResult {
        Ok(Self { written: true, ..Self::default() })
    }
}

impl DoneCode {
    /// Hands over the code as it is written.
    pub(crate) fn with<R>(&self, write: impl FnOnce(Code<'_>) -> R) -> R {
        match self {
            Self::None => write(Code::None),
            Self::ReadOnly => write(Code::ReadOnly),
            Self::ReadWrite => write(Code::ReadWrite),
            Self::Capability(names) => {
                write(Code::Capability(&names.iter().map(String::as_str).collect::<Vec<_>>()))
            }
            Self::HighestModSeq(modseq) => write(Code::HighestModSeq(*modseq)),
            Self::UrlMech => write(Code::UrlMechInternal),
            Self::LongEntries(size) => write(Code::Metadata(MetadataCode::LongEntries(*size))),
            Self::MailboxId(id) => write(Code::MailboxId(id)),
            Self::Modified(set) => write(Code::Modified(set)),
            Self::AppendUid(validity, uids) => write(Code::AppendUid(*validity, uids)),
            Self::CopyUid(validity, source, destination) => {
                write(Code::CopyUid(*validity, source, destination))
            }
        }
    }
}

impl CmdError {
    pub(crate) fn bad(text: &'static str) -> Self {
        Self::Bad(Code::None, Cow::Borrowed(text))
    }
    /// BAD, for a reason that clients know.
    pub(crate) fn bad_code(code: Code<'static>, text: &'static str) -> Self {
        Self::Bad(code, Cow::Borrowed(text))
    }
    pub(crate) fn no(code: Code<'static>, text: impl Into<Cow<'static, str>>) -> Self {
        Self::No(code, text.into())
    }
    /// Our own fault: logged whole, shown as little.
    pub(crate) fn internal(why: &str) -> Self {
        metrics().error("imap", "internal");
        tracing::error!(error = why, "A command failed through a fault of the server");
        Self::no(Code::ServerBug, "Internal error, it has been logged")
    }
    /// What happened to a message range whose messages went away meanwhile (RFC 2180 §4.1.2, RFC 5530 §3).
    pub(crate) fn expunge_issued() -> Self {
        Self::no(Code::ExpungeIssued, "Some of the messages no longer exist")
    }
    /// A refusal of something about the selected mailbox: when that is gone, so is the session's ground.
    pub(crate) fn of_selected(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(_) => Self::Bye(Code::None, "The selected mailbox was deleted".into()),
            other => other.into(),
        }
    }
    /// A refusal of something about a mailbox that messages are to go into.
    pub(crate) fn of_destination(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(_) => Self::no(Code::TryCreate, "No such mailbox"),
            other => other.into(),
        }
    }
}

impl From<Refusal> for CmdError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(_) => Self::no(Code::NonExistent, "No such mailbox"),
            Refusal::AlreadyExists(text) => Self::no(Code::AlreadyExists, text),
            Refusal::Invalid(text) | Refusal::Declined(text) => Self::no(Code::Cannot, text),
            Refusal::Exhausted(text) => Self::no(Code::OverQuota, text),
            Refusal::Limit(text) => Self::no(Code::Limit, text),
            Refusal::Forbidden(text) => Self::no(Code::NoPerm, text),
            Refusal::Unavailable(error) => {
                metrics().error("imap", "unavailable");
                tracing::warn!(%error, "A service is away");
                Self::no(Code::Unavailable, "Temporarily not available, please try again")
            }
            // A grant that ran out between its check and its use.
            Refusal::Unauthenticated(error) => {
                tracing::warn!(%error, "Storage did not accept a grant");
                Self::no(Code::Unavailable, "Please try again")
            }
            Refusal::Internal(error) => Self::internal(&error),
        }
    }
}

impl From<tonic::Status> for CmdError {
    fn from(status: tonic::Status) -> Self {
        Refusal::from(status).into()
    }
}

impl From<ReadError> for CmdError {
    fn from(error: ReadError) -> Self {
        Self::Disconnected(error)
    }
}

impl From<io::Error> for CmdError {
    fn from(error: io::Error) -> Self {
        Self::Disconnected(error.into())
    }
}

impl From<NoSuchMessage> for CmdError {
    fn from(_: NoSuchMessage) -> Self {
        Self::bad("No such message")
    }
}

impl From<LateUid> for CmdError {
    fn from(error: LateUid) -> Self {
        metrics().error("imap", "late_uid");
        tracing::error!(%error, "Storage broke the order of UIDs");
        Self::Bye(Code::ServerBug, "The mailbox must be opened again".into())
    }
}
