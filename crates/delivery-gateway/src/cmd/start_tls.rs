//! STARTTLS, RFC 3207 §4.

use crate::reply::{BAD_ORDER, CmdError, Reply};
use crate::session::{Session, State};

pub(crate) async fn start_tls(session: &mut Session, state: &mut State) -> Result<Option<Reply>, CmdError> {
    if session.connection.is_tls() || matches!(state, State::Transaction(..)) {
        return Err(CmdError::Bad(BAD_ORDER));
    }
    let Some(acceptor) = session.gateway.settings.tls.clone() else {
        return Err(CmdError::Bad(Reply::new(502, "5.5.1", "TLS is not offered here")));
    };
    session.say(&Reply::new(220, "2.0.0", "ready to start TLS"));
    // Throws away what was sent in clear text behind the command: it may be somebody else's.
    session.connection.start_tls(&acceptor).await?;
    // RFC 3207 §4.2: what the client said before is forgotten, its greeting too.
    *state = State::Connected;
    Ok(None)
}
