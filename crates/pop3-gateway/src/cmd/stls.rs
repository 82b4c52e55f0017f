//! STLS, RFC 2595 §4.

use crate::reply::{CmdError, CmdResult, Reply};
use crate::session::{Session, State};

pub(crate) async fn stls(session: &mut Session, state: &mut State) -> CmdResult {
    if session.connection.is_tls() {
        return Err(CmdError::refused("TLS is active already"));
    }
    let Some(acceptor) = session.gateway.settings.tls.clone() else {
        return Err(CmdError::refused("TLS is not offered here"));
    };
    session.connection.queue(b"+OK begin TLS negotiation\r\n");
    // Throws away what was sent in clear text behind the command: it may be somebody else's.
    session.connection.start_tls(&acceptor).await?;
    // RFC 2595 §4: the server forgets what it learnt before.
    *state = State::Authorization { user: None };
    Ok(Reply::Sent)
}
