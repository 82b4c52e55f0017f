//! A strict parser of what an IMAP server sends. Written for this tester alone: it shares nothing with `imap-wire`, whose mistakes
//! it is there to find.

use std::collections::BTreeSet;

mod cursor;

use cursor::Cursor;
pub use cursor::{Malformed, Value};

/// Ranges of numbers, each ascending.
pub type Ranges = Vec<(u32, u32)>;

/// One reply, untagged or tagged.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// `* n EXISTS`
    Exists(u32),
    /// `* n RECENT`
    Recent(u32),
    /// `* n EXPUNGE`
    Expunge(u32),
    /// `* n FETCH (...)`, or `* uid UIDFETCH (...)`
    Fetch(Fetch),
    /// `* VANISHED [(EARLIER)] set`
    Vanished {
        /// With `(EARLIER)`.
        earlier: bool,
        /// UIDs.
        uids: Ranges,
    },
    /// `* FLAGS (...)`, in lower case.
    Flags(BTreeSet<String>),
    /// `* SEARCH n... [(MODSEQ n)]`
    Search {
        /// Sequence numbers or UIDs.
        numbers: Vec<u32>,
        /// The highest mod-sequence of those.
        modseq: Option<u64>,
    },
    /// `* ESEARCH (TAG "t") ...`
    ESearch(ESearch),
    /// `* UIDBATCHES (TAG "t") high:low,...` (RFC 10022), the highest and the lowest UID of each.
    UidBatches(Ranges),
    /// `* STATUS name (...)`
    Status {
        /// As quoted, not decoded.
        mailbox: String,
        /// The numbers among the items, by their names in upper case.
        items: Vec<(String, u64)>,
    },
    /// `* LIST (...) "/" name`
    List {
        /// Attributes in lower case.
        attributes: BTreeSet<String>,
        /// As quoted, not decoded.
        mailbox: String,
    },
    /// `* OK`, NO, BAD, BYE, PREAUTH
    Condition(Condition),
    /// `+ text`
    Continuation,
    /// A tagged reply.
    Tagged(String, Condition),
    /// Another untagged reply, well-formed; its name.
    Other(String),
}

/// Status, code and text.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// OK, NO, BAD, BYE or PREAUTH.
    pub status: String,
    /// The code's name in upper case, and what follows it.
    pub code: Option<(String, String)>,
}

impl Condition {
    /// The number after a code of this name.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.code_named(name)?.parse().ok()
    }

    /// What follows the code of this name.
    pub fn code_named(&self, name: &str) -> Option<&str> {
        self.code.as_ref().filter(|(code, _)| code == name).map(|(_, rest)| rest.as_str())
    }
}

/// What one FETCH line tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetch {
    /// The message's number; 0 in UIDFETCH.
    pub number: u32,
    /// `UID`, or that of UIDFETCH.
    pub uid: Option<u32>,
    /// UIDFETCH (RFC 9586)
    pub by_uid: bool,
    /// `FLAGS` in lower case, without \Recent.
    pub flags: Option<BTreeSet<String>>,
    /// \Recent is among the flags.
    pub recent: bool,
    /// `MODSEQ`
    pub modseq: Option<u64>,
    /// `RFC822.SIZE`
    pub size: Option<u64>,
    /// Everything else, by name in upper case.
    pub others: Vec<(String, Value)>,
}

/// What an ESEARCH line tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ESearch {
    /// `TAG`
    pub tag: Option<String>,
    /// The numbers are UIDs.
    pub uid: bool,
    /// `MIN`
    pub min: Option<u32>,
    /// `MAX`
    pub max: Option<u32>,
    /// `COUNT`
    pub count: Option<u32>,
    /// `ALL`
    pub all: Option<Ranges>,
    /// `MODSEQ`
    pub modseq: Option<u64>,
}

/// Parses one reply with its literals and the final CRLF.
///
/// # Errors
/// What is not of the grammar.
pub fn parse(octets: &[u8]) -> Result<Reply, Malformed> {
    let mut cursor = Cursor::new(octets);
    let reply = match cursor.peek() {
        Some(b'+') => {
            cursor.expect(b"+ ")?;
            cursor.text()?;
            Reply::Continuation
        }
        Some(b'*') => {
            cursor.expect(b"* ")?;
            untagged(&mut cursor)?
        }
        _ => {
            let tag = cursor.atom()?;
            cursor.expect(b" ")?;
            let status = cursor.atom()?;
            if !["OK", "NO", "BAD"].contains(&status.as_str()) {
                return Err(cursor.malformed("a tagged reply that is not OK, NO or BAD"));
            }
            cursor.expect(b" ")?;
            Reply::Tagged(tag, condition(&mut cursor, status)?)
        }
    };
    cursor.expect(b"\r\n")?;
    cursor.end()?;
    Ok(reply)
}

