//! Measures `derive` over a typical message of some 13 KB: microseconds a message.
//!
//! `cargo run --release -p mail-message --example derive_speed`

use std::hint::black_box;
use std::time::Instant;

/// Messages derived per kind.
const ROUNDS: u32 = 3_000;

fn main() {
    for (name, message) in [
        ("text/plain, us-ascii", plain()),
        ("alternative, text + html, quoted-printable", alternative()),
        ("text + base64 attachment", attachment()),
        ("Japanese, ISO-2022-JP", japanese()),
        ("Japanese, UTF-8 base64", japanese_utf8()),
    ] {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            black_box(mail_message::derive(black_box(&message)));
        }
        let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        println!("{name:<45} {:>6} octets  {micros:>7.1} µs a message", message.len());
    }
}

fn header(rest: &str) -> String {
    let mut header = String::new();
    for hop in 0..5 {
        header.push_str(&format!(
            "Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n\tby in{hop}.example.org \
             (Postfix) with ESMTPS id 4ABCDEF{hop}\r\n\tfor <taro@example.org>; Tue, 24 Nov 2026 05:27:0{hop} +0000 (UTC)\r\n"
        ));
    }
    header.push_str(&format!(
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=k1;\r\n\tb={}\r\n",
        "Zm9vYmFy".repeat(40)
    ));
    header.push_str(
        "From: =?UTF-8?B?5bGx55Sw5aSq6YOO?= <taro@example.net>\r\nTo: \"Jane Doe\" <jane@example.org>, bob@example.org\r\n\
         Subject: =?UTF-8?Q?Re=3A_Quarterly_report_=E2=80=93_draft?=\r\nDate: Tue, 24 Nov 2026 14:27:09 +0900\r\n\
         Message-ID: <20261124052709.12345@example.net>\r\nIn-Reply-To: <1@example.org>\r\nReferences: <0@example.org> <1@example.org>\r\n\
         MIME-Version: 1.0\r\n",
    );
    header.push_str(rest);
    header.push_str("\r\n");
    header
}

fn prose(octets: usize) -> String {
    "The quick brown fox jumps over the lazy dog, and then it rests a while in the shade of a tree.\r\n"
        .repeat(octets / 96 + 1)
}

fn wrapped(text: &[u8]) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(text);
    encoded.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned() + "\r\n").collect()
}

fn plain() -> Vec<u8> {
    (header("Content-Type: text/plain; charset=us-ascii\r\n") + &prose(11_000)).into_bytes()
}

fn alternative() -> Vec<u8> {
    let html: String = (0..60)
        .map(|row| format!("<tr><td style=3D\"padding:4px\">Row {row} with a <b>bold</b> word =E2=80=93 and =\r\n<a href=3D\"https://example.org/{row}\">a link</a>&nbsp;</td></tr>\r\n"))
        .collect();
    let mut message = header("Content-Type: multipart/alternative; boundary=\"=_b\"\r\n");
    let cte = "Content-Transfer-Encoding: quoted-printable\r\n";
    message.push_str(&format!(
        "--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n{cte}\r\n{}\r\n",
        prose(3_500)
    ));
    message.push_str(&format!("--=_b\r\nContent-Type: text/html; charset=utf-8\r\n{cte}\r\n<html><body><table>{html}</table></body></html>\r\n--=_b--\r\n"));
    message.into_bytes()
}

fn attachment() -> Vec<u8> {
    let mut message = header("Content-Type: multipart/mixed; boundary=b\r\n");
    message.push_str(&format!(
        "--b\r\n\r\n{}\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n",
        prose(2_000)
    ));
    message.push_str("Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename*=utf-8''%E5%9B%B3.pdf\r\n\r\n");
    message.push_str(&wrapped(&[0xa5; 6_600]));
    message.push_str("--b--\r\n");
    message.into_bytes()
}

const SENTENCE: &str =
    "お世話になっております。山田です。先日お送りした資料の件、ご確認いただけましたでしょうか。\r\n";

fn japanese() -> Vec<u8> {
    let text = encoding_rs::ISO_2022_JP.encode(&SENTENCE.repeat(110)).0.into_owned();
    let mut message =
        header("Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n")
            .into_bytes();
    message.extend_from_slice(&text);
    message
}

fn japanese_utf8() -> Vec<u8> {
    let text = SENTENCE.repeat(60);
    let head = header("Content-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n");
    (head + &wrapped(text.as_bytes())).into_bytes()
}
