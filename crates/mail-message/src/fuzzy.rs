//! FUZZY (RFC 6203): finds what SEARCH finds and more, and tells how well it fits.
//!
//! Accents make no difference, nor does hiragana or katakana; and of several words all must be there, in any order. A score is
//! how alike the text is, weighed by where it stands: the subject says more about a message than its body does.

use memchr::memmem;
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

use crate::search::{Field, SECTION_END, fold, matches};

/// How alike, in percent: the text itself; the text but for accents and kana; its words in any order; its words, here and there.
const EXACT: u32 = 100;
const LOOSE: u32 = 85;
const WORDS: u32 = 60;
const SCATTERED: u32 = 30;
/// Where in a message TEXT is found, in percent. A body that has it several times counts for more, up to four times the step.
const IN_SUBJECT: u32 = 100;
const IN_HEADER: u32 = 85;
const IN_BODY: u32 = 60;
const BODY_STEP: u32 = 5;
const IN_MIME: u32 = 50;

/// What to look for.
#[derive(Debug, Clone)]
pub struct Needle {
    exact: String,
    loose: String,
    words: Vec<String>,
}

impl Needle {
    /// Of a text as the client gave it.
    pub fn new(text: &str) -> Self {
        let exact = fold(text);
        let loose = loosen(&exact);
        let words = loose.split_whitespace().map(str::to_owned).collect();
        Self { exact, loose, words }
    }

    /// Words that stand in every text that fits at all, without accents, in katakana where they are in kana.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// How well a message fits, 1 to 100; 0: not at all. At least 1 where [`matches`] finds it.
    pub fn score(&self, search_text: &str, field: &Field<'_>) -> u8 {
        let mut sections = search_text.split(SECTION_END);
        let mut section = || sections.next().unwrap_or_default();
        let (header, mime, body) = (section(), section(), section());
        let score = match field {
            Field::Header(name) => values(header, name).map(|value| self.likeness(value)).max().unwrap_or(0),
            Field::AnyHeader => self.likeness(header),
            Field::Body => self.likeness(body) * self.body_weight(body) / (IN_BODY + 4 * BODY_STEP),
            Field::Text => self.in_message(search_text, header, mime, body),
        };
        // What SEARCH finds is found, whatever the weights say.
        let least = u32::from(score == 0 && matches(search_text, field, &self.exact));
        score.max(least).min(100) as u8
    }

    fn in_message(&self, search_text: &str, header: &str, mime: &str, body: &str) -> u32 {
        let subject = values(header, "subject").map(|value| self.likeness(value)).max().unwrap_or(0);
        let best = [
            subject * IN_SUBJECT,
            self.likeness(header) * IN_HEADER,
            self.likeness(mime) * IN_MIME,
            self.likeness(body) * self.body_weight(body),
        ];
        match best.into_iter().max().unwrap_or(0) / 100 {
            0 if self.has_all_words(&loosen(search_text)) => SCATTERED,
            score => score,
        }
    }

    fn likeness(&self, text: &str) -> u32 {
        if has(text, &self.exact) {
            return EXACT;
        }
        let loose = loosen(text);
        match () {
            () if has(&loose, &self.loose) => LOOSE,
            () if self.has_all_words(&loose) => WORDS,
            () => 0,
        }
    }

    fn has_all_words(&self, loose: &str) -> bool {
        self.words.len() > 1 && self.words.iter().all(|word| has(loose, word))
    }

    fn body_weight(&self, body: &str) -> u32 {
        let more = match self.exact.is_empty() {
            true => 0,
            false => {
                memmem::find_iter(body.as_bytes(), self.exact.as_bytes()).take(5).count().saturating_sub(1)
            }
        };
        IN_BODY + BODY_STEP * more as u32
    }
}

fn has(text: &str, needle: &str) -> bool {
    memmem::find(text.as_bytes(), needle.as_bytes()).is_some()
}

/// The values of the fields of this name.
fn values<'a>(header: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    header.lines().filter_map(move |line| {
        let (found, value) = line.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then(|| value.strip_prefix(": ")).flatten()
    })
}

/// Folded text without accents, hiragana as katakana.
fn loosen(folded: &str) -> String {
    if folded.is_ascii() {
        return folded.to_owned();
    }
    let mut out = String::with_capacity(folded.len());
    for character in folded.chars() {
        match character {
            '\0'..='\x7f' | '\u{30a1}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' => {
                out.push(character);
            }
            'ぁ'..='ゖ' | 'ゝ' | 'ゞ' => {
                out.push(char::from_u32(u32::from(character) + 0x60).unwrap_or(character));
            }
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' => out.push('d'),
            'ı' => out.push('i'),
            // RFC 5051 takes it for the letter, so it is one unless it is part of another.
            '\u{345}' => out.push('ι'),
            _ => decompose_canonical(character, |part| {
                if canonical_combining_class(part) == 0 {
                    out.push(part);
                }
            }),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "subject: caffèlatte ラーメン imap is broken\nfrom: jörg <joe@example.org>\n\u{1c}\
                        content-type: text/plain\n\u{1c}the sound of müsic, the sound, kyoto きょうと\n\u{1c}";

    fn score(field: Field<'_>, needle: &str) -> u8 {
        Needle::new(needle).score(TEXT, &field)
    }

    #[test]
    fn accents_kana_and_the_order_of_words_make_no_difference() {
        for (field, needle) in [
            (Field::Header("Subject"), "CAFFELATTE"),
            (Field::Header("subject"), "らーめん"),
            (Field::Header("Subject"), "broken IMAP"),
            (Field::Header("From"), "jorg"),
            (Field::Body, "キョウト"),
            (Field::Body, "music sound"),
            (Field::Text, "music broken"),
            (Field::AnyHeader, "jorg imap"),
        ] {
            assert!(score(field, needle) > 0, "{field:?} {needle}");
            assert!(!matches(TEXT, &field, &fold(needle)), "{field:?} {needle}");
        }
        for (field, needle) in [
            (Field::Header("Subject"), "sound"),
            (Field::Header("Cc"), ""),
            (Field::Body, "music tokyo"),
            (Field::Text, "nowhere"),
        ] {
            assert_eq!(score(field, needle), 0, "{field:?} {needle}");
        }
    }

    #[test]
    fn the_better_fit_has_the_higher_score() {
        let descending = [
            score(Field::Text, "imap is broken"),
            score(Field::Text, "caffelatte"),
            score(Field::Text, "the sound"),
            score(Field::Text, "kyoto"),
            score(Field::Text, "music"),
            score(Field::Text, "music broken"),
        ];
        assert_eq!(descending[0], 100);
        assert!(descending.is_sorted_by(|a, b| a > b), "{descending:?}");
    }

    #[test]
    fn all_that_search_finds_is_found() {
        let needles = ["", "imap", "SOUND, the", "text/plain", "ラーメン", "müsic", "joe@", "a\u{1c}"];
        for field in
            [Field::Header("Subject"), Field::Header("From"), Field::AnyHeader, Field::Body, Field::Text]
        {
            for needle in needles {
                if matches(TEXT, &field, &fold(needle)) {
                    assert!(score(field, needle) > 0, "{field:?} {needle}");
                }
            }
        }
    }
}
