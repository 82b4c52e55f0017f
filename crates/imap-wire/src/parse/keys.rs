//! Search keys.

use mail_types::{FlagBits, Keyword, ModSeq};

use super::charset::{Charset, text};
use super::cursor::{Cursor, Fail, Parsed};
use crate::parse::ParseErrorKind;
use crate::{MAX_SEARCH_DEPTH, ModSeqEntry, SearchKey};

/// `search-key *(SP search-key)` up to the end of the command.
pub(super) fn program(cursor: &mut Cursor<'_>, charset: Charset) -> Parsed<SearchKey> {
    let mut keys = Keys { cursor, charset };
    let mut all = vec![keys.key(0)?];
    while !keys.cursor.is_end() {
        keys.cursor.space()?;
        all.push(keys.key(0)?);
    }
    Ok(and(all))
}

/// One key needs no AND.
fn and(mut keys: Vec<SearchKey>) -> SearchKey {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            SearchKey::And(keys)
        }
        None => SearchKey::All,
    }
}

struct Keys<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    charset: Charset,
}

impl Keys<'_, '_> {
    fn key(&mut self, depth: usize) -> Parsed<SearchKey> {
        if depth > MAX_SEARCH_DEPTH {
            return self.cursor.fail(ParseErrorKind::TooDeep);
        }
        match self.cursor.peek() {
            Some(b'(') => {
                self.cursor.open()?;
                self.list(depth + 1)
            }
            Some(b'0'..=b'9' | b'*' | b'$') => Ok(SearchKey::Sequence(self.cursor.sequence_set()?)),
            _ => self.named(depth),
        }
    }

    /// After the open parenthesis.
    fn list(&mut self, depth: usize) -> Parsed<SearchKey> {
        let mut all = vec![self.key(depth)?];
        loop {
            while self.cursor.take(b' ') {}
            if self.cursor.take(b')') {
                return Ok(and(all));
            }
            all.push(self.key(depth)?);
        }
    }

    fn next_key(&mut self, depth: usize) -> Parsed<Box<SearchKey>> {
        self.cursor.space()?;
        self.key(depth + 1).map(Box::new)
    }

    fn named(&mut self, depth: usize) -> Parsed<SearchKey> {
        let start = self.cursor.at;
        let word = self.cursor.word();
        let word = word.as_str();
        if let Some(key) = flag_key(word) {
            let is_recent = matches!(key, SearchKey::Recent | SearchKey::New | SearchKey::Old);
            return if is_recent && self.cursor.options.rev2 {
                // RFC 9051 appendix E: there is no \Recent.
                Err(Fail { kind: ParseErrorKind::Expected("a search key"), at: start })
            } else {
                Ok(key)
            };
        }
        match word {
            "NOT" => Ok(SearchKey::Not(self.next_key(depth)?)),
            "FUZZY" => Ok(SearchKey::Fuzzy(self.next_key(depth)?)),
            "OR" => {
                let first = self.next_key(depth)?;
                Ok(SearchKey::Or(first, self.next_key(depth)?))
            }
            _ => {
                let key = match self.text_key(word)? {
                    Some(key) => Some(key),
                    None => self.value_key(word)?,
                };
                key.ok_or(Fail { kind: ParseErrorKind::Expected("a search key"), at: start })
            }
        }
    }

    fn text_key(&mut self, word: &str) -> Parsed<Option<SearchKey>> {
        let make = match word {
            "BCC" => SearchKey::Bcc,
            "BODY" => SearchKey::Body,
            "CC" => SearchKey::Cc,
            "FROM" => SearchKey::From,
            "SUBJECT" => SearchKey::Subject,
            "TEXT" => SearchKey::Text,
            "TO" => SearchKey::To,
            "HEADER" => {
                self.cursor.space()?;
                let field = self.cursor.astring_text()?;
                self.cursor.space()?;
                return Ok(Some(SearchKey::Header(field, text(self.cursor, self.charset)?)));
            }
            _ => return Ok(None),
        };
        self.cursor.space()?;
        Ok(Some(make(text(self.cursor, self.charset)?)))
    }

