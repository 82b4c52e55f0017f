//! BODY and BODYSTRUCTURE: known answers.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mail_message::derive;

fn structure(message: &str) -> String {
    String::from_utf8(derive(message.as_bytes()).bodystructure).unwrap()
}

fn body(message: &str) -> String {
    String::from_utf8(derive(message.as_bytes()).body).unwrap()
}

#[test]
fn defaults_of_rfc_2045() {
    assert_eq!(body("\r\n1\r\n2\r\n"), r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 2)"#);
    assert_eq!(
        structure("Content-Type: TEXT/PLAIN; CHARSET=US-ASCII (Plain text)\r\n\r\n"),
        r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#
    );
    let wrong = structure("Content-Type: nonsense\r\nContent-Transfer-Encoding:\r\n\r\nx");
    assert_eq!(wrong, r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL)"#);
}

#[test]
fn the_two_part_example_of_rfc_9051() {
    // RFC 9051 §7.5.2, shortened.
    let message = "Content-Type: MULTIPART/MIXED; BOUNDARY=b\r\n\r\n--b\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nhi\r\n\r\n\
        --b\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=\"cc.diff\"\r\nContent-ID: <960723163407.20117h@cac.washington.edu>\r\n\
        Content-Description: Compiler diff\r\nContent-Transfer-Encoding: BASE64\r\n\r\nAAAA\r\nAAAA\r\n\r\n--b--\r\n";
    let expected = concat!(
        r#"(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7bit" 4 1)"#,
        r#"("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "#,
        r#""BASE64" 12 2) "MIXED")"#
    );
    assert_eq!(body(message), expected);
}

#[test]
fn extension_data() {
    let message = "Content-Type: image/png\r\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=\"a \\\"b\\\".png\"; size=3\r\nContent-Language: en, ja\r\n\
        Content-Location: http://example.org/a\r\n\r\nAAAA";
    let expected = concat!(
        r#"("image" "png" NIL NIL NIL "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" "#,
        r#"("attachment" ("filename" "a \"b\".png" "size" "3")) ("en" "ja") "http://example.org/a")"#
    );
    assert_eq!(structure(message), expected);
    let multipart = "Content-Type: multipart/related; type=\"text/html\"; boundary=b\nContent-Disposition: inline\n\n--b\n\n\n--b--\n";
    let expected = concat!(
        r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "related" "#,
        r#"("type" "text/html" "boundary" "b") ("inline" NIL) NIL NIL)"#
    );
    assert_eq!(structure(multipart), expected);
}

#[test]
fn a_message_inside() {
    let message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\n\r\nx\r\ny\r\n";
    let from = r#"((NIL NIL "a" "b"))"#;
    let expected = format!(
        r#"("message" "rfc822" NIL NIL NIL "7bit" 32 (NIL "in" {from} {from} {from} NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 2) 5)"#
    );
    assert_eq!(body(message), expected);
    let encoded =
        "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0K\r\n";
    assert_eq!(body(encoded), r#"("application" "octet-stream" NIL NIL NIL "base64" 18)"#);
}

#[test]
fn parameters_of_rfc_2231() {
    let disposition = |parameters: &str| {
        let text = structure(&format!(
            "Content-Type: application/x\r\nContent-Disposition: a; {parameters}\r\n\r\n"
        ));
        let inner = text.strip_prefix(r#"("application" "x" NIL NIL NIL "7bit" 0 NIL ("a" ("#).unwrap();
        inner.strip_suffix(")) NIL NIL)").unwrap().to_owned()
    };
    // RFC 2231 §3
    let url = "URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"";
    assert_eq!(disposition(url), r#""URL" "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar""#);
    // RFC 2231 §4, §4.1
    let title = "title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A";
    assert_eq!(disposition(title), r#""title*" "utf-8'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A""#);
    let mixed = "title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"; title*0*=us-ascii'en'This%20is%20even%20more%20";
    assert_eq!(
        disposition(mixed),
        r#""title*" "utf-8'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!""#
    );
    let odd = "=; a; b=; c=\"x\r\n y\"; d*=plain; e*x=1; name=two words.pdf";
    assert_eq!(disposition(odd), r#""b" "" "c" "x y" "d*" "utf-8''plain" "e*x" "1" "name" "two words.pdf""#);
    let unknown = "f*=x-none'xx'%FF";
    assert_eq!(disposition(unknown), r#""f*" "x-none'xx'%FF""#);
}

/// RFC 2045 §5.1: no control characters in a type. What is left out where it is written must not make it another one.
#[test]
fn control_characters_make_no_type() {
    let plain = structure("\r\nx\r\n");
    for name in ["t\0ext/html", "text\x01/html", "text/h\x7ftml", "message/rfc\0822"] {
        assert_eq!(structure(&format!("Content-Type: {name}\r\n\r\nx\r\n")), plain, "{name:?}");
    }
}
