//! Mail on its way in: LMTP (RFC 2033) from an MTA, SMTP (RFC 5321) from other sites. One session engine for both.
//!
//! **Invariants:** a positive reply after the data follows the commit of what it speaks of; a message that did not arrive whole
//! leaves nothing behind; message data ends at CR LF `.` CR LF and nowhere else, and no bare CR or LF gets through; a message
//! is never held whole in memory.

mod address;
mod cmd;
mod command;
mod confirm;
mod hops;
mod incoming;
mod line_ends;
mod outcome;
mod reply;
mod server;
mod session;
mod trace;

pub use server::{Backends, Listeners, Protocol, Settings, serve};

/// For fuzzing: a line through the parser of LMTP and SMTP commands. Tells what was made of it.
#[doc(hidden)]
pub fn fuzz(line: &[u8]) -> String {
    format!("{:?}", command::parse(line))
}
