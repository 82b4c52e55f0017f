//! Parts and sections, after the example in RFC 9051 §6.4.5.1.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mail_message::{
    Encoding, Keep, PartIndex, PartKind, SectionPart, decode_transfer, header_fields, section_range,
};

/// The message of RFC 9051 §6.4.5.1: TEXT/PLAIN, APPLICATION/OCTET-STREAM, MESSAGE/RFC822 with two parts,
/// MULTIPART/MIXED with an image and a message with an alternative.
const EXAMPLE: &str = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=\"one\"\r\n\r\npreamble\r\n\
--one\r\n\r\ntext of 1\r\n\
--one\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n\
--one\r\nContent-Type: message/rfc822\r\n\r\n\
Subject: third\r\nContent-Type: multipart/mixed; boundary=two\r\n\r\n\
--two\r\nContent-Type: text/plain\r\n\r\ntext of 3.1\r\n\
--two\r\nContent-Type: application/octet-stream\r\n\r\ndata of 3.2\r\n--two--\r\n\r\n\
--one\r\nContent-Type: multipart/mixed; boundary=three\r\n\r\n\
--three\r\nContent-Type: image/gif\r\nContent-ID: <g>\r\n\r\ndata of 4.1\r\n\
--three\r\nContent-Type: message/rfc822\r\n\r\n\
Subject: fourth\r\nContent-Type: multipart/mixed; boundary=four\r\n\r\n\
--four\r\n\r\ntext of 4.2.1\r\n\
--four\r\nContent-Type: multipart/alternative; boundary=five\r\n\r\n\
--five\r\n\r\ntext of 4.2.2.1\r\n\
--five\r\nContent-Type: text/richtext\r\n\r\ntext of 4.2.2.2\r\n--five--\r\n\r\n--four--\r\n\r\n--three--\r\n\
--one--\r\nepilogue\r\n";

fn section<'a>(message: &'a str, path: &[u32], part: SectionPart) -> Option<&'a str> {
    let index = PartIndex::parse(message.as_bytes());
    let range = section_range(&index, path, part)?;
    Some(&message[range.start as usize..range.end as usize])
}

#[test]
fn parts_have_the_numbers_of_the_rfc() {
    let whole = |path: &[u32]| section(EXAMPLE, path, SectionPart::Whole);
    assert_eq!(whole(&[]), Some(EXAMPLE));
    assert_eq!(whole(&[1]), Some("text of 1"));
    assert_eq!(whole(&[2]), Some("AAECAw=="));
    assert_eq!(whole(&[3, 1]), Some("text of 3.1"));
    assert_eq!(whole(&[3, 2]), Some("data of 3.2"));
    assert_eq!(whole(&[4, 1]), Some("data of 4.1"));
    assert_eq!(whole(&[4, 2, 1]), Some("text of 4.2.1"));
    assert_eq!(whole(&[4, 2, 2, 1]), Some("text of 4.2.2.1"));
    assert_eq!(whole(&[4, 2, 2, 2]), Some("text of 4.2.2.2"));
    for missing in [&[0][..], &[5], &[1, 1], &[3, 3], &[3, 1, 1], &[4, 3], &[4, 2, 2, 3], &[u32::MAX]] {
        assert_eq!(whole(missing), None, "{missing:?}");
    }
}

