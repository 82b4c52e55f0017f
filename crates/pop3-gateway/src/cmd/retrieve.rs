//! RETR (RFC 1939 §5) and TOP (§7).

use bytes::Bytes;
use line_server::Connection;
use mail_rpc::{ContentStream, Refusal, pb};

use crate::maildrop::Message;
use crate::read_ahead::next_chunk;
use crate::reply::{CmdError, CmdResult, Reply};
use crate::session::{Session, Transaction};
use crate::wire::{Stuffer, TopCutter};

/// Octets that TOP asks for at first, beside those of the body's lines: most headers are smaller.
const HEADER_BYTES_GUESS: u64 = 16 * 1024;
/// A guess of a line's octets, to ask for enough lines at first.
const LINE_BYTES_GUESS: u64 = 80;
/// Most octets of TOP's first question; the rest is asked for when it turns out to be wanted.
const FIRST_BYTES_MAX: u64 = 256 * 1024;

pub(crate) async fn retr(session: &mut Session, transaction: &mut Transaction, number: u64) -> CmdResult {
    let message = transaction.maildrop.message(number)?;
    let pipelines = session.connection.has_buffered();
    let (mut source, mut chunk) =
        transaction.content_of(&session.gateway.backends, number, pipelines).await?;
    if chunk.gone {
        return Err(gone());
    }
    session.connection.queue(format!("+OK {} octets\r\n", message.size).as_bytes());
    let mut stuffer = Stuffer::new();
    let mut pieces = Vec::new();
    loop {
        stuffer.push(&chunk.data, |piece| pieces.push(piece));
        send(&mut session.connection, &mut pieces).await?;
        if chunk.last {
            break;
        }
        chunk = source.next().await.map_err(broken)?;
        if chunk.gone {
            return Err(CmdError::Broken("the message vanished while it was sent".to_owned()));
        }
    }
    stuffer.finish(|piece| pieces.push(piece));
    send(&mut session.connection, &mut pieces).await?;
    Ok(Reply::Sent)
}

pub(crate) async fn top(
    session: &mut Session,
    transaction: &mut Transaction,
    number: u64,
    lines: u64,
) -> CmdResult {
    let message = transaction.maildrop.message(number)?;
    let first =
        HEADER_BYTES_GUESS.saturating_add(lines.saturating_mul(LINE_BYTES_GUESS)).min(FIRST_BYTES_MAX);
    let mut source = TopSource {
        grant: transaction.grant(&session.gateway.backends).await?,
        mailbox_id: transaction.maildrop.mailbox_id(),
        message,
        first_length: first,
        read: 0,
        stream: None,
    };
    let mut cutter = TopCutter::new(lines);
    let mut stuffer = Stuffer::new();
    let mut pieces = Vec::new();
    let mut data = source.next(session).await?;
    session.connection.queue(b"+OK top of message follows\r\n");
    while let Some(mut chunk) = data {
        chunk.truncate(cutter.push(&chunk));
        stuffer.push(&chunk, |piece| pieces.push(piece));
        send(&mut session.connection, &mut pieces).await?;
        if cutter.is_done() {
            break;
        }
        data = source.next(session).await.map_err(broken)?;
    }
    stuffer.finish(|piece| pieces.push(piece));
    send(&mut session.connection, &mut pieces).await?;
    Ok(Reply::Sent)
}

/// A message from its start, asked for in a small range first and then, if that does not do, in one that is left when enough
/// was read.
struct TopSource {
    grant: Bytes,
    mailbox_id: u64,
    message: Message,
    first_length: u64,
    read: u64,
    stream: Option<ContentStream>,
}

impl TopSource {
    /// `None` at the end of the message.
    async fn next(&mut self, session: &Session) -> Result<Option<Bytes>, CmdError> {
        while self.read < self.message.size {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => session.gateway.backends.mailbox.content(self.request()).await?,
            };
            let chunk = next_chunk(&mut stream).await?;
            if chunk.gone {
                return Err(gone());
            }
            self.read += chunk.data.len() as u64;
            if !chunk.last {
                self.stream = Some(stream);
            } else if chunk.data.is_empty() {
                return Err(Refusal::Internal("a message is shorter than its size".to_owned()).into());
            }
            if !chunk.data.is_empty() {
                return Ok(Some(chunk.data));
            }
        }
        Ok(None)
    }

    fn request(&self) -> pb::ContentRequest {
        let length = if self.read == 0 { self.first_length } else { 0 };
        let range = pb::ContentRange { uid: self.message.uid, offset: self.read, length };
        pb::ContentRequest {
            owner: 0,
            grant: self.grant.clone(),
            mailbox_id: self.mailbox_id,
            ranges: vec![range],
            ..Default::default()
        }
    }
}

async fn send(connection: &mut Connection, pieces: &mut Vec<Bytes>) -> Result<(), CmdError> {
    for piece in pieces.drain(..) {
        connection.write(piece).await?;
    }
    Ok(())
}

/// Another session has expunged it: this message alone is refused.
fn gone() -> CmdError {
    CmdError::refused("message was deleted by another session")
}

/// After `+OK` only closing tells that the message is not whole.
fn broken(error: CmdError) -> CmdError {
    CmdError::Broken(error.to_string())
}
