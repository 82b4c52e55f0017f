//! SEARCH over text that was decoded and folded at delivery.
//!
//! `search_text` has three sections, each ended by U+001C: the fields of the message header, one
//! `name: value` line each; the same of the MIME headers of its parts; the text of the parts (and the headers of
//! messages inside it). Folding leaves no control character in text, so LF and U+001C divide and nothing else,
//! and a NUL never occurs.

use memchr::memmem;
use unicode_normalization::UnicodeNormalization;

use crate::casemap::{self, collated};

/// Ends a section of `search_text`.
pub(crate) const SECTION_END: char = '\u{1c}';

/// Where SEARCH looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// One field of the message header, its name in any case: HEADER, FROM, TO, CC, BCC, SUBJECT.
    Header(&'a str),
    /// Any field of the message header.
    AnyHeader,
    /// BODY: the text of the parts.
    Body,
    /// TEXT: header, MIME headers and body.
    Text,
}

/// Folds text so that equal means "the same to a human": NFKC (half-width kana, full-width Latin), lower case,
/// blanks and line ends as one space, invisible characters left out.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    Folder::new(&mut out, usize::MAX).push(text);
    out
}

/// Does the stored `search_text` contain the needle (folded by [`fold`]) in that field?
///
/// By the collation `i;unicode-casemap` (RFC 5255 §4.2, RFC 5051): both are decomposed, so a needle that ends with a bare letter is
/// found where a mark follows, `cafe` in `café` and か in が, but not `elan` in `Élan`, whose mark stands between.
///
/// An empty needle matches every message, but in [`Field::Header`] only one that has the field, RFC 9051 §6.4.4.
pub fn matches(search_text: &str, field: &Field<'_>, folded_needle: &str) -> bool {
    let header_end = section_end(search_text, 0);
    let mime_end = section_end(search_text, header_end + 1);
    let (header, body) = (&search_text[..header_end], search_text.get(mime_end + 1..).unwrap_or(""));
    match field {
        Field::Header(name) => header_matches(header, name, folded_needle),
        Field::AnyHeader => contains(header, folded_needle),
        Field::Body => contains(body, folded_needle),
        // The needle holds no divider, so it can't match across two sections.
        Field::Text => contains(search_text, folded_needle),
    }
}

/// The section of the message header: a `name: value` line for each field, the name in lower case.
pub fn header(search_text: &str) -> &str {
    &search_text[..section_end(search_text, 0)]
}

fn section_end(text: &str, from: usize) -> usize {
    let rest = text.as_bytes().get(from..).unwrap_or(&[]);
    memchr::memchr(SECTION_END as u8, rest).map_or(text.len(), |at| from + at)
}

fn header_matches(header: &str, name: &str, needle: &str) -> bool {
    header.lines().any(|line| {
        let Some((found, value)) = line.split_at_checked(name.len()) else { return false };
        found.eq_ignore_ascii_case(name)
            && value.strip_prefix(": ").is_some_and(|value| contains(value, needle))
    })
}

fn contains(text: &str, needle: &str) -> bool {
    let find = |text: &str, needle: &str| memmem::find(text.as_bytes(), needle.as_bytes()).is_some();
    // What is there as it is need not be decomposed to be found.
    find(text, needle) || !(text.is_ascii() && needle.is_ascii()) && find(&collated(text), &collated(needle))
}

/// The letters of a folded character, without marks: what an index of needles is made of. If a text [`matches`] a needle, the
/// needle's letters stand in the text's, in a row.
pub fn letters(folded: char, mut letter: impl FnMut(char)) {
    casemap::letters(folded, &mut letter);
}

/// Appends folded text until a limit of octets is reached.
pub(crate) struct Folder<'a> {
    out: &'a mut String,
    end: usize,
    /// A blank was seen and not written yet.
    blank: bool,
}