    fn value_key(&mut self, word: &str) -> Parsed<Option<SearchKey>> {
        let date = match word {
            "BEFORE" => SearchKey::Before,
            "ON" => SearchKey::On,
            "SINCE" => SearchKey::Since,
            "SENTBEFORE" => SearchKey::SentBefore,
            "SENTON" => SearchKey::SentOn,
            "SENTSINCE" => SearchKey::SentSince,
            "SAVEDBEFORE" => SearchKey::SavedBefore,
            "SAVEDON" => SearchKey::SavedOn,
            "SAVEDSINCE" => SearchKey::SavedSince,
            _ => return self.number_key(word),
        };
        self.cursor.space()?;
        Ok(Some(date(self.cursor.date()?)))
    }

    fn number_key(&mut self, word: &str) -> Parsed<Option<SearchKey>> {
        let has_value = matches!(
            word,
            "LARGER"
                | "SMALLER"
                | "OLDER"
                | "YOUNGER"
                | "UID"
                | "KEYWORD"
                | "UNKEYWORD"
                | "MODSEQ"
                | "EMAILID"
                | "THREADID"
                | "FILTER"
        );
        if !has_value {
            return Ok(None);
        }
        self.cursor.space()?;
        Ok(Some(match word {
            "LARGER" => SearchKey::Larger(self.cursor.number63()?),
            "SMALLER" => SearchKey::Smaller(self.cursor.number63()?),
            "OLDER" => SearchKey::Older(self.cursor.nz_number()?),
            "YOUNGER" => SearchKey::Younger(self.cursor.nz_number()?),
            "UID" => SearchKey::Uid(self.cursor.sequence_set()?),
            "KEYWORD" => SearchKey::Keyword(self.keyword()?, true),
            "UNKEYWORD" => SearchKey::Keyword(self.keyword()?, false),
            "MODSEQ" => self.mod_seq()?,
            "EMAILID" => SearchKey::EmailId(self.cursor.astring_text()?),
            "THREADID" => SearchKey::ThreadId(self.cursor.astring_text()?),
            _ => SearchKey::Filter(self.cursor.astring_text()?),
        }))
    }

    fn keyword(&mut self) -> Parsed<Keyword> {
        let at = self.cursor.at;
        Keyword::try_from(self.cursor.atom()?)
            .map_err(|_| Fail { kind: ParseErrorKind::Expected("a keyword"), at })
    }

    /// RFC 7162 §7: `"MODSEQ" [search-modseq-ext] SP mod-sequence-valzer`
    fn mod_seq(&mut self) -> Parsed<SearchKey> {
        let mut entry = None;
        if self.cursor.peek() == Some(b'"') {
            let name = self.cursor.astring_text()?;
            self.cursor.space()?;
            let kind = self.cursor.atom()?.to_ascii_lowercase();
            if !matches!(kind.as_str(), "priv" | "shared" | "all") {
                return self.cursor.expected("priv, shared or all");
            }
            self.cursor.space()?;
            entry = Some(ModSeqEntry { name, kind });
        }
        Ok(SearchKey::ModSeq { at_least: ModSeq::new(self.cursor.number63()?), entry })
    }
}

fn flag_key(word: &str) -> Option<SearchKey> {
    Some(match word {
        "ALL" => SearchKey::All,
        "ANSWERED" => SearchKey::Flag(FlagBits::ANSWERED, true),
        "DELETED" => SearchKey::Flag(FlagBits::DELETED, true),
        "DRAFT" => SearchKey::Flag(FlagBits::DRAFT, true),
        "FLAGGED" => SearchKey::Flag(FlagBits::FLAGGED, true),
        "SEEN" => SearchKey::Flag(FlagBits::SEEN, true),
        "UNANSWERED" => SearchKey::Flag(FlagBits::ANSWERED, false),
        "UNDELETED" => SearchKey::Flag(FlagBits::DELETED, false),
        "UNDRAFT" => SearchKey::Flag(FlagBits::DRAFT, false),
        "UNFLAGGED" => SearchKey::Flag(FlagBits::FLAGGED, false),
        "UNSEEN" => SearchKey::Flag(FlagBits::SEEN, false),
        "RECENT" => SearchKey::Recent,
        "NEW" => SearchKey::New,
        "OLD" => SearchKey::Old,
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        _ => return None,
    })
}
