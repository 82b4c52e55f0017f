//! MAIL, RFC 5321 §4.1.1.2, with SIZE (RFC 1870 §4).

use crate::command::Mail;
use crate::reply::{BAD_ORDER, CmdError, CmdResult, Reply, TOO_LARGE};
use crate::session::{Session, State, Transaction};

pub(crate) fn mail(session: &Session, state: &mut State, mail: Mail) -> CmdResult {
    let State::Greeted(hello) = &*state else { return Err(CmdError::Bad(BAD_ORDER)) };
    if mail.size > session.gateway.settings.message_size_max {
        return Err(CmdError::Refused(TOO_LARGE));
    }
    *state = State::Transaction(hello.clone(), Box::new(Transaction::new(mail)));
    Ok(Reply::new(250, "2.1.0", "sender OK"))
}
