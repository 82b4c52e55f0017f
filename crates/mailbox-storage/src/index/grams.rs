//! Which pieces of a text are looked for in the index: its grams, as numbers of bits.
//!
//! Three letters or digits in a row are a gram; of characters that words are written with without blanks (ideographs, kana,
//! Hangul) each one is, and each two in a row, because people search for words of one or two of them. What else there is
//! divides. Letters are taken without marks, because a needle that ends with a bare letter is found where a mark follows
//! (RFC 5051), and Hangul without the final consonant, likewise. A text that contains a needle has all of the needle's grams. The fields that people search most have their grams
//! once more for themselves, so that a name that stands in every body is still found quickly in the few subjects it is in.
//!
//! What a gram's bits are is stored in the index: a change here needs a new [`SCHEME`].

/// Version of this module's numbers.
pub(crate) const SCHEME: i32 = 2;
/// Bits are numbered from 0 to below this power of two.
pub(crate) const WIDTH_BITS_MAX: u32 = 18;
/// Multipliers of the bits that a gram has; the first of them is enough for three letters, of which there are many in a text.
const MULTIPLIERS: [u64; 3] = [0x9E37_79B9_7F4A_7C15, 0xC2B2_AE3D_27D4_EB4F, 0xD6E8_FEB8_6659_FD93];
/// Bits of a gram of three letters, of two ideographs, of one.
const LETTERS_BITS: usize = 1;
const TWO_BITS: usize = 2;
const ONE_BITS: usize = 3;
/// Header fields with grams of their own, as the stored text names them.
const FIELDS: [&str; 5] = ["subject", "from", "to", "cc", "bcc"];
/// Where no field has its grams.
const ANYWHERE: u64 = 0;
/// Kinds of grams: the length, so that one character and two never are the same number.
const PAIR: u64 = 1 << 62;
/// The characters of a gram of three letters, of one of two.
const ROW: u64 = (1 << 63) - 1;
const TWO: u64 = (1 << 42) - 1;

/// Where a needle is looked for, as far as the index tells places apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Place {
    /// Anywhere in the text.
    pub(crate) const ANYWHERE: Self = Self(ANYWHERE);

    /// In the header field of this name, if it is one that has grams of its own, else anywhere.
    pub(crate) fn field(name: &str) -> Self {
        let at = FIELDS.iter().position(|field| field.eq_ignore_ascii_case(name));
        Self(at.map_or(ANYWHERE, |at| at as u64 + 1))
    }
}

/// Calls `bit` with every bit of a folded text; of some of them several times.
pub(crate) fn bits_of(text: &str, place: Place, mut bit: impl FnMut(u32)) {
    let salt = place.0.wrapping_mul(0xA24B_AED4_963E_E407);
    let bytes = text.as_bytes();
    let mut row = Row::default();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii() {
            row.ascii(*byte, salt, &mut bit);
            at += 1;
        } else {
            let Some(character) = text[at..].chars().next() else { return };
            mail_message::search::letters(character, |letter| match u8::try_from(letter) {
                Ok(byte) if byte.is_ascii() => row.ascii(byte, salt, &mut bit),
                _ => row.character(letter, salt, &mut bit),
            });
            at += character.len_utf8();
        }
    }
}

/// The characters before.
#[derive(Default)]
struct Row {
    /// The last ones, 21 bits each.
    characters: u64,
    /// How many letters in a row they are.
    letters: u32,
    /// Is the last one dense?
    dense: bool,
}

impl Row {
    /// Most text is this.
    #[inline]
    fn ascii(&mut self, byte: u8, salt: u64, bit: &mut impl FnMut(u32)) {
        self.characters = (self.characters << 21 | u64::from(byte)) & ROW;
        self.letters = if byte.is_ascii_lowercase() || byte.is_ascii_digit() { self.letters + 1 } else { 0 };
        self.dense = false;
        if self.letters >= 3 {
            put::<LETTERS_BITS>(self.characters ^ salt, bit);
        }
    }

    fn character(&mut self, character: char, salt: u64, bit: &mut impl FnMut(u32)) {
        let one = u64::from(u32::from(character));
        let before = self.characters;
        self.characters = (before << 21 | one) & ROW;
        match kind(character) {
            Kind::Letter => {
                self.letters += 1;
                self.dense = false;
                if self.letters >= 3 {
                    put::<LETTERS_BITS>(self.characters ^ salt, bit);
                }
            }
            Kind::Dense => {
                put::<ONE_BITS>(one ^ salt, bit);
                if self.dense {
                    put::<TWO_BITS>((self.characters & TWO | PAIR) ^ salt, bit);
                }
                self.letters = 0;
                self.dense = true;
            }
            Kind::Other => {
                self.letters = 0;
                self.dense = false;
            }
        }
    }
}

