//! BDAT, RFC 3030 §2, RFC 2033 §4.3.

use line_server::Connection;

use super::data::{MESSAGE_TIME_MAX, NO_RECIPIENTS, answer, start};
use crate::command::Last;
use crate::incoming::Incoming;
use crate::reply::{BAD_ORDER, CmdError, Reply, TOO_LARGE};
use crate::session::{Body, Session, State};

/// Octets taken from the socket at once.
const PIECE_BYTES: usize = 64 * 1024;

pub(crate) async fn bdat(
    session: &mut Session,
    state: &mut State,
    size: u64,
    last: Last,
) -> Result<Option<Reply>, CmdError> {
    // The octets follow at once, whatever the reply will be. So many are not read only to be thrown away.
    if size > session.gateway.settings.message_size_max.saturating_mul(2) {
        return Err(CmdError::Fatal(TOO_LARGE));
    }
    let (hello, transaction) = match state.transaction() {
        Ok(found) => found,
        Err(error) => return skip(session, size, error).await,
    };
    if transaction.recipients.is_empty() {
        return skip(session, size, CmdError::Refused(NO_RECIPIENTS)).await;
    }
    let mut incoming = match std::mem::replace(&mut transaction.body, Body::Failed) {
        Body::NotYet => Box::new(start(session, hello, transaction).await?),
        Body::Chunks(incoming) => incoming,
        // RFC 3030 §2: after a chunk was refused all others are, until RSET.
        Body::Failed => return skip(session, size, CmdError::Bad(BAD_ORDER)).await,
    };
    receive(session, size, &mut incoming).await?;
    match (last, incoming.fault()) {
        (Last::No, None) => {
            transaction.body = Body::Chunks(incoming);
            Ok(Some(Reply::new(250, "2.0.0", "chunk received")))
        }
        // The transaction stays, failed, so that what was pipelined behind is refused too.
        (Last::No, Some(fault)) => Err(CmdError::Refused(fault.reply())),
        (Last::Yes, _) => {
            answer(session, transaction, *incoming).await?;
            state.reset();
            Ok(None)
        }
    }
}

async fn receive(session: &mut Session, size: u64, incoming: &mut Incoming) -> Result<(), CmdError> {
    let gateway = session.gateway.clone();
    session.connection.set_deadline(Some(tokio::time::Instant::now() + MESSAGE_TIME_MAX));
    let mut left = size;
    while left > 0 {
        let chunk = session.connection.chunk(piece(left)).await?;
        left -= chunk.len() as u64;
        incoming.push_unchecked(&gateway, chunk).await;
    }
    session.connection.set_deadline(None);
    Ok(())
}

/// Octets of a chunk that is refused are no commands.
async fn skip(session: &mut Session, size: u64, error: CmdError) -> Result<Option<Reply>, CmdError> {
    let connection: &mut Connection = &mut session.connection;
    let mut left = size;
    while left > 0 {
        left -= connection.chunk(piece(left)).await?.len() as u64;
    }
    Err(error)
}

fn piece(left: u64) -> usize {
    usize::try_from(left).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES))
}
