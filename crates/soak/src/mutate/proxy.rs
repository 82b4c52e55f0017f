//! Edits of replies, octet by octet, without the parser that they are to test.

use super::{Faults, How};

/// Makes of one reply what the client gets, or `None` if it does not apply.
pub type Edit = fn(&mut Memory, &str, &[u8]) -> Option<Vec<Vec<u8>>>;

/// Replies left alone at first, so that there is something to contradict.
const QUIET_REPLIES: u32 = 60;
/// Of the replies that an edit applies to, one in this many is falsified.
const ONE_IN: u8 = 3;

/// What an edit remembers.
#[derive(Debug, Default)]
pub struct Memory {
    /// The line of the command that runs.
    command: String,
    held: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
    last_tag: String,
}

/// One connection's proxy.
pub struct Mutator {
    faults: Faults,
    rng: fastrand::Rng,
    memory: Memory,
    passed: u32,
}

impl Mutator {
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, rng: fastrand::Rng::with_seed(seed), memory: Memory::default(), passed: 0 }
    }

    /// The client sends a command.
    pub fn sent(&mut self, octets: &[u8]) {
        let text = String::from_utf8_lossy(octets);
        if text != "DONE\r\n" {
            self.memory.command = text.lines().next().unwrap_or_default().to_owned();
        }
    }

    /// A reply on its way to the client.
    pub fn pass(&mut self, raw: Vec<u8>) -> Vec<Vec<u8>> {
        self.passed += 1;
        let How::Reply(edit) = self.faults.mutation.how else { return vec![raw] };
        let text = String::from_utf8_lossy(&raw).into_owned();
        let is_text = text.as_bytes() == raw;
        let turn = self.rng.u8(..ONE_IN) == 0 || self.faults.mutation.name == "idle-deaf";
        let may = is_text && (self.passed > QUIET_REPLIES && turn || self.memory.held.is_some());
        let edited = may.then(|| edit(&mut self.memory, &text, &raw)).flatten();
        if !text.starts_with("* ")
            && let Some(tag) = text.split(' ').next()
        {
            self.memory.last_tag = tag.to_owned();
        }
        match edited {
            Some(replies) => {
                self.faults.count();
                replies
            }
            None => match self.memory.held.take() {
                Some(held) => vec![raw, held],
                None => vec![raw],
            },
        }
    }
}

fn line(text: impl Into<String>) -> Option<Vec<Vec<u8>>> {
    Some(vec![text.into().into_bytes()])
}

/// `* n NAME`
fn number_of(text: &str, name: &str) -> Option<u32> {
    text.strip_prefix("* ")?.strip_suffix(&format!(" {name}\r\n"))?.parse().ok()
}

/// Replaces the number after `key` by what `change` makes of it.
fn number_after(text: &str, key: &str, change: impl Fn(u64) -> u64) -> Option<String> {
    let at = text.find(key)? + key.len();
    let length = text[at..].find(|letter: char| !letter.is_ascii_digit())?;
    let number: u64 = text[at..at + length].parse().ok()?;
    let changed = change(number);
    (changed != number && changed > 0).then(|| format!("{}{changed}{}", &text[..at], &text[at + length..]))
}

fn is_fetch(text: &str) -> bool {
    text.starts_with("* ") && text.contains(" FETCH (")
}

pub(super) fn exists_dropped(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    number_of(text, "EXISTS").map(|_| Vec::new())
}

pub(super) fn exists_high(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(format!("* {} EXISTS\r\n", number_of(text, "EXISTS")? + 1))
}

pub(super) fn exists_low(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(format!("* {} EXISTS\r\n", number_of(text, "EXISTS")?.checked_sub(1)?))
}

/// Held until the next reply has passed.
pub(super) fn exists_late(memory: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    if let Some(held) = memory.held.take() {
        return Some(vec![raw.to_vec(), held]);
    }
    if memory.command.contains(" SELECT ") || memory.command.contains(" EXAMINE ") {
        return None;
    }
    number_of(text, "EXISTS")?;
    memory.held = Some(raw.to_vec());
    Some(Vec::new())
}

pub(super) fn expunge_dropped(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    number_of(text, "EXPUNGE").map(|_| Vec::new())
}

pub(super) fn expunge_twice(_: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    number_of(text, "EXPUNGE").map(|_| vec![raw.to_vec(), raw.to_vec()])
}

pub(super) fn expunge_renumbered(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(format!("* {} EXPUNGE\r\n", number_of(text, "EXPUNGE")? + 1))
}

pub(super) fn expunge_in_fetch(memory: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    let by_number = memory.command.split(' ').nth(1) == Some("FETCH");
    (by_number && is_fetch(text)).then(|| vec![raw.to_vec(), b"* 1 EXPUNGE\r\n".to_vec()])
}

