//! Which charset octets are in that say nothing about it, or something wrong.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{EUC_JP, Encoding, SHIFT_JIS, WINDOWS_1252};

/// Octets that are looked at; more say nothing new.
const LOOKED_AT: usize = 4096;

/// Octets beyond ASCII with which a guess is better than the most frequent charset.
const TELLING: usize = 6;

/// Octets that are not UTF-8: Japanese if they can be read as such, else in the charset they look like.
pub(crate) fn legacy(octets: &[u8]) -> Cow<'_, str> {
    if let Some(text) = japanese(octets) {
        return Cow::Owned(text);
    }
    if octets.iter().filter(|octet| !octet.is_ascii()).count() < TELLING {
        return WINDOWS_1252.decode_without_bom_handling(octets).0;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(&octets[..octets.len().min(LOOKED_AT)], octets.len() <= LOOKED_AT);
    match detector.guess(None, Utf8Detection::Deny).decode_without_bom_handling(octets) {
        (text, false) => text,
        (_, true) => WINDOWS_1252.decode_without_bom_handling(octets).0,
    }
}

/// Octets that are Shift_JIS or EUC-JP beyond doubt: nothing in them is wrong, and kana are among them, which octets of other
/// charsets hardly ever make.
pub(crate) fn japanese(octets: &[u8]) -> Option<String> {
    let euc = read(EUC_JP, octets);
    let sjis = read(SHIFT_JIS, octets);
    let best = [euc, sjis].into_iter().flatten().max_by_key(|read| read.score)?;
    best.is_japanese().then_some(best.text)
}

struct Read {
    text: String,
    kana: usize,
    /// Characters that are not ASCII.
    others: usize,
    score: i64,
}

impl Read {
    fn is_japanese(&self) -> bool {
        self.kana >= 2 && self.score * 2 > self.others as i64
    }
}

/// The octets in this charset; a character cut off at the end is no fault. `None`: they are in another.
fn read(encoding: &'static Encoding, octets: &[u8]) -> Option<Read> {
    let (text, wrong) = encoding.decode_without_bom_handling(octets);
    if wrong && text.trim_end_matches('\u{fffd}').contains('\u{fffd}') {
        return None;
    }
    let (mut kana, mut others, mut score) = (0, 0, 0);
    for character in text.chars().filter(|character| !character.is_ascii()) {
        others += 1;
        match character {
            'ぁ'..='ゖ' | 'ァ'..='ヺ' => {
                kana += 1;
                score += 1;
            }
            'ー' | '、'..='】' | '\u{4e00}'..='\u{9fff}' | '！'..='～' => score += 1,
            // Half-width kana: what EUC-JP and windows-1252 look like in Shift_JIS.
            '｡'..='ﾟ' => score -= 1,
            _ => {}
        }
    }
    Some(Read { text: text.into_owned(), kana, others, score })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_is_known_without_a_label() {
        for text in [
            "会議の資料をお送りします。",
            "お世話になっております。株式会社テストの山田です。\r\n明日の会議は東京駅で10:00からです。",
            "資料です",
            "Re: カタログの件",
            "ABC 株式会社のご案内 (new)",
        ] {
            for encoding in [SHIFT_JIS, EUC_JP] {
                let (octets, _, _) = encoding.encode(text);
                assert_eq!(legacy(&octets), text, "{}", encoding.name());
                assert_eq!(japanese(&octets).as_deref(), Some(text), "{}", encoding.name());
            }
        }
    }

    #[test]
    fn other_charsets_are_not_taken_for_japanese() {
        for text in [
            "Café à la carte",
            "Grüße aus Köln",
            "naïve façade",
            "¡Señor! ¿Qué?",
            "£100 ±5°",
            "Übergrößenträger für Äpfel, süße Früchte",
            "é",
        ] {
            let (octets, _, _) = WINDOWS_1252.encode(text);
            assert_eq!(japanese(&octets), None, "{text}");
            assert_eq!(legacy(&octets), text);
        }
        for (encoding, text) in [
            (encoding_rs::WINDOWS_1251, "Здравствуйте, это письмо"),
            (encoding_rs::KOI8_R, "Здравствуйте, это письмо"),
            (encoding_rs::GBK, "您好，附件是会议资料"),
            (encoding_rs::EUC_KR, "안녕하세요, 회의 자료입니다"),
        ] {
            let (octets, _, _) = encoding.encode(text);
            assert_eq!(japanese(&octets), None, "{text}");
            assert_eq!(legacy(&octets), text, "{}", encoding.name());
        }
        // No kana, but long enough for a guess.
        assert_eq!(legacy(&SHIFT_JIS.encode("会議資料送付").0), "会議資料送付");
    }
}
