//! CAPA, RFC 2449 §5.

use crate::reply::Reply;
use crate::session::{Session, State};

/// Also asked before login, when it tells what login needs: USER and SASL only where a password may be sent.
pub(crate) fn capa(session: &mut Session, state: &State) -> Reply {
    let logged_in = matches!(state, State::Transaction(_));
    let may_log_in = session.may_log_in();
    let offers_stls = session.offers_stls() && !logged_in;
    let out = session.connection.output();
    out.extend_from_slice(b"+OK capabilities follow\r\nTOP\r\nUIDL\r\n");
    if may_log_in {
        out.extend_from_slice(b"USER\r\nSASL PLAIN\r\n");
    }
    if offers_stls {
        out.extend_from_slice(b"STLS\r\n");
    }
    out.extend_from_slice(b"PIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nEXPIRE NEVER\r\n");
    // RFC 2449 §6.9 warns of telling strangers the exact version.
    out.extend_from_slice(b"IMPLEMENTATION Todoku\r\n.\r\n");
    Reply::Sent
}