impl<'a> Folder<'a> {
    /// `room`: octets that may be appended.
    pub(crate) fn new(out: &'a mut String, room: usize) -> Self {
        let end = out.len().saturating_add(room);
        Self { out, end, blank: false }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= self.end
    }

    /// Folds a text that is complete in itself: blanks at its ends are kept as one space.
    pub(crate) fn push(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() && !self.is_full() {
            let (plain, last) = plain_run(rest);
            // The last plain character may combine with what follows, so it is normalised with it.
            let keep = if plain == rest.len() { plain } else { plain - last };
            self.push_plain(&rest[..keep]);
            let other = keep + other_run(&rest[keep..]);
            for character in rest[keep..other].nfkc() {
                self.push_normalised(character);
                if self.is_full() {
                    break;
                }
            }
            rest = &rest[other..];
        }
        if self.blank {
            self.push_char(' ');
            self.blank = false;
        }
    }

    /// Ends a text, so that it doesn't match together with the next.
    pub(crate) fn end_line(&mut self) {
        self.push_char('\n');
    }

    /// Characters that NFKC leaves alone, so that octets are enough to look at.
    fn push_plain(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() && !self.is_full() {
            let start = at + bytes[at..].iter().take_while(|byte| is_blank(**byte)).count();
            self.blank |= start > at;
            at = start + single_spaced(&bytes[start..]);
            if at > start {
                self.flush_blank();
                self.push_word(&text[start..at]);
            }
        }
    }

    fn push_word(&mut self, word: &str) {
        let mut room = self.end.saturating_sub(self.out.len()).min(word.len());
        while !word.is_char_boundary(room) {
            room -= 1;
        }
        let start = self.out.len();
        self.out.push_str(&word[..room]);
        self.out[start..].make_ascii_lowercase();
        if room < word.len() {
            self.end = self.out.len();
        }
    }

    fn push_normalised(&mut self, character: char) {
        if character.is_whitespace() || character.is_control() {
            self.blank = true;
        } else if !is_invisible(character) {
            self.flush_blank();
            for lower in character.to_lowercase() {
                // The two small sigmas are one letter.
                self.push_char(if lower == 'ς' { 'σ' } else { lower });
            }
        }
    }

    fn flush_blank(&mut self) {
        if self.blank {
            self.blank = false;
            self.push_char(' ');
        }
    }

    fn push_char(&mut self, character: char) {
        if self.out.len() + character.len_utf8() <= self.end {
            self.out.push(character);
        } else {
            self.end = self.out.len();
        }
    }
}

fn is_blank(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Length of the words at the start of `bytes` that have one space between them: they can be copied as one.
fn single_spaced(bytes: &[u8]) -> usize {
    let mut end = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if !is_blank(*byte) {
            end = at + 1;
        } else if *byte != b' ' || end < at {
            break;
        }
        at += 1;
    }
    end
}

/// Length of the ASCII that `bytes` begin with, in whole chunks.
fn ascii_chunks(bytes: &[u8]) -> usize {
    const CHUNK: usize = 32;
    bytes.chunks_exact(CHUNK).take_while(|chunk| chunk.is_ascii()).count() * CHUNK
}

/// Length of the run of plain characters that `text` begins with, and of the last of them.
fn plain_run(text: &str) -> (usize, usize) {
    let start = ascii_chunks(text.as_bytes());
    let mut last = usize::from(start > 0);
    for (at, character) in text[start..].char_indices() {
        if !is_plain(character) {
            return (start + at, last);
        }
        last = character.len_utf8();
    }
    (text.len(), last)
}

/// Length of the run to normalise: up to the next plain character after at least one that isn't.
fn other_run(text: &str) -> usize {
    let mut seen = false;
    for (at, character) in text.char_indices() {
        if is_plain(character) {
            if seen {
                return at;
            }
        } else {
            seen = true;
        }
    }
    text.len()
}

