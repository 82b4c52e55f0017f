//! POP3 (RFC 1939) in front of the mailbox store: a maildrop is INBOX as it was at login.
//!
//! **Invariants:** a session is a snapshot without a lock, so other sessions and IMAP go on beside it; message numbers never
//! shift; nothing is deleted but by QUIT, in one transaction, and `+OK` comes after its commit.
//!
//! Sizes: STAT and LIST tell the octets stored. Lines on the wire end in CRLF (RFC 1939 §3), so those are the octets sent,
//! byte-stuffing aside, for every message made of CRLF lines: all that came by LMTP or SMTP. A bare LF, which only IMAP's
//! APPEND and the importer let in, is sent as CRLF and is one octet more than LIST told; so is a missing end of the last line.

mod cmd;
mod command;
mod maildrop;
mod read_ahead;
mod reply;
mod server;
mod session;
mod wire;

pub use server::{Backends, INACTIVITY_MIN, Listeners, Settings, serve};

/// For fuzzing: a line through the parser of POP3 commands. Tells what was made of it.
#[doc(hidden)]
pub fn fuzz(line: &[u8]) -> String {
    format!("{:?}", command::parse(line))
}