#[test]
fn header_text_and_mime_belong_to_what_the_rfc_says() {
    let header = "Subject: third\r\nContent-Type: multipart/mixed; boundary=two\r\n\r\n";
    assert_eq!(section(EXAMPLE, &[3], SectionPart::Header), Some(header));
    assert!(section(EXAMPLE, &[3], SectionPart::Text).unwrap().starts_with("--two\r\n"));
    assert!(section(EXAMPLE, &[3], SectionPart::Text).unwrap().ends_with("--two--\r\n"));
    assert!(section(EXAMPLE, &[4, 2], SectionPart::Header).unwrap().starts_with("Subject: fourth"));
    assert_eq!(section(EXAMPLE, &[3], SectionPart::Mime), Some("Content-Type: message/rfc822\r\n\r\n"));
    let gif = Some("Content-Type: image/gif\r\nContent-ID: <g>\r\n\r\n");
    assert_eq!(section(EXAMPLE, &[4, 1], SectionPart::Mime), gif);
    assert_eq!(section(EXAMPLE, &[1], SectionPart::Header), None);
    assert_eq!(section(EXAMPLE, &[4], SectionPart::Text), None);
    assert_eq!(section(EXAMPLE, &[], SectionPart::Mime), None);
    assert!(section(EXAMPLE, &[], SectionPart::Text).unwrap().starts_with("preamble"));
    assert!(section(EXAMPLE, &[], SectionPart::Header).unwrap().ends_with("\"one\"\r\n\r\n"));
}

#[test]
fn a_message_that_is_not_multipart_has_one_part() {
    let message = "Subject: x\r\nContent-Type: text/plain\r\n\r\nbody\r\n";
    assert_eq!(section(message, &[1], SectionPart::Whole), Some("body\r\n"));
    assert_eq!(section(message, &[1], SectionPart::Mime), Some(&message[..message.len() - 6]));
    assert_eq!(section(message, &[1], SectionPart::Header), None);
    assert_eq!(section(message, &[2], SectionPart::Whole), None);
    assert_eq!(section(message, &[1, 1], SectionPart::Whole), None);
}

#[test]
fn a_message_in_a_message_nests() {
    let message =
        "Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody";
    assert_eq!(section(message, &[1], SectionPart::Header), Some("Content-Type: message/rfc822\r\n\r\n"));
    assert_eq!(section(message, &[1, 1], SectionPart::Header), Some("Subject: in\r\n\r\n"));
    assert_eq!(section(message, &[1, 1], SectionPart::Text), Some("body"));
    assert_eq!(section(message, &[1, 1, 1], SectionPart::Whole), Some("body"));
    assert_eq!(section(message, &[1, 1, 1, 1], SectionPart::Whole), None);
}

#[test]
fn bare_line_feeds_end_lines_too() {
    let message = EXAMPLE.replace("\r\n", "\n");
    assert_eq!(section(&message, &[4, 2, 2, 2], SectionPart::Whole), Some("text of 4.2.2.2"));
    assert_eq!(
        section(&message, &[4, 1], SectionPart::Mime),
        Some("Content-Type: image/gif\nContent-ID: <g>\n\n")
    );
}

#[test]
fn headers_without_a_body_and_boundaries_without_a_header() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: 1\r\n--b\r\n\r\n--b\r\n--b  \r\nX: 2\r\n\r\nlast";
    let index = PartIndex::parse(message.as_bytes());
    assert_eq!(index.root().children, 4);
    assert_eq!(section(message, &[1], SectionPart::Mime), Some("X: 1\r\n"));
    assert_eq!(section(message, &[2], SectionPart::Mime), Some("\r\n"));
    assert_eq!(section(message, &[3], SectionPart::Mime), Some(""));
    assert_eq!(section(message, &[4], SectionPart::Whole), Some("last"));
    for number in 1..=3 {
        assert_eq!(section(message, &[number], SectionPart::Whole), Some(""));
    }
}

#[test]
fn an_outer_boundary_ends_what_is_inside() {
    let message = "Content-Type: multipart/mixed; boundary=out\n\n--out\nContent-Type: multipart/mixed; boundary=in\n\n\
                   --in\n\nfirst\n--out\n\nsecond\n--in\nnot a part\n--out--\n";
    assert_eq!(section(message, &[1, 1], SectionPart::Whole), Some("first"));
    assert_eq!(section(message, &[2], SectionPart::Whole), Some("second\n--in\nnot a part"));
}

