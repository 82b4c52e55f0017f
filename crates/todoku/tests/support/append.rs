//! A mail client that appends, and does not know what became of an APPEND whose answer it missed.

use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::Duration;

use super::imap::Imap;
use super::ledger::{Ledger, message};
use super::random::Random;

/// Between two connections.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// Appends until the ledger is closed.
pub(crate) fn keep_appending(doors: &[String], account: &str, ledger: &Ledger) {
    let mut random = Random::new(7);
    let mut session = None;
    for number in 0.. {
        if ledger.closed.load(Ordering::Relaxed) {
            return;
        }
        let Some(mut imap) = session.take().or_else(|| connect(&doors[number % doors.len()], account)) else {
            sleep(RETRY_AFTER);
            continue;
        };
        let id = format!("append-{number}");
        let octets = message(&id, &mut random);
        ledger.sent(account, &id, &octets);
        // Anything but OK, a lost connection too: it is there, or it is not.
        if imap.append(&octets).is_ok() {
            ledger.accepted(account, &id);
            session = Some(imap);
        }
        random.sleep(Duration::ZERO, Duration::from_millis(20));
    }
}

fn connect(door: &str, account: &str) -> Option<Imap> {
    match Imap::login(door, account) {
        Ok(imap) => Some(imap),
        Err(error) => {
            // RFC 5530 §3: a client that is told so asks its user for another password.
            let text = format!("{error:#}");
            assert!(!text.contains("AUTHENTICATIONFAILED"), "a right password was refused: {text}");
            None
        }
    }
}
