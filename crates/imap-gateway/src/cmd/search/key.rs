//! A search key made ready: what the view knows is decided here, the rest becomes conditions for storage.

use std::collections::HashMap;

use imap_wire::{Date, Numbering, SearchKey};
use mail_rpc::pb::{self, condition::Is, text_match::Field};
use mail_types::{FlagBits, ModSeq, Uid, UidSet};

use crate::error::CmdError;
use crate::others::object_number;
use crate::state::Selected;
use crate::view::{Message, View};

/// What is known of a message and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    /// Storage must be asked.
    Unknown,
}

/// What a key's numbers mean.
struct Context<'a> {
    view: &'a View,
    saved: &'a UidSet,
}

/// A key without anything that needs the client's context.
pub(in crate::cmd) struct Compiled {
    node: Node,
    /// To be sent to storage; [`Node::Condition`] counts them.
    pub(super) conditions: Vec<pb::Condition>,
    /// Likewise; [`Node::Fuzzy`] counts them.
    pub(super) fuzzies: Vec<pb::TextMatch>,
    /// Threads that are looked for; [`Node::Thread`] counts them.
    pub(super) threads: Vec<u64>,
    /// RFC 7162 §3.1.5: the reply has a MODSEQ.
    pub(in crate::cmd) uses_modseq: bool,
    /// RFC 6203 §4: messages have scores.
    pub(in crate::cmd) is_fuzzy: bool,
}

enum Node {
    Always(bool),
    And(Vec<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    /// All of the flags are set, or not.
    Flags(FlagBits, bool),
    Recent,
    Uids(UidSet),
    /// At least this.
    ModSeq(ModSeq),
    Message(u64),
    Condition(usize),
    Fuzzy(usize),
    Thread(usize),
}

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    Exact,
    /// RFC 6203 §3: inside FUZZY. Numbers, dates and flags are compared as ever.
    Fuzzy,
}

/// What was found for each condition, and for each thread.
#[derive(Default)]
pub(super) struct Found {
    pub(super) conditions: Vec<UidSet>,
    pub(super) fuzzies: Vec<HashMap<u32, u8>>,
    pub(super) threads: Vec<UidSet>,
}

/// RFC 9051 §6.4.4: days since 1970 with no end.
const FOREVER: i64 = i64::MAX;

impl Compiled {
    /// Depth is bounded by the parser.
    ///
    /// # Errors
    /// BAD for keys that are not offered.
    pub(in crate::cmd) fn of_selected(selected: &Selected, key: &SearchKey) -> Result<Self, CmdError> {
        Self::new(key, &Context { view: &selected.view, saved: &selected.saved })
    }

    /// In a mailbox that is not selected, where no result was saved.
    pub(in crate::cmd) fn elsewhere(view: &View, key: &SearchKey) -> Result<Self, CmdError> {
        Self::new(key, &Context { view, saved: &UidSet::new() })
    }

    fn new(key: &SearchKey, context: &Context<'_>) -> Result<Self, CmdError> {
        let mut compiled = Self {
            node: Node::Always(true),
            conditions: Vec::new(),
            fuzzies: Vec::new(),
            threads: Vec::new(),
            uses_modseq: false,
            is_fuzzy: false,
        };
        compiled.node = compiled.node(key, context, Matching::Exact)?;
        require(&compiled.node, &mut compiled.conditions);
        Ok(compiled)
    }

    /// Does a message satisfy the key? `found`: what storage said.
    pub(super) fn judge(&self, view: &View, message: &Message, found: Option<&Found>) -> Truth {
        judge(&self.node, view, message, found)
    }

    /// RFC 6203 §4: how relevant a message is that satisfies the key, 1 to 100. What is not matched fuzzily says nothing.
    pub(super) fn score(&self, uid: Uid, found: &Found) -> u8 {
        score(&self.node, uid, found).unwrap_or(100)
    }

