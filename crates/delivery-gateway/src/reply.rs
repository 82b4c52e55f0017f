//! Replies with their enhanced status codes (RFC 2034, RFC 3463), and how a command can end.

use std::io;

use line_server::ReadError;
use mail_rpc::Refusal;

use crate::command::SyntaxError;

/// One line, `code status text`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    code: u16,
    status: &'static str,
    text: &'static str,
}

/// What did not work.
#[derive(Debug)]
pub(crate) enum CmdError {
    /// The client's mistake in syntax or order; too many of them end the session.
    Bad(Reply),
    /// Understood and declined.
    Refused(Reply),
    /// Said, and then the connection is closed: the client and we no longer agree where the next command begins.
    Fatal(Reply),
    /// Nobody is there to read a reply.
    Broken(String),
}

pub(crate) type CmdResult = Result<Reply, CmdError>;

impl Reply {
    pub(crate) const fn new(code: u16, status: &'static str, text: &'static str) -> Self {
        Self { code, status, text }
    }

    /// The line, with its CRLF. RFC 2034 §4: no enhanced code in 3yz.
    pub(crate) fn line(&self) -> String {
        let Self { code, status, text } = self;
        if status.is_empty() { format!("{code} {text}\r\n") } else { format!("{code} {status} {text}\r\n") }
    }

    pub(crate) fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    pub(crate) fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }
}

/// A service is away, or gave an answer that makes no sense: the sender keeps the mail.
pub(crate) const TRY_AGAIN: Reply = Reply::new(451, "4.3.0", "mail system is busy, try again later");
pub(crate) const TOO_LARGE: Reply = Reply::new(552, "5.3.4", "message is too large");
pub(crate) const OVER_QUOTA: Reply = Reply::new(452, "4.2.2", "mailbox is full");
pub(crate) const BAD_ORDER: Reply = Reply::new(503, "5.5.1", "bad sequence of commands");
pub(crate) const TOO_MANY_ERRORS: Reply = Reply::new(421, "4.7.0", "too many errors, closing connection");
pub(crate) const STOPPING: Reply = Reply::new(421, "4.3.2", "service is stopping, try again");
pub(crate) const TIMED_OUT: Reply = Reply::new(421, "4.4.2", "timed out waiting for you, closing connection");
pub(crate) const LINE_TOO_LONG: Reply = Reply::new(500, "5.5.2", "line too long");
pub(crate) const BARE_LINE_END: Reply = Reply::new(500, "5.5.2", "lines end in CR LF");

impl From<SyntaxError> for CmdError {
    fn from(error: SyntaxError) -> Self {
        use crate::address::AddressError;
        let reply = match error {
            SyntaxError::Unknown => Reply::new(500, "5.5.1", "command not recognised"),
            SyntaxError::NotText => Reply::new(500, "5.5.2", "bare CR, NUL or broken UTF-8 in a command"),
            SyntaxError::Parameters => Reply::new(501, "5.5.4", "syntax error in parameters"),
            SyntaxError::Bdat => {
                return Self::Fatal(Reply::new(501, "5.5.4", "syntax error in BDAT, closing connection"));
            }
            SyntaxError::Address(AddressError::NoBrackets) => {
                Reply::new(501, "5.1.3", "the address must be in angle brackets")
            }
            SyntaxError::Address(AddressError::Syntax) => Reply::new(501, "5.1.3", "bad address syntax"),
            SyntaxError::Address(AddressError::LocalTooLong | AddressError::DomainTooLong) => {
                Reply::new(501, "5.1.3", "address too long")
            }
            SyntaxError::UnknownParameter => {
                Reply::new(555, "5.5.4", "parameter not recognised or not implemented")
            }
            SyntaxError::NeedsSmtpUtf8 => NEEDS_SMTPUTF8,
        };
        Self::Bad(reply)
    }
}

/// RFC 6531 §3.5.
pub(crate) const NEEDS_SMTPUTF8: Reply = Reply::new(553, "5.6.7", "this address needs SMTPUTF8");

impl From<io::Error> for CmdError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<ReadError> for CmdError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TimedOut => Self::Fatal(TIMED_OUT),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// A refusal of storage or auth that has no reply of its own. The cause goes to the log.
pub(crate) fn try_again(refusal: &Refusal, call: &'static str) -> Reply {
    service_runtime::metrics().error("delivery", "rpc");
    match refusal {
        Refusal::Unavailable(_) | Refusal::Exhausted(_) => {
            tracing::info!(call, error = %refusal, "A service is away")
        }
        _ => tracing::error!(call, error = %refusal, "A service gave an answer that makes no sense here"),
    }
    TRY_AGAIN
}
