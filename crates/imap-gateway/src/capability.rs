//! What the server says it can do, by state. Only what works.

use crate::session::Session;
use crate::state::State;

/// Told to a client that is one too many.
pub(crate) const BUSY: &[u8] = b"* BYE [UNAVAILABLE] Too many connections, please try again later\r\n";

/// In every state.
const ALWAYS: [&str; 7] = ["IMAP4rev1", "IMAP4rev2", "SASL-IR", "ID", "ENABLE", "IDLE", "LANGUAGE"];
/// After login.
const AUTHENTICATED: &[&str] = &[
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "CHILDREN",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "CONDSTORE",
    "QRESYNC",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "BINARY",
    "MULTIAPPEND",
    "PREVIEW",
    "OBJECTID",
    "SAVEDATE",
    "STATUS=SIZE",
    "PARTIAL",
    "REPLACE",
    "CATENATE",
    "URL-PARTIAL",
    "NOTIFY",
    "METADATA",
    "LIST-METADATA",
    "URLAUTH",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "MULTISEARCH",
    "SEARCH=FUZZY",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    // RFC 5255 §4.3: SEARCH, SORT and THREAD compare by i;unicode-casemap. COMPARATOR is for servers with a choice.
    "I18NLEVEL=1",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "ACL",
    // RFC 4314 §2.2: beside the rights of RFC 2086.
    "RIGHTS=texk",
    "LIST-MYRIGHTS",
    "INPROGRESS",
    "UIDONLY",
    "UIDBATCHES",
];

/// The capabilities of a session now.
pub(crate) fn list(session: &Session) -> Vec<String> {
    let mut names: Vec<String> = ALWAYS.iter().map(|name| (*name).to_owned()).collect();
    match session.state {
        State::NotAuthenticated | State::Logout => {
            // RFC 7888 §5: before login nobody needs large literals; never both.
            names.push("LITERAL-".to_owned());
            if session.may_start_tls() {
                names.push("STARTTLS".to_owned());
            }
            names.push(if session.may_login() { "AUTH=PLAIN" } else { "LOGINDISABLED" }.to_owned());
        }
        State::Authenticated(_) | State::Selected(..) => {
            names.extend(AUTHENTICATED.iter().map(|name| (*name).to_owned()));
            names.push("LITERAL+".to_owned());
            names.push("UNAUTHENTICATE".to_owned());
            if session.gateway.settings.utf8_accept {
                names.push("UTF8=ACCEPT".to_owned());
            }
            // RFC 7889 §2: one limit for all mailboxes.
            names.push(format!("APPENDLIMIT={}", session.gateway.settings.message_bytes_max));
            if !session.connection.is_deflate() {
                names.push("COMPRESS=DEFLATE".to_owned());
            }
        }
    }
    names
}
