//! RFC 5051: `i;unicode-casemap`, the collation of SEARCH, SORT and THREAD (RFC 5255 §4.2).
//!
//! SORT and THREAD compare [`casemap`], the form that RFC 5051 describes. SEARCH looks into text that is folded already
//! ([`crate::search::fold`]), so it compares [`collated`], the same form in lower case, but for one thing: RFC 5051 maps the case
//! of a character before it decomposes it and not again after, so that `㎏` would be found by neither `kg` nor `KG`, nor would `ﬁ`.
//! Here the parts are mapped too. All that the collation finds is found.

use std::borrow::Cow;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};

/// The form of a text whose octets compare as the collation compares texts: every character in title case, then
/// decomposed. Cut after at most `room` octets, where a character ends.
pub(crate) fn casemap(text: &str, room: usize) -> String {
    if text.is_ascii() {
        return text[..text.len().min(room)].to_ascii_uppercase();
    }
    let mut out = String::with_capacity(text.len().min(room));
    for character in text.chars() {
        let before = out.len();
        put(title_case(character), &mut out);
        if out.len() > room {
            out.truncate(before);
            break;
        }
    }
    out
}

/// RFC 5051 §2 (2)(b): "effectively Normalization Form KD", so that Hangul is equal however it was typed.
fn put(character: char, out: &mut String) {
    match character {
        '\0'..='\x7f' => out.push(character),
        _ => decompose_compatible(character, |part| out.push(part)),
    }
}

/// The form of a folded text in which SEARCH looks for that of the needle.
///
/// A needle that ends with a bare letter is found where a mark follows: `cafe` in `café`, か in が (か and U+3099), 가 in 각.
pub(crate) fn collated(folded: &str) -> Cow<'_, str> {
    if folded.is_ascii() {
        return Cow::Borrowed(folded);
    }
    let mut out = String::with_capacity(folded.len() + folded.len() / 4);
    for character in folded.chars() {
        collate(character, &mut |part| out.push(part));
    }
    Cow::Owned(out)
}

fn collate(character: char, out: &mut dyn FnMut(char)) {
    match character {
        '\0'..='\x7f' => out(character.to_ascii_lowercase()),
        '\u{4e00}'..='\u{9fff}' => out(character),
        _ => {
            let lower = lower_case(title_case(character));
            decompose_compatible(lower, |part| if part == lower { out(part) } else { collate(part, out) });
        }
    }
}

/// The letters of a folded character, for an index of needles: without marks, and of a Hangul syllable what it begins with. A text
/// that contains a needle contains the needle's letters, in a row.
pub(crate) fn letters(folded: char, out: &mut dyn FnMut(char)) {
    const FINALS: u32 = 28;
    match folded {
        '\0'..='\x7f' | '\u{4e00}'..='\u{9fff}' => out(folded),
        '\u{ac00}'..='\u{d7a3}' => {
            let first = u32::from(folded) - 0xac00;
            out(char::from_u32(0xac00 + first / FINALS * FINALS).unwrap_or(folded));
        }
        _ => collate(folded, &mut |part| match part {
            // As FUZZY (RFC 6203) has them.
            'ß' => ['s', 's'].into_iter().for_each(&mut *out),
            'æ' => ['a', 'e'].into_iter().for_each(&mut *out),
            'œ' => ['o', 'e'].into_iter().for_each(&mut *out),
            'ø' => out('o'),
            'ł' => out('l'),
            'đ' => out('d'),
            // What may be the rest of a syllable.
            '\u{1161}'..='\u{1175}' | '\u{11a8}'..='\u{11c2}' => {}
            _ if canonical_combining_class(part) == 0 => out(part),
            _ => {}
        }),
    }
}

fn lower_case(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        // The two small sigmas are one letter.
        (Some('ς'), None) => 'σ',
        (Some(one), None) => one,
        _ => character,
    }
}

/// RFC 5051 §2 (2)(a): the simple title case, so that `ß` stays what it is.
fn title_case(character: char) -> char {
    match character {
        'ǅ' | 'ǈ' | 'ǋ' | 'ǲ' => character,
        'Ǆ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǳ' => 'ǲ',
        // Georgian has capitals, but no title case.
        '\u{10d0}'..='\u{10ff}' => character,
        // Greek with iota below, whose full capitals are two letters.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(character, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(character, 9),
        _ => {
            let mut upper = character.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => character,
            }
        }
    }
}

fn shifted(character: char, by: u32) -> char {
    char::from_u32(u32::from(character) + by).unwrap_or(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        casemap(a, usize::MAX) == casemap(b, usize::MAX)
    }

    #[test]
    fn case_width_and_composition_make_no_difference() {
        for (a, b) in [
            ("hello", "HELLO"),
            ("É", "e\u{301}"),
            ("ｶﾞ", "ガ"),
            ("ａｂｃ", "ABC"),
            ("Σίσυφος", "σίσυφοσ"),
            ("ﬁ", "fi"),
            ("ᾳ", "ᾼ"),
            ("ǆ", "Ǆ"),
            ("한글", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"),
        ] {
            assert!(same(&a.to_uppercase(), &b.to_uppercase()) || same(a, b), "{a} {b}");
        }
        for (a, b) in [("か", "が"), ("か", "カ"), ("ss", "ß"), ("a", "b"), ("a b", "a  b")] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn letters_sort_before_brackets_and_accents_after_their_letter() {
        let mut words = ["[list]", "zebra", "éclair", "eclair", "Ezra", "ℌ", "あ", "ア", "亜"];
        words.sort_by_key(|word| casemap(word, usize::MAX));
        assert_eq!(words, ["eclair", "Ezra", "éclair", "ℌ", "zebra", "[list]", "あ", "ア", "亜"]);
    }

    #[test]
    fn the_form_ends_where_a_character_ends() {
        assert_eq!(casemap("abc", 2), "AB");
        assert_eq!(casemap("aé", 3), "A");
        assert_eq!(casemap("aé", 4), "AE\u{301}");
        assert_eq!(casemap("山田", 5), "山");
    }

    /// SEARCH finds whatever RFC 5051 says is a substring: characters that it holds equal have one form.
    #[test]
    fn folded_text_keeps_what_the_collation_compares() {
        let shown = |c: &char| !c.is_whitespace() && !c.is_control() && !crate::search::is_invisible(*c);
        for character in (char::MIN..=char::MAX).filter(shown) {
            let text = character.to_string();
            let form = collated(&crate::search::fold(&text)).into_owned();
            let strict = casemap(&text, usize::MAX);
            let mut again = String::new();
            strict.chars().for_each(|part| collate(part, &mut |part| again.push(part)));
            // The one capital that RFC 5051 tells from its small letter in lower case (UnicodeData.txt has no capital for that).
            let known = matches!(character, 'ẞ' | '\u{1c90}'..='\u{1cbf}');
            assert!(form == again || known, "{character:?} {form:?} {again:?}");
            assert_eq!(collated(&form), form, "{character:?}");
        }
    }
}