pub(super) fn vanished_short(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let set = text.strip_prefix("* VANISHED ")?.trim_end();
    let cut = set.rfind([',', ':']).filter(|_| !set.ends_with(')'));
    match cut {
        Some(cut) => line(format!("* VANISHED {}\r\n", &set[..cut])),
        None => Some(Vec::new()),
    }
}

pub(super) fn vanished_long(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let set = text.strip_prefix("* VANISHED ")?.trim_end();
    let last: u32 = set.rsplit([',', ':', ' ']).next()?.parse().ok()?;
    line(format!("* VANISHED {set},{}\r\n", last + 1))
}

pub(super) fn uids_swapped(memory: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    let uid = |text: &str| -> Option<String> {
        let at = text.find("(UID ")? + 5;
        let length = text[at..].find([' ', ')'])?;
        is_fetch(text).then(|| text[at..at + length].to_owned())
    };
    let Some(held) = memory.held.take() else {
        uid(text)?;
        memory.held = Some(raw.to_vec());
        return Some(Vec::new());
    };
    let first = String::from_utf8_lossy(&held).into_owned();
    match (uid(&first), uid(text)) {
        (Some(one), Some(other)) => {
            let swap = |text: &str, from: &str, to: &str| {
                text.replacen(&format!("(UID {from}"), &format!("(UID {to}"), 1).into_bytes()
            };
            Some(vec![swap(&first, &one, &other), swap(text, &other, &one)])
        }
        _ => Some(vec![held, raw.to_vec()]),
    }
}

pub(super) fn uid_late(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    is_fetch(text)
        .then(|| number_after(text, "(UID ", |uid| uid.saturating_sub(1)).map(String::into_bytes))
        .flatten()
        .map(|line| vec![line])
}

pub(super) fn uid_missing(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, rest) = text.split_once(" FETCH (UID ")?;
    let (_, rest) = rest.split_once(' ')?;
    line(format!("{head} FETCH ({rest}"))
}

pub(super) fn uidnext_high(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(number_after(text, "UIDNEXT ", |next| next + 5)?)
}

pub(super) fn uidnext_low(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(number_after(text, "UIDNEXT ", |next| next - 1)?)
}

pub(super) fn uidvalidity(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(number_after(text, "UIDVALIDITY ", |validity| validity - 1)?)
}

pub(super) fn highestmodseq_low(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(number_after(text, "HIGHESTMODSEQ ", |highest| highest - 1)?)
}

pub(super) fn highestmodseq_high(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    line(number_after(text, "HIGHESTMODSEQ ", |highest| highest + 3)?)
}

pub(super) fn modseq_missing(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, rest) = text.split_once(" MODSEQ (").filter(|_| is_fetch(text))?;
    let (_, rest) = rest.split_once(')')?;
    line(format!("{head}{rest}"))
}

pub(super) fn modseq_low(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    is_fetch(text).then_some(())?;
    line(number_after(text, "MODSEQ (", |modseq| modseq - 1)?)
}

pub(super) fn flag_lost(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    is_fetch(text).then_some(())?;
    let at = text.find("$o")?;
    let end = at + text[at..].find([' ', ')'])?;
    let rest = text[end..].strip_prefix(' ').unwrap_or(&text[end..]);
    line(format!("{}{rest}", &text[..at]).replace(" )", ")"))
}

pub(super) fn flag_strange(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, rest) = text.split_once("FLAGS (").filter(|_| is_fetch(text))?;
    (!rest.contains("\\Draft")).then_some(())?;
    let space = if rest.starts_with(')') { "" } else { " " };
    line(format!("{head}FLAGS (\\Draft{space}{rest}"))
}

pub(super) fn flags_unannounced(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    text.strip_prefix("* FLAGS (")?;
    let at = text.find(" $o")?;
    let end = at + 1 + text[at + 1..].find([' ', ')'])?;
    line(format!("{}{}", &text[..at], &text[end..]))
}

pub(super) fn recent_repeated(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, rest) = text.split_once("FLAGS (").filter(|_| is_fetch(text))?;
    (!rest.contains("\\Recent")).then_some(())?;
    let space = if rest.starts_with(')') { "" } else { " " };
    line(format!("{head}FLAGS (\\Recent{space}{rest}"))
}

/// A line that nobody asked for: another session's change.
pub(super) fn update_lost(memory: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let asked = memory.command.contains("FETCH") || memory.command.contains("SELECT");
    (is_fetch(text) && !asked && !memory.command.contains("STORE")).then(Vec::new)
}

