//! STAT, LIST, UIDL, DELE and RSET: all of them on the snapshot alone. RFC 1939 §5 and §7.

use std::fmt::Write as _;

use crate::maildrop::{Maildrop, Message};
use crate::reply::{CmdError, CmdResult, Reply};
use crate::session::{Session, Transaction};

/// Octets of a listing that are made before they are sent: a maildrop of millions needs no more memory than this.
const BLOCK_BYTES: usize = 32 * 1024;

pub(crate) fn stat(transaction: &Transaction) -> CmdResult {
    let (messages, octets) = transaction.maildrop.totals();
    Reply::ok(format!("{messages} {octets}"))
}

pub(crate) async fn list(session: &mut Session, transaction: &Transaction, number: Option<u64>) -> CmdResult {
    let scan = |_: &Maildrop, message: Message| message.size.to_string();
    match number {
        Some(number) => one(&transaction.maildrop, number, scan),
        None => all(session, &transaction.maildrop, scan).await,
    }
}

pub(crate) async fn uidl(session: &mut Session, transaction: &Transaction, number: Option<u64>) -> CmdResult {
    match number {
        Some(number) => one(&transaction.maildrop, number, Maildrop::unique_id),
        None => all(session, &transaction.maildrop, Maildrop::unique_id).await,
    }
}

pub(crate) fn dele(transaction: &mut Transaction, number: u64) -> CmdResult {
    transaction.maildrop.mark(number)?;
    Reply::ok(format!("message {number} will be deleted at QUIT"))
}

pub(crate) fn rset(transaction: &mut Transaction) -> CmdResult {
    transaction.maildrop.unmark_all();
    let (messages, octets) = transaction.maildrop.totals();
    Reply::ok(format!("maildrop has {messages} messages ({octets} octets)"))
}

fn one(maildrop: &Maildrop, number: u64, show: impl Fn(&Maildrop, Message) -> String) -> CmdResult {
    let message = maildrop.message(number)?;
    Reply::ok(format!("{number} {}", show(maildrop, message)))
}

async fn all(
    session: &mut Session,
    maildrop: &Maildrop,
    show: impl Fn(&Maildrop, Message) -> String,
) -> CmdResult {
    let (messages, octets) = maildrop.totals();
    let mut block = format!("+OK {messages} messages ({octets} octets)\r\n");
    for (number, message) in maildrop.listing() {
        write!(block, "{number} {}\r\n", show(maildrop, message))
            .map_err(|_| CmdError::refused("internal error"))?;
        if block.len() >= BLOCK_BYTES {
            session.connection.write(std::mem::take(&mut block)).await?;
        }
    }
    block.push_str(".\r\n");
    session.connection.write(block).await?;
    Ok(Reply::Sent)
}
