//! RFC 5051: `i;unicode-casemap`, the collation of SORT and THREAD (RFC 5255 §4.2).

use unicode_normalization::char::decompose_compatible;

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

/// RFC 5051 §2 (2)(b): all decompositions that UnicodeData.txt names, which are none for Hangul.
fn put(character: char, out: &mut String) {
    match character {
        '\0'..='\x7f' | '\u{ac00}'..='\u{d7a3}' => out.push(character),
        _ => decompose_compatible(character, |part| out.push(part)),
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
            ("한글", "한글"),
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
}
