//! Properties of whatever the octets are.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod checker;

use checker::check;
use mail_message::search::fold;
use mail_message::{Keep, PartIndex, SectionPart, derive, header_fields, section_range};
use proptest::prelude::*;

/// Pieces from which hostile messages are made.
const PIECES: [&[u8]; 52] = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b"\x1b$B",
    b"\x1b(B",
    b"\xff",
    b"\xe5\xb1\xb1",
    b"a",
    b"0",
    b"--",
    b"--b",
    b"\r\n--b\r\n",
    b"\n--b--\n",
    b"\r\n--c\r\n",
    b"\r\n--c--\r\n",
    b"\r\n\r\n",
    b"From: ",
    b"To: ",
    b"Subject: ",
    b"Date: ",
    b"References: <a@b>\r\n",
    b"Content-Type: ",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
    b"Content-Type: multipart/digest; boundary=c\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: text/html\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Disposition: attachment",
    b"; filename*0*=utf-8''%E5",
    b"; filename*1=\"x",
    b"multipart/mixed; boundary=",
    b"message/rfc822",
    b"text/plain; charset=iso-2022-jp",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"<",
    b">",
    b"@",
    b",",
    b":",
    b";",
    b"=?utf-8?q?=E5",
    b"?=",
    b"=?iso-2022-jp?b?GyRC?=",
    b"<style>",
    b"&amp;",
];

const CHARSETS: [&str; 24] = [
    "utf-7",
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-32",
    "us-ascii",
    "iso-8859-1",
    "iso-8859-9",
    "iso-8859-11",
    "iso-2022-jp",
    "iso-2022-kr",
    "hz-gb-2312",
    "shift_jis",
    "euc-jp",
    "euc-kr",
    "gb18030",
    "gb2312",
    "big5",
    "cp437",
    "cp850",
    "ibm866",
    "macintosh",
    "tis-620",
    "koi8-u",
];

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60).prop_map(|pieces| pieces.concat()),
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn everything_derived_is_well_formed(message in message()) {
        check(&derive(&message), message.len());
    }

    #[test]
    fn no_charset_upsets_the_decoder(charset in prop::sample::select(CHARSETS.to_vec()), octets in prop::collection::vec(any::<u8>(), 0..80)) {
        let header = format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        let message = [header.as_bytes(), &octets].concat();
        check(&derive(&message), message.len());
    }

    #[test]
    fn indexes_go_there_and_back(message in message()) {
        let index = PartIndex::parse(&message);
        prop_assert_eq!(PartIndex::decode(&index.encode()).unwrap(), index);
    }

    #[test]
    fn damaged_indexes_are_refused_or_usable(message in message(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
        let mut blob = PartIndex::parse(&message).encode();
        let at = at.index(blob.len());
        blob[at] = octet;
        if let Ok(index) = PartIndex::decode(&blob) {
            for path in [&[][..], &[1], &[1, 1], &[2], &[1, 2, 1]] {
                section_range(&index, path, SectionPart::Text);
            }
        }
        prop_assert!(PartIndex::decode(&blob[..at]).is_err());
    }

    #[test]
    fn sections_lie_in_the_message(message in message(), path in prop::collection::vec(0_u32..4, 0..5)) {
        let index = PartIndex::parse(&message);
        for part in [SectionPart::Whole, SectionPart::Header, SectionPart::Text, SectionPart::Mime] {
            if let Some(range) = section_range(&index, &path, part) {
                prop_assert!(range.start <= range.end && range.end <= message.len() as u64);
                prop_assert!(index.find(&path).is_some());
            }
        }
    }

    #[test]
    fn matching_and_other_fields_make_up_the_header(message in message()) {
        let index = PartIndex::parse(&message);
        let header = &message[..index.header_len() as usize];
        let names = ["Subject", "from", "CONTENT-TYPE"];
        let sum = header_fields(header, &names, Keep::Matching).len() + header_fields(header, &names, Keep::Others).len();
        prop_assert!(sum >= header.len() && sum <= header.len() + 6);
    }

    #[test]
    fn folded_text_holds_its_folded_words(before in "\\PC{0,20}", word in "[a-zA-Z0-9一-龠ァ-ヴぁ-んé]{1,10}", after in "[ -~一-龠]{0,20}") {
        let text = fold(&format!("{before} {word}{after}"));
        prop_assert!(text.contains(&fold(&word)), "{text:?}");
    }
}