    fn node(&mut self, key: &SearchKey, context: &Context<'_>, matching: Matching) -> Result<Node, CmdError> {
        use SearchKey as K;
        Ok(match key {
            K::All => Node::Always(true),
            K::And(keys) => {
                let nodes: Result<Vec<Node>, CmdError> =
                    keys.iter().map(|key| self.node(key, context, matching)).collect();
                Node::And(nodes?)
            }
            K::Or(a, b) => Node::Or(
                Box::new(self.node(a, context, matching)?),
                Box::new(self.node(b, context, matching)?),
            ),
            K::Not(key) => Node::Not(Box::new(self.node(key, context, matching)?)),
            K::Fuzzy(key) => {
                self.is_fuzzy = true;
                self.node(key, context, Matching::Fuzzy)?
            }
            K::Flag(flag, set) => Node::Flags(*flag, *set),
            K::Keyword(keyword, set) => {
                match context.view.snapshot().meta().keywords.find(keyword.as_str()) {
                    Some(flag) => Node::Flags(flag, *set),
                    // A keyword that no message has.
                    None => Node::Always(!set),
                }
            }
            K::Recent => Node::Recent,
            K::New => Node::And(vec![Node::Recent, Node::Flags(FlagBits::SEEN, false)]),
            K::Old => Node::Not(Box::new(Node::Recent)),
            K::Sequence(set) => {
                Node::Uids(context.view.uids(&context.view.select_existing(set, context.saved)))
            }
            K::Uid(set) => {
                let selection = context.view.select(Numbering::Uid, set, context.saved)?;
                Node::Uids(context.view.uids(&selection))
            }
            K::ModSeq { at_least, .. } => {
                self.uses_modseq = true;
                Node::ModSeq(*at_least)
            }
            K::SaveDateSupported => Node::Always(true),
            K::EmailId(id) => Node::Message(object_number(id, 'E', context.view.owner()).unwrap_or(0)),
            K::ThreadId(id) => match object_number(id, 'T', context.view.owner()) {
                Some(thread) => {
                    self.threads.push(thread);
                    Node::Thread(self.threads.len() - 1)
                }
                None => Node::Always(false),
            },
            K::Filter(_) => return Err(CmdError::bad("This search key is not offered")),
            _ => self.condition(key, matching),
        })
    }

    fn condition(&mut self, key: &SearchKey, matching: Matching) -> Node {
        let is = match (condition(key), matching) {
            (None, _) => return Node::Always(false),
            (Some(Is::Text(text)), Matching::Fuzzy) => {
                self.fuzzies.push(text);
                return Node::Fuzzy(self.fuzzies.len() - 1);
            }
            (Some(is), _) => is,
        };
        self.conditions.push(pb::Condition { is: Some(is), required: false });
        Node::Condition(self.conditions.len() - 1)
    }
}

/// Marks the conditions that every message which is found satisfies: those that no OR and no NOT is around.
fn require(node: &Node, conditions: &mut [pb::Condition]) {
    match node {
        Node::And(nodes) => nodes.iter().for_each(|node| require(node, conditions)),
        Node::Condition(index) => conditions[*index].required = true,
        _ => {}
    }
}

fn condition(key: &SearchKey) -> Option<Is> {
    use SearchKey as K;
    let header = |name: &str, text: &str| {
        Is::Text(pb::TextMatch {
            field: Field::Header.into(),
            header: name.to_owned(),
            text: text.to_owned(),
        })
    };
    let text = |field: Field, text: &str| {
        Is::Text(pb::TextMatch { field: field.into(), header: String::new(), text: text.to_owned() })
    };
    Some(match key {
        K::Bcc(text) => header("Bcc", text),
        K::Cc(text) => header("Cc", text),
        K::From(text) => header("From", text),
        K::Subject(text) => header("Subject", text),
        K::To(text) => header("To", text),
        K::Header(name, text) => header(name, text),
        K::Body(body) => text(Field::Body, body),
        K::Text(any) => text(Field::Text, any),
        K::Before(day) => Is::Received(before(day)),
        K::On(day) => Is::Received(on(day)),
        K::Since(day) => Is::Received(since(day)),
        K::SentBefore(day) => Is::Sent(before(day)),
        K::SentOn(day) => Is::Sent(on(day)),
        K::SentSince(day) => Is::Sent(since(day)),
        K::SavedBefore(day) => Is::Saved(before(day)),
        K::SavedOn(day) => Is::Saved(on(day)),
        K::SavedSince(day) => Is::Saved(since(day)),
        K::Larger(size) => Is::Size(pb::SizeRange { min: size.checked_add(1)?, max: u64::MAX }),
        K::Smaller(size) => Is::Size(pb::SizeRange { min: 0, max: size.checked_sub(1)? }),
        // RFC 5032 §3: OLDER is at least so old, YOUNGER at most.
        K::Older(seconds) => {
            Is::ReceivedSeconds(pb::SecondRange { from: i64::MIN, to: now() - i64::from(*seconds) + 1 })
        }
        K::Younger(seconds) => {
            Is::ReceivedSeconds(pb::SecondRange { from: now() - i64::from(*seconds), to: FOREVER })
        }
        _ => return None,
    })
}

