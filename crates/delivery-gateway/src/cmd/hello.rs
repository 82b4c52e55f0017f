//! HELO and EHLO (RFC 5321 §4.1.1.1), LHLO (RFC 2033 §4.1). All of them also end a transaction.

use crate::reply::Reply;
use crate::session::{Hello, Session, State};

pub(crate) fn hello(session: &mut Session, state: &mut State, name: String) -> Option<Reply> {
    *state = State::Greeted(Hello { name, extended: false });
    session.connection.queue(format!("250 {}\r\n", session.gateway.settings.hostname).as_bytes());
    None
}

pub(crate) fn extended_hello(session: &mut Session, state: &mut State, name: String) -> Option<Reply> {
    *state = State::Greeted(Hello { name, extended: true });
    let settings = &session.gateway.settings;
    let mut reply =
        format!("250-{}\r\n250-PIPELINING\r\n250-SIZE {}\r\n", settings.hostname, settings.message_size_max);
    if settings.tls.is_some() && !session.connection.is_tls() {
        reply.push_str("250-STARTTLS\r\n");
    }
    // Not BINARYMIME: a message is made of lines for the POP3 and IMAP clients that will read it.
    reply.push_str("250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n");
    session.connection.queue(reply.as_bytes());
    None
}