/// Calls `bit` for a whole stored text: everything anywhere, and the fields that have grams of their own.
pub(crate) fn bits_of_message(text: &str, mut bit: impl FnMut(u32)) {
    bits_of(text, Place::ANYWHERE, &mut bit);
    for line in mail_message::search::header(text).lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        let place = Place::field(name);
        if place != Place::ANYWHERE {
            bits_of(value, place, &mut bit);
        }
    }
}

#[inline]
fn put<const BITS: usize>(gram: u64, bit: &mut impl FnMut(u32)) {
    for multiplier in &MULTIPLIERS[..BITS] {
        bit((gram.wrapping_mul(*multiplier) >> (64 - WIDTH_BITS_MAX)) as u32);
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Letter,
    /// Written without blanks between words.
    Dense,
    Other,
}

/// Of a character that is not ASCII.
fn kind(character: char) -> Kind {
    match character {
        'ぁ'..='ゖ' | 'ァ'..='ヺ' | 'ー' | '\u{4e00}'..='\u{9fff}' => Kind::Dense,
        '\u{2e80}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
            if character.is_alphanumeric() =>
        {
            Kind::Dense
        }
        // A syllable may begin with it.
        '\u{1100}'..='\u{1112}' => Kind::Other,
        _ if character.is_alphanumeric() => Kind::Letter,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use mail_message::search::{Field, fold, matches};
    use proptest::prelude::*;

    use super::*;

    /// Few letters with many marks, so that needles often match, and often by half a character.
    const PIECES: [&str; 32] = [
        "a", "b", "c", "E", "é", "e\u{301}", "\u{301}", "\u{323}", "ß", "ẞ", "æ", "ı", "İ", "ﬁ", "か", "が",
        "ハ", "ﾊﾟ", "\u{3099}", "会", "가", "각", "ㄱ", "\u{1100}", "\u{1161}", "\u{11a8}", "ᾳ", "ι", " ",
        "ㇰ", "\u{345}", "ø",
    ];

    fn words(most: usize) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(&PIECES[..]), 1..most).prop_map(|some| some.concat())
    }

    fn bits(text: &str) -> HashSet<u32> {
        let mut bits = HashSet::new();
        bits_of(text, Place::ANYWHERE, |bit| {
            bits.insert(bit);
        });
        bits
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_text_has_all_grams_of_what_is_found_in_it(text in words(12), needle in words(5)) {
            let (text, needle) = (fold(&text), fold(&needle));
            if matches(&text, &Field::Text, &needle) {
                prop_assert!(bits(&needle).is_subset(&bits(&text)), "{needle:?} in {text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_text_has_all_grams_of_what_fits_it_fuzzily(
            text in words(12), subject in words(4), needle in prop::collection::vec(words(4), 1..3),
        ) {
            use mail_message::fuzzy;

            let needle = fuzzy::Needle::new(&needle.join(" "));
            let text = format!("subject: {}\n\u{1c}\u{1c}{}\n\u{1c}", fold(&subject), fold(&text));
            let mut bits = HashSet::new();
            bits_of_message(&text, |bit| {
                bits.insert(bit);
            });
            for (field, header) in
                [(Field::Text, None), (Field::Body, None), (Field::Header("Subject"), Some("Subject"))]
            {
                if needle.score(&text, &field) > 0 {
                    let wanted = super::super::Needle::of_fuzzy(needle.words(), header);
                    prop_assert!(wanted.is_within(&bits), "{needle:?} in {text:?}, {field:?}");
                }
            }
        }
    }

    #[test]
    fn what_fuzzy_takes_for_the_same_has_the_same_grams() {
        let passed_over = |character: char| {
            let kana = matches!(character, '\u{3041}'..='\u{30ff}');
            // Many, and all alike.
            kana || matches!(character, '\u{4e00}'..='\u{9fff}' | '\u{ac10}'..='\u{d790}')
        };
        for character in ('\u{80}'..'\u{1f200}').filter(|character| !passed_over(*character)) {
            let folded = fold(&format!("abc{character}def"));
            let needle = mail_message::fuzzy::Needle::new(&folded);
            let wanted = super::super::Needle::of_fuzzy(needle.words(), None);
            assert!(wanted.is_within(&bits(&folded)), "{character:?}: {folded:?}");
        }
    }

    #[test]
    fn marks_leave_the_letters_around_them_together() {
        assert!(bits(&fold("müller")).is_superset(&bits(&fold("muller"))));
        assert!(!bits(&fold("서울대")).is_empty() && bits(&fold("서울")).is_subset(&bits(&fold("서울대"))));
    }
}
