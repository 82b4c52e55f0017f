//! The mails that are measured with: the same every time, made here, 13 KB on average.
//!
//! 500 bodies, each used again with other header fields: no two mails of a run are alike.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many bodies there are.
pub(super) const BODIES: usize = 500;

/// Stands in one of [`HIT_EVERY`] mails.
pub(super) const HIT: &str = "chrysanthemum";

/// Stands in no mail.
pub(super) const MISS: &str = "xylophonist";

/// Stands in every mail.
pub(super) const COMMON: &str = "postfix";

/// Stands in every Japanese mail in UTF-8.
pub(super) const JAPANESE_NEEDLE: &str = "駅で";

/// One body of so many has the word [`HIT`].
pub(super) const HIT_EVERY: usize = 20;

/// Makes the mails unlike those of other runs, on servers that live longer than one.
static RUN: OnceLock<u64> = OnceLock::new();

/// The number of the next mail.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// `count` new mails, with the bodies from number `first` on.
pub(super) fn next_messages(first: usize, count: usize) -> Vec<Vec<u8>> {
    (first..first + count).map(next_message).collect()
}

/// A new mail with body number `body` (of [`BODIES`], then from the start again).
pub(super) fn next_message(body: usize) -> Vec<u8> {
    compose(bodies(), body)
}

/// A new mail with a short body in plain text.
pub(super) fn next_short_message(body: usize) -> Vec<u8> {
    static SHORT: OnceLock<Vec<Body>> = OnceLock::new();
    compose(
        SHORT.get_or_init(|| (0..HIT_EVERY).map(|n| plain(&mut Random(n as u64), n, 1_000)).collect()),
        body,
    )
}

struct Body {
    /// Header fields that belong to it.
    fields: String,
    content: Vec<u8>,
}

fn compose(bodies: &[Body], number: usize) -> Vec<u8> {
    let body = &bodies[number % bodies.len()];
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut message = header(serial).into_bytes();
    message.extend_from_slice(body.fields.as_bytes());
    message.extend_from_slice(b"\r\n");
    message.extend_from_slice(&body.content);
    message
}

fn bodies() -> &'static [Body] {
    static ALL: OnceLock<Vec<Body>> = OnceLock::new();
    ALL.get_or_init(|| (0..BODIES).map(body).collect())
}

/// Fields that differ from mail to mail; always of the same length.
fn header(serial: u64) -> String {
    let run = RUN.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()));
    let time = format!("{:02}:{:02}:{:02} +0900", serial / 3600 % 24, serial / 60 % 60, serial % 60);
    // Five mails make a thread.
    let first = serial - serial % 5;
    format!(
        "Received: from mx{0:02}.example.net (mx{0:02}.example.net [192.0.2.{1:03}])\r\n\
         \tby mail.example.org (Postfix) with ESMTPS id {serial:012X}\r\n\
         \tfor <user@example.org>; Mon,  2 Nov 2026 {time} (JST)\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=mail;\r\n\
         \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; h=From:To:Subject:Date;\r\n\
         \tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n\
         Message-ID: <{run}.{serial:012}@example.net>\r\n\
         In-Reply-To: <{run}.{first:012}@example.net>\r\n\
         References: <{run}.{first:012}@example.net>\r\n\
         Date: Mon,  2 Nov 2026 {time}\r\n\
         From: =?UTF-8?B?5bGx55Sw?= Taro <sender{0:02}@example.net>\r\n\
         To: A Reader <user@example.org>, list-{1:03}@example.org\r\n\
         MIME-Version: 1.0\r\n",
        serial % 37,
        serial % 250,
    )
}

/// In twenty: 8 English, 2 ISO-2022-JP, 2 Japanese in UTF-8, 5 in two forms, 3 with an attachment, seldom a large one.
fn body(number: usize) -> Body {
    let mut random = Random(number as u64 + 1);
    match number % 20 {
        0..8 => plain(&mut random, number, 1_000 + 400 * (number % 8)),
        8..10 => japanese_jis(&mut random),
        10..12 => japanese_utf8(&mut random),
        12..17 => alternative(&mut random, number),
        19 if number / 20 % 4 == 3 => attachment(&mut random, number, 100_000 + 30_000 * (number / 80)),
        _ => attachment(&mut random, number, 18_000 + 2_000 * (number / 20)),
    }
}

fn plain(random: &mut Random, number: usize, length: usize) -> Body {
    let mut text = String::new();
    if number.is_multiple_of(HIT_EVERY) {
        let _ = write!(text, "A {HIT} grows here.\r\n");
    }
    english(random, length, &mut text);
    Body {
        fields: format!(
            "Subject: Notes of meeting {number}\r\nContent-Type: text/plain; charset=us-ascii\r\n"
        ),
        content: text.into_bytes(),
    }
}

fn japanese_jis(random: &mut Random) -> Body {
    let mut content = Vec::new();
    for _ in 0..40 {
        content.extend_from_slice(b"\x1b$B");
        for _ in 0..30 {
            // Hiragana, and kanji of the first level: JIS X 0208 rows 4 and 16 to 46.
            let is_kana = random.below(3) > 0;
            let (row, cells) = if is_kana { (0x24, 83) } else { (0x30 + random.below(31), 94) };
            content.extend([row as u8, 0x21 + random.below(cells) as u8]);
        }
        content.extend_from_slice(b"\x1b(B\r\n");
    }
    Body {
        fields: "Subject: =?ISO-2022-JP?B?GyRCRk8kLxsoQg==?=\r\n\
                 Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n"
            .into(),
        content,
    }
}