#[test]
fn a_boundary_that_begins_like_another_is_another() {
    let message = "Content-Type: multipart/mixed; boundary=foo\n\n--foo\nContent-Type: multipart/mixed; boundary=foobar\n\n\
                   --foobar\n\none\n--foobar--\n--foo\n\ntwo\n--foox\n--foo--\n";
    assert_eq!(section(message, &[1, 1], SectionPart::Whole), Some("one"));
    assert_eq!(section(message, &[2], SectionPart::Whole), Some("two\n--foox"));
}

#[test]
fn a_multipart_without_boundary_or_parts_is_text() {
    for message in [
        "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n",
        "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\ntext\r\n----\r\n",
        "Content-Type: multipart/mixed; boundary=c\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n",
    ] {
        let index = PartIndex::parse(message.as_bytes());
        assert_eq!(index.parts().len(), 1);
        assert_eq!(index.root().kind, PartKind::Leaf);
        assert!(index.root().media.is("text", "plain"));
        assert!(section(message, &[1], SectionPart::Whole).unwrap().contains("text\r\n"));
    }
}

#[test]
fn parts_of_a_digest_are_messages() {
    let message = "Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: a\n\none\n--d\n\nSubject: b\n\ntwo\n--d--\n";
    assert_eq!(section(message, &[1], SectionPart::Header), Some("Subject: a\n\n"));
    assert_eq!(section(message, &[2, 1], SectionPart::Whole), Some("two"));
}

#[test]
fn header_fields_come_verbatim_and_in_order() {
    let header = b"Subject: a\r\n b\r\nfrom : x\r\nX-Other: 1\r\nSUBJECT: again\r\n\r\n";
    let matching = header_fields(header, &["from", "subject"], Keep::Matching);
    assert_eq!(matching, b"Subject: a\r\n b\r\nfrom : x\r\nSUBJECT: again\r\n\r\n");
    assert_eq!(header_fields(header, &["From", "Subject"], Keep::Others), b"X-Other: 1\r\n\r\n");
    assert_eq!(header_fields(header, &["none"], Keep::Matching), b"\r\n");
    assert_eq!(header_fields(b"A: 1\n\n", &["b"], Keep::Matching), b"\r\n");
    assert_eq!(header_fields(b"\r\n", &["b"], Keep::Matching), b"\r\n");
}

/// RFC 9051 §6.4.5.1: "except in the case of a message that has no body and no blank line".
#[test]
fn a_header_without_an_empty_line_is_shown_without_one() {
    assert_eq!(header_fields(b"A: 1", &["a"], Keep::Matching), b"A: 1\r\n");
    assert_eq!(header_fields(b"A: 1\r\nB: 2\r\n", &["b"], Keep::Others), b"A: 1\r\n");
    assert_eq!(header_fields(b"A: 1\r\n", &["b"], Keep::Matching), b"");
    assert_eq!(header_fields(b"", &["b"], Keep::Matching), b"");
}

#[test]
fn transfer_encodings_are_decoded_tolerantly() {
    let decode = |encoding, body: &[u8]| decode_transfer(encoding, body).unwrap();
    assert_eq!(decode(Encoding::Base64, b"SGVs\r\nbG8s IHdv\r\ncmxk!"), b"Hello, world");
    assert_eq!(decode(Encoding::Base64, b"SGk=\r\nSGk="), b"HiHi");
    assert_eq!(decode(Encoding::Base64, b"SGVsbG8"), b"Hello");
    assert_eq!(decode(Encoding::Base64, b"A"), b"");
    // RFC 2045 §6.7
    let folded = b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.";
    assert_eq!(
        decode(Encoding::QuotedPrintable, folded),
        b"Now's the time for all folk to come to the aid of their country."
    );
    assert_eq!(
        decode(Encoding::QuotedPrintable, b"a=20  \r\nb=3d=zz=\t\r\n=E3=81\n=4"),
        b"a \r\nb==zz\xe3\x81\n=4"
    );
    assert_eq!(decode(Encoding::Identity, b"a=\0\xff"), b"a=\0\xff");
    assert!(decode_transfer(Encoding::Unknown, b"x").is_err());
}
