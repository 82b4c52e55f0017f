//! What was sent and what was accepted, and whether the mailboxes agree.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::random::Random;

/// Marks the id in the body.
const ID_MARK: &str = "X-Ledger-Id: ";

/// Of one message for one recipient.
#[derive(Clone)]
struct Entry {
    octets: Arc<[u8]>,
    accepted: bool,
}

/// A message as a mailbox holds it.
pub(crate) struct Held {
    pub(crate) uid: u32,
    pub(crate) octets: Vec<u8>,
}

/// Shared by all clients of a test.
#[derive(Default)]
pub(crate) struct Ledger {
    /// True: begin nothing new.
    pub(crate) closed: AtomicBool,
    /// Tries that ended without a 250 after the whole message had been sent.
    pub(crate) in_doubt: AtomicU64,
    entries: Mutex<BTreeMap<(String, String), Entry>>,
}

impl Ledger {
    /// Before the first octet leaves.
    pub(crate) fn sent(&self, recipient: &str, id: &str, octets: &[u8]) {
        let entry = Entry { octets: octets.into(), accepted: false };
        self.lock().insert((recipient.to_owned(), id.to_owned()), entry);
    }

    /// After the server said so.
    pub(crate) fn accepted(&self, recipient: &str, id: &str) {
        if let Some(entry) = self.lock().get_mut(&(recipient.to_owned(), id.to_owned())) {
            entry.accepted = true;
        }
    }

    /// How many were sent and how many accepted.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let entries = self.lock();
        (entries.len(), entries.values().filter(|entry| entry.accepted).count())
    }

    /// How many tries left it open whether they had succeeded.
    pub(crate) fn doubts(&self) -> u64 {
        self.in_doubt.load(Ordering::Relaxed)
    }

    /// From now on nothing new is begun.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// What is wrong with the recipient's mailbox; empty: nothing.
    pub(crate) fn findings(&self, recipient: &str, held: &[Held]) -> Vec<String> {
        let mut findings = Vec::new();
        if !held.windows(2).all(|pair| pair[0].uid < pair[1].uid) {
            findings.push(format!("{recipient}: UIDs do not ascend"));
        }
        let mut by_id: HashMap<&str, Vec<&Held>> = HashMap::new();
        for message in held {
            by_id.entry(id_of(&message.octets)).or_default().push(message);
        }
        let entries = self.lock();
        for ((_, id), entry) in entries.iter().filter(|((owner, _), _)| owner == recipient) {
            let copies = by_id.remove(id.as_str()).unwrap_or_default();
            if copies.is_empty() && entry.accepted {
                findings.push(format!("{recipient}: {id} was accepted and is lost"));
            }
            if copies.len() > 1 {
                findings.push(format!("{recipient}: {id} is there {} times", copies.len()));
            }
            if copies.iter().any(|copy| !is_delivered(&copy.octets, &entry.octets)) {
                findings.push(format!("{recipient}: {id} has other octets than were sent"));
            }
        }
        findings.extend(by_id.keys().map(|id| format!("{recipient}: {id:?} was never sent")));
        findings
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message whose body says who it is; one in eight is larger than a frame.
pub(crate) fn message(id: &str, random: &mut Random) -> Vec<u8> {
    let lines = if random.below(8) == 0 { 1_500 } else { 1 + random.below(20) };
    let mut text = format!(
        "From: sender@client.example\r\nMessage-ID: <{id}@client.example>\r\nSubject: {id}\r\n\r\n{ID_MARK}{id}\r\n"
    );
    for line in 0..lines {
        // A dot that must survive stuffing, RFC 5321 §4.5.2.
        text.push_str(&format!(".{line} {:016x} the quick brown fox\r\n", random.below(u64::MAX)));
    }
    text.into_bytes()
}

fn id_of(octets: &[u8]) -> &str {
    let text = std::str::from_utf8(octets).unwrap_or("");
    text.split_once(ID_MARK).and_then(|(_, rest)| rest.lines().next()).unwrap_or("")
}

/// True if `held` is `sent`, with nothing but trace fields in front: RFC 5321 §4.4.
fn is_delivered(held: &[u8], sent: &[u8]) -> bool {
    let Some(trace) = held.strip_suffix(sent) else { return false };
    let fields = String::from_utf8_lossy(trace);
    trace.is_empty()
        || fields.ends_with("\r\n")
            && fields.lines().all(|line| {
                line.starts_with("Return-Path:")
                    || line.starts_with("Received:")
                    || line.starts_with("Delivered-To:")
                    || line.starts_with([' ', '\t'])
            })
}