fn before(day: &Date) -> pb::DayRange {
    pb::DayRange { from: i64::MIN, to: day.days_since_epoch().into() }
}

fn on(day: &Date) -> pb::DayRange {
    let day = i64::from(day.days_since_epoch());
    pb::DayRange { from: day, to: day + 1 }
}

fn since(day: &Date) -> pb::DayRange {
    pb::DayRange { from: day.days_since_epoch().into(), to: FOREVER }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() as i64)
}

fn judge(node: &Node, view: &View, message: &Message, found: Option<&Found>) -> Truth {
    let entry = &message.entry;
    match node {
        Node::Always(truth) => Truth::from(*truth),
        Node::And(nodes) => {
            let mut all = Truth::Yes;
            for node in nodes {
                match judge(node, view, message, found) {
                    Truth::No => return Truth::No,
                    Truth::Unknown => all = Truth::Unknown,
                    Truth::Yes => {}
                }
            }
            all
        }
        Node::Or(a, b) => match judge(a, view, message, found) {
            Truth::Yes => Truth::Yes,
            Truth::No => judge(b, view, message, found),
            Truth::Unknown => match judge(b, view, message, found) {
                Truth::Yes => Truth::Yes,
                Truth::No | Truth::Unknown => Truth::Unknown,
            },
        },
        Node::Not(node) => match judge(node, view, message, found) {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
        },
        Node::Flags(flags, set) => Truth::from(entry.flags.contains(*flags) == *set),
        Node::Recent => Truth::from(view.is_recent(entry.uid)),
        Node::Uids(uids) => Truth::from(uids.contains(entry.uid)),
        Node::ModSeq(at_least) => Truth::from(entry.modseq >= *at_least),
        Node::Message(id) => Truth::from(entry.message.get() == *id),
        Node::Fuzzy(index) => match found.and_then(|found| found.fuzzies.get(*index)) {
            Some(scores) => Truth::from(scores.contains_key(&entry.uid.get())),
            None => Truth::Unknown,
        },
        Node::Condition(index) => among(found.map(|found| &found.conditions[..]), *index, entry.uid),
        Node::Thread(index) => among(found.map(|found| &found.threads[..]), *index, entry.uid),
    }
}

/// `None`: nothing was matched fuzzily. Of several keys that must hold the mean counts, of alternatives the best.
fn score(node: &Node, uid: Uid, found: &Found) -> Option<u8> {
    match node {
        Node::Fuzzy(index) => found.fuzzies.get(*index)?.get(&uid.get()).copied(),
        Node::And(nodes) => {
            let scores: Vec<u32> =
                nodes.iter().filter_map(|node| score(node, uid, found)).map(u32::from).collect();
            let sum: u32 = scores.iter().sum();
            sum.checked_div(scores.len() as u32).map(|mean| mean as u8)
        }
        Node::Or(a, b) => score(a, uid, found).max(score(b, uid, found)),
        _ => None,
    }
}

fn among(found: Option<&[UidSet]>, index: usize, uid: Uid) -> Truth {
    match found.and_then(|found| found.get(index)) {
        Some(uids) => Truth::from(uids.contains(uid)),
        None => Truth::Unknown,
    }
}

impl From<bool> for Truth {
    fn from(truth: bool) -> Self {
        if truth { Self::Yes } else { Self::No }
    }
}