pub(super) fn copyuid_wrong(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let at = text.find("[COPYUID ")?;
    let end = at + text[at..].find(']')?;
    let (head, set) = text[..end].rsplit_once(' ')?;
    let up: Vec<String> = set
        .split(',')
        .map(|range| {
            let ends: Vec<String> =
                range.split(':').filter_map(|uid| Some((uid.parse::<u64>().ok()? + 1).to_string())).collect();
            ends.join(":")
        })
        .collect();
    line(format!("{head} {}{}", up.join(","), &text[end..]))
}

pub(super) fn copyuid_short(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let at = text.find("[COPYUID ")?;
    let mut words = text[at + 9..].splitn(3, ' ');
    let (validity, from, to) = (words.next()?, words.next()?, words.next()?);
    let cut = from.rfind([',', ':'])?;
    line(format!("{}[COPYUID {validity} {} {to}", &text[..at], &from[..cut]))
}

pub(super) fn appenduid_wrong(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (_, rest) = text.split_once("[APPENDUID ")?;
    let (validity, _) = rest.split_once(' ')?;
    line(number_after(text, &format!("[APPENDUID {validity} "), |uid| uid - 1)?)
}

pub(super) fn modified_lost(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (head, rest) = text.split_once("[MODIFIED ")?;
    line(format!("{head}{}", rest.split_once("] ")?.1))
}

pub(super) fn status_stale(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    text.strip_prefix("* STATUS ")?;
    line(number_after(text, "(MESSAGES ", |count| count.saturating_sub(1))?)
}

pub(super) fn status_unseen(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    text.strip_prefix("* STATUS ")?;
    line(number_after(text, " UNSEEN ", |count| count + 1)?)
}

pub(super) fn size_wrong(_: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    (is_fetch(text) && text.as_bytes() == raw).then_some(())?;
    line(number_after(text, "RFC822.SIZE ", |size| size + 1)?)
}

pub(super) fn octet_changed(_: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    (is_fetch(text) && text.contains("BODY[] {")).then_some(())?;
    let mut octets = raw.to_vec();
    let at = octets.len() - 6;
    octets[at] = if octets[at] == b'!' { b'?' } else { b'!' };
    Some(vec![octets])
}

pub(super) fn body_of_another(memory: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    (is_fetch(text) && text.contains("BODY[] {")).then_some(())?;
    let begin = raw.windows(6).position(|octets| octets == b"BODY[]")?;
    let before = memory.body.replace(raw[begin..].to_vec())?;
    (before != raw[begin..]).then(|| vec![[&raw[..begin], &before].concat()])
}

pub(super) fn date_changed(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    (is_fetch(text) && text.contains("INTERNALDATE \"")).then_some(())?;
    let at = text.find("INTERNALDATE \"")? + 14 + 18;
    let digit = if &text[at..=at] == "7" { "3" } else { "7" };
    line(format!("{}{digit}{}", &text[..at], &text[at + 1..]))
}

pub(super) fn search_short(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let numbers = text.strip_prefix("* SEARCH ").filter(|rest| !rest.contains('('))?;
    let cut = numbers.trim_end().rfind(' ');
    line(cut.map_or("* SEARCH\r\n".to_owned(), |cut| format!("* SEARCH {}\r\n", &numbers[..cut])))
}

pub(super) fn search_long(memory: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let numbers = text.strip_prefix("* SEARCH").filter(|rest| !rest.contains('('))?;
    let by_number = memory.command.split(' ').nth(1) == Some("SEARCH");
    (by_number && numbers.split(' ').all(|number| number.trim() != "1")).then_some(())?;
    line(format!("* SEARCH 1{numbers}"))
}

pub(super) fn tag_twice(_: &mut Memory, text: &str, raw: &[u8]) -> Option<Vec<Vec<u8>>> {
    (!text.starts_with("* ") && !text.starts_with('+')).then(|| vec![raw.to_vec(), raw.to_vec()])
}

pub(super) fn tag_of_another(memory: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (tag, rest) = text.split_once(' ').filter(|(tag, _)| tag.starts_with('t'))?;
    (tag != memory.last_tag && memory.last_tag.starts_with('t')).then_some(())?;
    line(format!("{} {rest}", memory.last_tag))
}

pub(super) fn idle_deaf(memory: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    (memory.command.ends_with(" IDLE") && text.starts_with("* ")).then(Vec::new)
}

pub(super) fn space_doubled(_: &mut Memory, text: &str, _: &[u8]) -> Option<Vec<Vec<u8>>> {
    is_fetch(text).then_some(())?;
    line(text.replacen(" FETCH ", "  FETCH ", 1))
}
