//! The first mail of a fresh server: it shows that mail arrives, and that Japanese does too.

use base64::Engine;

/// The mail, addressed to `address`. Its subject and body are base64, so every path and every client can carry it.
pub(crate) fn message(address: &str, now: jiff::Timestamp) -> Vec<u8> {
    let subject = encoded_word("Todoku へようこそ / Welcome to Todoku");
    let from = encoded_word("届く Todoku");
    let date =
        jiff::fmt::rfc2822::to_string(&now.to_zoned_datetime(jiff::tz::TimeZone::UTC)).unwrap_or_default();
    let id = now.as_nanosecond();
    let body = base64_lines(&body(address));
    format!(
        "From: {from} <postmaster@localhost>\r\n\
         To: <{address}>\r\n\
         Subject: {subject}\r\n\
         Date: {date}\r\n\
         Message-ID: <welcome.{id}@localhost>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: base64\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}

fn body(address: &str) -> String {
    format!(
        "{address} さま\r\n\
         \r\n\
         メールが届きました。このサーバーは動いています。\r\n\
         IMAP で読めば、どの端末からも同じ最新の状態が見えます。\r\n\
         POP3 で読めば、この端末に保存して、ネットワークなしでも読めます。\r\n\
         \r\n\
         Your mail has arrived: this server works.\r\n\
         Read it by IMAP, and every device sees the same, latest state.\r\n\
         Read it by POP3, and it is on this device, readable offline.\r\n\
         \r\n\
         Next steps: add an account for everybody (todoku account add), import the mail of your\r\n\
         old server (todoku import), and let your MTA deliver by LMTP. The README says how.\r\n"
    )
}

/// RFC 2047 §2: an encoded word has at most 75 characters, so long texts become several, cut between characters.
fn encoded_word(text: &str) -> String {
    const TEXT_BYTES_MAX: usize = 42;
    let mut words = vec![String::new()];
    for c in text.chars() {
        if words.last().is_some_and(|word| word.len() + c.len_utf8() > TEXT_BYTES_MAX) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let encode =
        |word: &String| format!("=?utf-8?B?{}?=", base64::engine::general_purpose::STANDARD.encode(word));
    words.iter().map(encode).collect::<Vec<_>>().join("\r\n ")
}

/// RFC 2045 §6.8: lines of at most 76 characters.
fn base64_lines(text: &str) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    let mut out = String::with_capacity(encoded.len() + encoded.len() / 30);
    for (i, c) in encoded.chars().enumerate() {
        if i > 0 && i % 76 == 0 {
            out.push_str("\r\n");
        }
        out.push(c);
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_mail_is_seven_bit_and_readable() {
        let mail = message("me@localhost", jiff::Timestamp::now());
        assert!(mail.is_ascii());
        assert!(mail.split(|b| *b == b'\n').all(|line| line.len() <= 78));
        let derived = mail_message::derive(&mail);
        assert!(
            derived.search_text.contains("todoku へようこそ / welcome to todoku"),
            "{}",
            derived.search_text
        );
        assert!(derived.search_text.contains("メールが届きました"));
    }
}