fn untagged(cursor: &mut Cursor<'_>) -> Result<Reply, Malformed> {
    if cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        return numbered(cursor);
    }
    let name = cursor.atom()?;
    Ok(match name.as_str() {
        "OK" | "NO" | "BAD" | "BYE" | "PREAUTH" => {
            cursor.expect(b" ")?;
            Reply::Condition(condition(cursor, name)?)
        }
        "FLAGS" => {
            cursor.expect(b" ")?;
            Reply::Flags(lower(cursor.flag_list()?))
        }
        "VANISHED" => {
            cursor.expect(b" ")?;
            let earlier = cursor.take(b"(EARLIER) ");
            Reply::Vanished { earlier, uids: cursor.ranges()? }
        }
        "SEARCH" => search(cursor)?,
        "ESEARCH" => Reply::ESearch(esearch(cursor)?),
        "UIDBATCHES" => uid_batches(cursor)?,
        "STATUS" => status(cursor)?,
        "LIST" | "LSUB" => list(cursor)?,
        _ => {
            cursor.rest_of_values()?;
            Reply::Other(name)
        }
    })
}

fn numbered(cursor: &mut Cursor<'_>) -> Result<Reply, Malformed> {
    let number = cursor.number32()?;
    cursor.expect(b" ")?;
    let name = cursor.atom()?;
    if number == 0 && !matches!(name.as_str(), "EXISTS" | "RECENT") {
        return Err(cursor.malformed("message number 0"));
    }
    Ok(match name.as_str() {
        "EXISTS" => Reply::Exists(number),
        "RECENT" => Reply::Recent(number),
        "EXPUNGE" => Reply::Expunge(number),
        "FETCH" => {
            cursor.expect(b" ")?;
            Reply::Fetch(fetch(cursor, number)?)
        }
        "UIDFETCH" => {
            cursor.expect(b" ")?;
            let fetch = fetch(cursor, 0)?;
            if fetch.uid.is_some_and(|uid| uid != number) {
                return Err(cursor.malformed("two UIDs for one message"));
            }
            Reply::Fetch(Fetch { uid: Some(number), by_uid: true, ..fetch })
        }
        _ => return Err(cursor.malformed("an unknown reply with a number")),
    })
}

fn fetch(cursor: &mut Cursor<'_>, number: u32) -> Result<Fetch, Malformed> {
    let mut fetch = Fetch { number, ..Fetch::default() };
    let mut names = BTreeSet::new();
    cursor.expect(b"(")?;
    loop {
        let name = cursor.item_name()?;
        if !names.insert(name.clone()) {
            return Err(cursor.malformed("the same item twice in one FETCH reply"));
        }
        cursor.expect(b" ")?;
        match name.as_str() {
            "UID" => fetch.uid = Some(cursor.nonzero()?),
            "FLAGS" => {
                let mut flags = lower(cursor.flag_list()?);
                fetch.recent = flags.remove("\\recent");
                fetch.flags = Some(flags);
            }
            "MODSEQ" => {
                cursor.expect(b"(")?;
                fetch.modseq = Some(cursor.modseq()?);
                cursor.expect(b")")?;
            }
            "RFC822.SIZE" => fetch.size = Some(cursor.number64()?),
            _ => fetch.others.push((name, cursor.value()?)),
        }
        if cursor.take(b")") {
            return Ok(fetch);
        }
        cursor.expect(b" ")?;
    }
}

fn uid_batches(cursor: &mut Cursor<'_>) -> Result<Reply, Malformed> {
    cursor.expect(b" (TAG ")?;
    cursor.value()?;
    cursor.expect(b")")?;
    let mut ranges = Ranges::new();
    while cursor.take(if ranges.is_empty() { b" " } else { b"," }) {
        let high = cursor.nonzero()?;
        cursor.expect(b":")?;
        ranges.push((high, cursor.nonzero()?));
    }
    Ok(Reply::UidBatches(ranges))
}

fn search(cursor: &mut Cursor<'_>) -> Result<Reply, Malformed> {
    let (mut numbers, mut modseq) = (Vec::new(), None);
    while cursor.take(b" ") {
        if cursor.take(b"(MODSEQ ") {
            modseq = Some(cursor.modseq()?);
            cursor.expect(b")")?;
            break;
        }
        numbers.push(cursor.nonzero()?);
    }
    Ok(Reply::Search { numbers, modseq })
}

fn esearch(cursor: &mut Cursor<'_>) -> Result<ESearch, Malformed> {
    let mut result = ESearch::default();
    if cursor.take(b" (TAG ") {
        result.tag = Some(cursor.string()?);
        cursor.expect(b")")?;
    }
    result.uid = cursor.take(b" UID");
    while cursor.take(b" ") {
        let name = cursor.atom()?;
        cursor.expect(b" ")?;
        match name.as_str() {
            "MIN" => result.min = Some(cursor.nonzero()?),
            "MAX" => result.max = Some(cursor.nonzero()?),
            "COUNT" => result.count = Some(cursor.number32()?),
            "ALL" => result.all = Some(cursor.ranges()?),
            "MODSEQ" => result.modseq = Some(cursor.modseq()?),
            _ => return Err(cursor.malformed("an unknown item of ESEARCH")),
        }
    }
    Ok(result)
}

