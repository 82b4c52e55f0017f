//! What a command comes to, sorted by whose fault it is. Turned into a line in one place.

use std::io;

use mail_rpc::Refusal;

use crate::command::SyntaxError;
use crate::maildrop::NoMessage;

/// A success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// `+OK text`
    Ok(String),
    /// The command has queued its whole reply.
    Sent,
}

/// A failure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CmdError {
    /// The client sent nonsense.
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// Understood and declined; the session goes on.
    #[error("{text}")]
    Refused { code: Code, text: String },
    /// The reply broke off in the middle, or nobody is there to read it. Only closing tells the client (RFC 1939 knows no
    /// other sign within a multi-line reply).
    #[error("broken off: {0}")]
    Broken(String),
}

/// Response codes of RFC 2449 §8 and RFC 3206.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    None,
    /// The credentials are at fault.
    Auth,
    /// Ours, and likely to pass.
    SysTemp,
    /// Ours, and a person must look at it.
    SysPerm,
}

pub(crate) type CmdResult = Result<Reply, CmdError>;

impl Reply {
    pub(crate) fn ok(text: impl Into<String>) -> CmdResult {
        Ok(Self::Ok(text.into()))
    }
}

impl CmdError {
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::Refused { code: Code::None, text: text.into() }
    }

    pub(crate) fn with_code(code: Code, text: impl Into<String>) -> Self {
        Self::Refused { code, text: text.into() }
    }

    /// The line, with its CRLF.
    pub(crate) fn line(&self) -> String {
        let code = match self {
            Self::Refused { code: Code::Auth, .. } => "[AUTH] ",
            Self::Refused { code: Code::SysTemp, .. } => "[SYS/TEMP] ",
            Self::Refused { code: Code::SysPerm, .. } => "[SYS/PERM] ",
            _ => "",
        };
        format!("-ERR {code}{self}\r\n")
    }
}

impl From<NoMessage> for CmdError {
    fn from(error: NoMessage) -> Self {
        Self::refused(error.to_string())
    }
}

impl From<io::Error> for CmdError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Storage's or auth's refusal of anything but a login.
impl From<Refusal> for CmdError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unavailable(_) | Refusal::Exhausted(_) | Refusal::Limit(_) => {
                Self::with_code(Code::SysTemp, "the mailbox store is away, try again later")
            }
            Refusal::Unauthenticated(_) | Refusal::Forbidden(_) => {
                Self::with_code(Code::Auth, "the account is not open to this session any more")
            }
            Refusal::NotFound(_) => Self::with_code(Code::SysPerm, "the maildrop is gone"),
            Refusal::AlreadyExists(text)
            | Refusal::Invalid(text)
            | Refusal::Declined(text)
            | Refusal::Internal(text) => {
                service_runtime::metrics().error("pop3", "rpc");
                tracing::error!(error = text, "A service gave an answer that makes no sense here");
                Self::with_code(Code::SysTemp, "internal error, try again later")
            }
        }
    }
}

impl From<tonic::Status> for CmdError {
    fn from(status: tonic::Status) -> Self {
        Refusal::from(status).into()
    }
}