fn japanese_utf8(random: &mut Random) -> Body {
    let mut text = String::new();
    for _ in 0..40 {
        for _ in 0..8 {
            text.push_str(JAPANESE[random.below(JAPANESE.len())]);
        }
        text.push_str("。\r\n");
    }
    Body {
        fields: "Subject: =?UTF-8?B?5bGK44GP?=\r\n\
                 Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n"
            .into(),
        content: text.into_bytes(),
    }
}

fn alternative(random: &mut Random, number: usize) -> Body {
    let mut text = String::from("--=_alt\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n");
    english(random, 2_000 + 300 * (number % 5), &mut text);
    text.push_str("--=_alt\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n<html><body>\r\n");
    for paragraph in 0..(12 + number % 7) {
        let _ = write!(text, "<p class=\"c{paragraph}\" style=\"margin: 0 0 1em 0; color: #333\">\r\n");
        english(random, 400, &mut text);
        text.push_str("</p>\r\n");
    }
    text.push_str("</body></html>\r\n--=_alt--\r\n");
    Body {
        fields: format!(
            "Subject: News of week {number}\r\nContent-Type: multipart/alternative; boundary=\"=_alt\"\r\n"
        ),
        content: text.into_bytes(),
    }
}

fn attachment(random: &mut Random, number: usize, length: usize) -> Body {
    let mut text = String::from("--=_mix\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n");
    english(random, 600, &mut text);
    let _ = write!(
        text,
        "--=_mix\r\nContent-Type: application/pdf; name=\"report-{number}.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"report-{number}.pdf\"\r\n\r\n"
    );
    for _ in 0..length / 78 {
        // Random letters of the alphabet are the encoding of random octets.
        for _ in 0..76 {
            text.push(char::from(BASE64[random.below(BASE64.len())]));
        }
        text.push_str("\r\n");
    }
    text.push_str("--=_mix--\r\n");
    Body {
        fields: format!("Subject: Report {number}\r\nContent-Type: multipart/mixed; boundary=\"=_mix\"\r\n"),
        content: text.into_bytes(),
    }
}

/// At least `length` octets of lines of words.
fn english(random: &mut Random, length: usize, text: &mut String) {
    let end = text.len() + length;
    while text.len() < end {
        for _ in 0..11 {
            text.push_str(ENGLISH[random.below(ENGLISH.len())]);
            text.push(' ');
        }
        text.push_str("ok.\r\n");
    }
}

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const ENGLISH: &[&str] = &[
    "the", "of", "and", "to", "a", "in", "that", "is", "was", "he", "for", "it", "with", "as", "his", "on",
    "be", "at", "by", "had", "not", "are", "but", "from", "or", "have", "an", "they", "which", "one", "you",
    "were", "meeting", "report", "delivery", "invoice", "project", "schedule", "tomorrow", "question",
    "answer", "server", "mailbox", "message", "garden", "station", "weather", "weekend", "contract",
    "customer", "budget", "holiday",
];

const JAPANESE: &[&str] = &[
    "会議",
    "の",
    "資料",
    "を",
    "送り",
    "ます",
    "明日",
    "は",
    "お世話に",
    "なって",
    "おり",
    "東京",
    "駅",
    "で",
    "予定",
    "ご確認",
    "ください",
    "よろしく",
    "お願い",
    "いたし",
    "請求書",
    "について",
    "ありがとう",
    "ござい",
    "週末",
    "天気",
];

/// SplitMix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_13_kb_and_some_are_large() {
        let sizes: Vec<_> = (0..BODIES).map(|n| next_message(n).len()).collect();
        let mean = sizes.iter().sum::<usize>() / BODIES;
        assert!((12_500..14_000).contains(&mean), "{mean}");
        assert!((4..10).contains(&sizes.iter().filter(|&&size| size > 100_000).count()));
        assert!(sizes.iter().all(|&size| size < 400_000));
    }

    #[test]
    fn mails_need_no_stuffing_and_end_with_a_line_end() {
        for message in next_messages(0, BODIES) {
            assert!(message.ends_with(b"\r\n"));
            assert!(message.windows(2).all(|pair| (pair[1] == b'\n') == (pair[0] == b'\r')), "bare CR or LF");
            let longest = message.split(|&byte| byte == b'\n').map(<[u8]>::len).max();
            assert!(longest < Some(998));
            assert!(!message.split(|&byte| byte == b'\n').any(|line| line.starts_with(b".")));
        }
    }

    #[test]
    fn the_same_body_is_another_mail_of_the_same_length() {
        let (one, other) = (next_message(3), next_message(3 + BODIES));
        assert_ne!(one, other);
        assert_eq!(one.len(), other.len());
        assert_ne!(next_short_message(0), next_short_message(0));
    }

    #[test]
    fn the_words_to_search_for_are_where_they_should_be() {
        let with = |word: &str| {
            let mails = next_messages(0, BODIES).into_iter();
            mails.filter(|mail| memchr::memmem::find(mail, word.as_bytes()).is_some()).count()
        };
        assert_eq!(with(HIT), BODIES / HIT_EVERY);
        assert_eq!(with(MISS), 0);
    }
}