fn status(cursor: &mut Cursor<'_>) -> Result<Reply, Malformed> {
    cursor.expect(b" ")?;
    let mailbox = cursor.string()?;
    cursor.expect(b" (")?;
    let mut items = Vec::new();
    while !cursor.take(b")") {
        if !items.is_empty() {
            cursor.expect(b" ")?;
        }
        let name = cursor.atom()?;
        cursor.expect(b" ")?;
        let number = if cursor.peek() == Some(b'(') {
            cursor.value()?;
            0
        } else {
            cursor.number64()?
        };
        items.push((name, number));
    }
    Ok(Reply::Status { mailbox, items })
}

fn list(cursor: &mut Cursor<'_>) -> Result<Reply, Malformed> {
    cursor.expect(b" ")?;
    let attributes = lower(cursor.flag_list()?);
    cursor.expect(b" ")?;
    cursor.value()?;
    cursor.expect(b" ")?;
    let mailbox = cursor.string()?;
    cursor.rest_of_values()?;
    Ok(Reply::List { attributes, mailbox })
}

fn condition(cursor: &mut Cursor<'_>, status: String) -> Result<Condition, Malformed> {
    let code = cursor.code()?;
    cursor.text()?;
    Ok(Condition { status, code })
}

fn lower(names: Vec<String>) -> BTreeSet<String> {
    names.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

/// Ranges as numbers.
pub fn expand(ranges: &[(u32, u32)]) -> Vec<u32> {
    ranges.iter().flat_map(|(first, last)| *first..=*last).collect()
}

/// A set of UIDs as it stands in a response code.
///
/// # Errors
/// What is no such set.
pub fn uid_set(text: &str) -> Result<Vec<u32>, Malformed> {
    let mut cursor = Cursor::new(text.as_bytes());
    let ranges = cursor.ranges()?;
    cursor.end()?;
    Ok(expand(&ranges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_send_is_taken() {
        for line in [
            "* 3 EXISTS\r\n",
            "* OK [UIDNEXT 4] Predicted\r\n",
            "* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n",
            "* VANISHED (EARLIER) 1:3,5\r\n",
            "* VANISHED 7\r\n",
            "* SEARCH\r\n",
            "* SEARCH 1 2 (MODSEQ 917)\r\n",
            "* UIDBATCHES (TAG \"a\")\r\n",
            "* UIDBATCHES (TAG \"a\") 9:4,3:1\r\n",
            "* ESEARCH (TAG \"a\") UID MIN 1 ALL 1:3,5 MODSEQ 9\r\n",
            "* STATUS INBOX (MESSAGES 1 MAILBOXID (M1))\r\n",
            "* LIST (\\HasNoChildren) \"/\" \"a b\"\r\n",
            "* 1 FETCH (UID 2 FLAGS (\\Seen \\Recent $a) MODSEQ (3) BODY[HEADER.FIELDS (\"X\")]<0> {3}\r\nabc)\r\n",
            "* 1 FETCH (ENVELOPE (NIL \"a\" ((NIL NIL \"b\" \"c\")(NIL NIL \"d\" \"e\"))) BODY[] \"\")\r\n",
            "* 25996 UIDFETCH (UID 25996 RFC822.SIZE 12008)\r\n",
            "a1 OK [COPYUID 1 2:3 4:5] done\r\n",
            "+ go on\r\n",
        ] {
            assert!(parse(line.as_bytes()).is_ok(), "{line}: {:?}", parse(line.as_bytes()));
        }
    }

    #[test]
    fn what_is_not_grammar_is_refused() {
        for line in [
            "* 3 EXISTS",
            "* 3 EXISTS\n",
            "* 3  EXISTS\r\n",
            "* 03 EXISTS\r\n",
            "* 0 EXPUNGE\r\n",
            "* 1 FETCH ()\r\n",
            "* 1 FETCH (UID 0)\r\n",
            "* 1 FETCH (UID 1 UID 1)\r\n",
            "* 1 FETCH (MODSEQ (0))\r\n",
            "* 0 UIDFETCH (FLAGS ())\r\n",
            "* 7 UIDFETCH (UID 8 FLAGS ())\r\n",
            "* 1 FETCH (BODY[] \"a\r\n\")\r\n",
            "* 1 FETCH (BODY[] {4}\r\nabc)\r\n",
            "* VANISHED 3:1\r\n",
            "* VANISHED 1,1\r\n",
            "* SEARCH 0\r\n",
            "* SEARCH 1 \r\n",
            "* FLAGS (\\Seen  a)\r\n",
            "* LIST () \"/\" a b\u{e9}\r\n",
            "a1 BYE x\r\n",
            "a1 OK [x\r\n",
            "+\r\n",
        ] {
            assert!(parse(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