/// Frequent characters that NFKC leaves alone unless a combining one follows, and that are lower-case or have no
/// case; ASCII, whose capitals are handled.
fn is_plain(character: char) -> bool {
    matches!(character,
        '\0'..='\x7f' | 'ß'..='ÿ' | 'а'..='я' | '–' | '—' | '‘' | '’' | '“' | '”' | '•'
        | '、'..='】' | 'ぁ'..='ゖ' | 'ァ'..='ー' | '\u{4e00}'..='\u{9fff}')
}

/// Characters that show nothing and are left out.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{fe0e}' | '\u{fe0f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use unicode_normalization::char::canonical_combining_class;

    use super::*;

    #[test]
    fn plain_characters_are_left_alone_by_the_long_way() {
        for character in (char::MIN..=char::MAX).filter(|character| is_plain(*character)) {
            let lower = character.to_ascii_lowercase();
            assert!(character.nfkc().eq([character]), "{character:?}");
            assert!(character.to_ascii_lowercase().to_lowercase().eq([lower]), "{character:?}");
            assert_eq!(canonical_combining_class(character), 0);
            assert!(!is_invisible(character) && (character.is_ascii() || !character.is_whitespace()));
            assert!(character.is_ascii() || !character.is_control());
        }
    }

    #[test]
    fn folded_text_ends_at_its_limit() {
        for (text, room, folded) in [
            ("ABC def", 5, "abc d"),
            ("山田", 5, "山"),
            ("a山", 3, "a"),
            ("Éa", 2, "é"),
            ("ÉÉ", 3, "é"),
            ("a  b", 2, "a "),
            ("abc", 0, ""),
        ] {
            let mut out = String::from("x");
            Folder::new(&mut out, room).push(text);
            assert_eq!(out, format!("x{folded}"), "{text}");
        }
    }

    fn found(text: &str, needle: &str) -> bool {
        matches(&fold(text), &Field::Text, &fold(needle))
    }

    #[test]
    fn a_bare_letter_at_the_end_is_found_where_a_mark_follows() {
        for (text, needle) in [
            ("un café", "cafe"),
            ("un cafe\u{301}", "CAFE"),
            ("un café", "cafe\u{301}"),
            ("élan", "e"),
            ("がっこう", "か"),
            ("がっこう", "か\u{3099}"),
            ("ﾊﾟﾝ", "ハ"),
            ("각", "가"),
            ("각", "\u{1100}\u{1161}"),
            ("\u{1100}\u{1161}\u{11a8}", "각"),
            ("ılık", "ilik"),
            ("10㎏", "KG"),
            ("ǆ", "Dž"),
        ] {
            assert!(found(text, needle), "{needle} in {text}");
        }
        for (text, needle) in [
            ("élan", "el"),
            ("cafe", "café"),
            ("かっこう", "が"),
            ("がっこう", "かっ"),
            ("か", "カ"),
            ("가", "각"),
            ("각나", "가나"),
            ("strasse", "straße"),
        ] {
            assert!(!found(text, needle), "{needle} in {text}");
        }
    }

    /// Marks of one class only: RFC 5051 §4 (2) leaves open whether others are put in order.
    const PIECES: [&str; 26] = [
        "a", "b", "E", "é", "e\u{301}", "\u{300}", "ß", "ı", "ﬀ", "Ǆ", "ǆ", "か", "が", "カ", "ｶﾞ", "会",
        "가", "각", "ㄱ", "\u{1161}", "\u{11a8}", "Σ", "ς", "ΐ", "ᲀ", " ",
    ];

    fn words(most: usize) -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        prop::collection::vec(prop::sample::select(&PIECES[..]), 1..most).prop_map(|some| some.concat())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        #[test]
        fn whatever_the_collation_finds_is_found(text in words(10), needle in words(4)) {
            let form = |text: &str| casemap::casemap(text, usize::MAX);
            // Blanks count as one; the collation would count them.
            if form(&text).contains(&form(&needle)) && !needle.contains(' ') {
                proptest::prop_assert!(found(&text, &needle), "{needle:?} in {text:?}");
            }
        }
    }
}
