//! Conversations over LMTP: RFC 2033, BDAT, the smuggling suite, and what happens when things break.

use std::time::Duration;

use crate::support::{SIZE_MAX, Server};
use mail_rpc::pb::deliver_result::Outcome;

#[tokio::test]
async fn the_example_of_rfc_2033_section_4_2() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.send("MAIL FROM:<chris@bar.com>\r\nRCPT TO:<pat@foo.edu>\r\nRCPT TO:<jones@foo.edu>\r\nRCPT TO:<green@foo.edu>\r\nDATA\r\n").await;
    client.replies(&["250 2.1.0", "250 2.1.5", "250 2.1.5", "550 5.1.1", "354 "]).await;
    server.fake.store().outcomes.insert("jones@foo.edu".into(), Outcome::OverQuota);
    client.send("Subject: hi\r\n\r\nBlah blah blah...\r\n.\r\n").await;
    client.replies(&["250 2.0.0", "452 4.2.2"]).await;
    client.expect("QUIT", "221 2.0.0").await;
    assert_eq!(client.rest().await, "");
    let stored = server.fake.store().stored.clone();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].recipient, "pat@foo.edu");
    assert_eq!(stored[0].sender, "chris@bar.com");
    assert_eq!(stored[0].content, b"Subject: hi\r\n\r\nBlah blah blah...\r\n");
    let trace = &stored[0].trace;
    assert!(trace.starts_with("Return-Path: <chris@bar.com>\r\nDelivered-To: pat@foo.edu\r\nReceived: from client.example ([127.0.0.1])\r\n\tby mx.foo.edu with LMTP id "), "{trace}");
    assert!(trace.ends_with(" +0000\r\n"), "{trace}");
}

#[tokio::test]
async fn says_what_it_can() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    let reply = client.ask("LHLO x").await;
    for extension in
        ["PIPELINING", "SIZE 200000", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "STARTTLS"]
    {
        assert!(reply.split('|').any(|line| &line[4..] == extension), "{extension} is missing in {reply}");
    }
    assert!(!reply.contains("BINARYMIME"));
    // RFC 2033 §4.1.
    client.expect("HELO x", "500").await;
    client.expect("EHLO x", "500").await;
    client.expect("VRFY pat", "252").await;
    client.expect("EXPN list", "502").await;
    client.expect("HELP", "214").await;
    client.expect("NOOP", "250").await;
    client.expect("RSET", "250").await;
    client.expect("XYZZY", "500").await;
}

#[tokio::test]
async fn replies_come_one_by_one_in_the_order_of_recipients() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.begin(&["a@foo.edu", "b@foo.edu", "c@foo.edu", "d@foo.edu"]).await;
    {
        let mut store = server.fake.store();
        store.outcomes.insert("b@foo.edu".into(), Outcome::TryAgain);
        store.outcomes.insert("c@foo.edu".into(), Outcome::NoAccount);
        store.outcomes.insert("d@foo.edu".into(), Outcome::TooLarge);
    }
    server.fake.gate.forget_permits(1_000_000);
    client.send("x\r\n.\r\n").await;
    for expected in ["250 2.0.0", "451 4.3.0", "550 5.2.1", "552 5.3.4"] {
        let early = tokio::time::timeout(Duration::from_millis(50), client.line()).await;
        assert!(early.is_err(), "a reply before its commit");
        server.fake.gate.add_permits(1);
        client.replies(&[expected]).await;
    }
    client.expect("NOOP", "250").await;
}

#[tokio::test]
async fn recipients_that_cannot_be() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.expect("RCPT TO:<a@foo.edu>", "503 5.5.1").await;
    client.expect("DATA", "503 5.5.1").await;
    client.expect("MAIL FROM:<>  SIZE=1000", "250").await;
    client.expect("MAIL FROM:<x@y>", "503 5.5.1").await;
    client.expect("DATA", "503 5.5.1").await;
    client.expect("RCPT TO:<nobody@foo.edu>", "550 5.1.1").await;
    client.expect("RCPT TO:<a@elsewhere.example>", "550 5.7.1").await;
    client.expect("RCPT TO:<disabled@foo.edu>", "550 5.2.1").await;
    client.expect("RCPT TO:<full@foo.edu>", "452 4.2.2").await;
    client.expect("RCPT TO:<away@foo.edu>", "451 4.3.0").await;
    assert_eq!(server.fake.store().room_asked[0], 1000, "the declared size");
    server.fake.store().auth_down = true;
    client.expect("RCPT TO:<a@foo.edu>", "451 4.3.0").await;
    server.fake.store().auth_down = false;
    for bad in
        ["<>", "<\"\">", "<@>", "<\"\\\">", "<\"\"@foo.edu>", "a@foo.edu", "<a@foo.edu", "<a b@foo.edu>"]
    {
        client.expect(&format!("RCPT TO:{bad}"), "501 5.1.3").await;
    }
    client.expect("DATA", "503 5.5.1").await;
    client.expect("RCPT TO:<postmaster>", "250").await;
    client.expect("RCPT TO:<@relay.example:a+lists@foo.edu>", "250").await;
    client.expect("DATA", "354").await;
    client.send(".\r\n").await;
    client.replies(&["250", "250"]).await;
    let stored = server.fake.store().stored.clone();
    assert_eq!(stored[0].recipient, "postmaster@foo.edu");
    assert_eq!((stored[1].recipient.as_str(), stored[1].mailbox.as_str()), ("a+lists@foo.edu", "lists"));
    assert!(stored[1].trace.starts_with("Return-Path: <>\r\nDelivered-To: a@foo.edu\r\n"));
    assert_eq!(stored[1].content, b"");
}

#[tokio::test]
async fn hostile_lines_are_refused_and_the_session_lives() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.expect(&format!("RCPT TO:<{}@foo.edu>", "x".repeat(65)), "501 5.1.3").await;
    client.expect(&format!("RCPT TO:<{}@foo.edu>", "x".repeat(65_536)), "500 5.5.2").await;
    for bad in [
        &b"RCPT TO:<a\0@foo.edu>\r\n"[..],
        b"RCPT TO:<\xff\xfe@foo.edu>\r\n",
        b"RCPT TO:<a@foo.edu>\n",
        b"NOOP\rRSET\r\n",
    ] {
        client.send(bad).await;
        client.replies(&["500 5.5.2"]).await;
    }
    client.expect("RCPT TO:<\u{e9}@foo.edu>", "553 5.6.7").await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
}

#[tokio::test]
async fn smtputf8_mail() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.expect("MAIL FROM:<\u{e9}@b> SMTPUTF8 BODY=8BITMIME", "250").await;
    client.expect("RCPT TO:<\u{7528}\u{6237}@foo.edu>", "250").await;
    client.expect("DATA", "354").await;
    client.send("Subject: \u{e9}\r\n\r\n\u{e9}\r\n.\r\n").await;
    client.replies(&["250"]).await;
    let stored = server.fake.store().stored.clone();
    assert!(stored[0].trace.contains("with UTF8LMTP id"));
    assert!(
        stored[0].trace.starts_with("Return-Path: <\u{e9}@b>\r\nDelivered-To: \u{7528}\u{6237}@foo.edu\r\n")
    );
}

#[tokio::test]
async fn at_most_so_many_recipients() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    for i in 0..100 {
        client.expect(&format!("RCPT TO:<r{i}@foo.edu>"), "250").await;
    }
    client.expect("RCPT TO:<r100@foo.edu>", "452 4.5.3").await;
    client.expect("DATA", "354").await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["250"; 100]).await;
    client.expect("RSET", "250").await;
}

#[tokio::test]
async fn sizes_end_where_they_were_told() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.expect(&format!("MAIL FROM:<a@b> SIZE={}", SIZE_MAX + 1), "552 5.3.4").await;
    for (size, reply) in [(SIZE_MAX, "250"), (SIZE_MAX + 1, "552 5.3.4")] {
        client.begin(&["a@foo.edu"]).await;
        client.send(format!("{}\r\n.\r\n", "x".repeat(size as usize - 2))).await;
        client.replies(&[reply]).await;
    }
    server.until(|store| store.aborted == 1).await;
    client.begin(&["a@foo.edu"]).await;
    client.send("still here\r\n.\r\n").await;
    client.replies(&["250"]).await;
}

#[tokio::test]
async fn a_loop_is_cut() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    for (hops, reply) in [(100, "250"), (101, "554 5.4.6")] {
        client.begin(&["a@foo.edu"]).await;
        client.send(format!("{}\r\nx\r\n.\r\n", "Received: from x\r\n".repeat(hops))).await;
        client.replies(&[reply]).await;
    }
    assert_eq!(server.fake.store().stored.len(), 1);
}

/// CVE-2023-51764, -51765, -51766, CVE-2023-51747: only CR LF . CR LF ends the data, and what looks like another end makes the
/// whole message refused, so that no other server on the way can have seen two where we see one.
#[tokio::test]
async fn nothing_is_smuggled() {
    let server = Server::start().await;
    let ends = [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\r",
        "\n.\r",
        "\r.\n",
        "\r\n.\r\r\n",
        "\r\r\n.\r\r\n",
        "\n\n.\n\n",
        "\r\n\0.\n",
        "\0\n.\r\n",
        "\r\n.\0\n",
        "\n\r.\r\n",
        "\r\n.\n\r",
    ];
    for end in ends {
        let mut client = server.lmtp().await;
        client.begin(&["a@foo.edu", "b@foo.edu"]).await;
        let smuggled = "MAIL FROM:<evil@foo.edu>\r\nRCPT TO:<victim@foo.edu>\r\nDATA\r\nevil\r\n.\r\n";
        client.send(format!("Subject: x\r\n\r\nhello{end}{smuggled}")).await;
        client.replies(&["550 5.6.0", "550 5.6.0"]).await;
        assert_eq!(client.ask("NOOP").await, "250 2.0.0 OK", "{end:?}: nothing else was answered");
    }
    assert!(server.fake.store().stored.is_empty());
    // What is allowed: dots and NULs in lines.
    let mut client = server.lmtp().await;
    client.begin(&["a@foo.edu"]).await;
    client.send("..\r\n.a\r\n \r\n. \r\na.\r\n\0\r\n.\r\n").await;
    client.replies(&["250"]).await;
    assert_eq!(server.fake.store().stored[0].content, b".\r\na\r\n \r\n \r\na.\r\n\0\r\n");
}

#[tokio::test]
async fn chunks_of_rfc_3030() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.send("RCPT TO:<a@foo.edu>\r\nRCPT TO:<b@foo.edu>\r\nBDAT 10\r\nA: 1\r\n\r\n.\rBDAT 7\r\n\n.\r\nx\r\nBDAT 0 LAST\r\n").await;
    client.replies(&["250", "250", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"]).await;
    assert_eq!(server.fake.store().stored.len(), 2);
    assert_eq!(server.fake.store().stored[1].content, b"A: 1\r\n\r\n.\r\n.\r\nx\r\n");
    // In one piece.
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
    client.send("BDAT 3 LAST\r\nx\r\n").await;
    client.replies(&["250"]).await;
    client.expect("BDAT 0 LAST", "503").await;
}

#[tokio::test]
async fn chunks_that_are_refused_are_read_all_the_same() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.send("BDAT 6\r\nQUIT\r\nNOOP\r\n").await;
    client.replies(&["503", "250"]).await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.send("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").await;
    client.replies(&["503", "250"]).await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
    // Mixing is refused, RFC 3030 §2.
    client.send("BDAT 3\r\na\r\nDATA\r\nRCPT TO:<b@foo.edu>\r\nMAIL FROM:<a@b>\r\n").await;
    client.replies(&["250", "503", "503", "503"]).await;
    // A bare line end, and then nothing but RSET helps.
    client.send("BDAT 2\r\na\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n").await;
    client.replies(&["550 5.6.0", "503", "250"]).await;
    client.expect("RSET", "250").await;
    // Too large, by chunks each of which is not.
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
    let half = "x".repeat(SIZE_MAX as usize / 2 + 1);
    client.send(format!("BDAT {}\r\n{half}BDAT {} LAST\r\n{half}", half.len(), half.len())).await;
    client.replies(&["250", "552 5.3.4"]).await;
    // A carriage return at the very end has no LF.
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
    client.send("BDAT 2 LAST\r\na\r").await;
    client.replies(&["550 5.6.0"]).await;
    assert!(server.fake.store().stored.is_empty());
    // Nobody knows where this one's octets end.
    client.send("BDAT x\r\nNOOP\r\n").await;
    client.replies(&["501"]).await;
    assert_eq!(client.rest().await, "");
    let mut client = server.lmtp().await;
    client.expect("BDAT 18446744073709551615 LAST", "552").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let server = Server::start().await;
    for part in ["", "Subject: half\r\n", "Subject: x\r\n\r\nwhole but for its end\r\n", "x\r\n.", "x\r\n.\r"]
    {
        let mut client = server.lmtp().await;
        client.begin(&["a@foo.edu"]).await;
        client.send(part).await;
    }
    let mut client = server.lmtp().await;
    client.expect("MAIL FROM:<a@b>", "250").await;
    client.expect("RCPT TO:<a@foo.edu>", "250").await;
    client.send("BDAT 100 LAST\r\nnot a hundred").await;
    drop(client);
    server.until(|store| store.aborted == 6).await;
    assert!(server.fake.store().stored.is_empty());
}

#[tokio::test]
async fn storage_that_is_away_is_tried_again() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.begin(&["a@foo.edu", "b@foo.edu"]).await;
    client.send("x\r\n.\r\n").await;
    client.replies(&["250", "250"]).await;
    server.fake.store().down = true;
    client.begin(&["a@foo.edu", "b@foo.edu"]).await;
    client.send(format!("{}.\r\n", "0123456789\r\n".repeat(10_000))).await;
    client.replies(&["451 4.3.0", "451 4.3.0"]).await;
    client.expect("NOOP", "250").await;
}

#[tokio::test]
async fn the_same_mail_again_is_a_retry_only_if_its_reply_was_not_read() {
    let server = Server::start().await;
    let mail = "MAIL FROM:<a@b>\r\nRCPT TO:<a@foo.edu>\r\nDATA\r\n";
    // Read, and the session goes on: another mail, in this session and in the next.
    let mut client = server.lmtp().await;
    for _ in 0..2 {
        client.send(mail).await;
        client.replies(&["250", "250", "354"]).await;
        client.send("same\r\n.\r\n").await;
        client.replies(&["250"]).await;
    }
    client.expect("QUIT", "221").await;
    let mut client = server.lmtp().await;
    client.send(mail).await;
    client.replies(&["250", "250", "354"]).await;
    client.send("same\r\n.\r\n").await;
    client.replies(&["250"]).await;
    assert_eq!(server.fake.store().stored.len(), 3);
    // Read, and then closed without QUIT: another mail too.
    drop(client);
    server.until(|store| store.keys.is_empty()).await;
}

/// How the sender's connection ends when it dies.
#[derive(Clone, Copy)]
enum Death {
    Fin,
    Reset,
}

#[tokio::test]
async fn a_sender_that_died_before_the_reply_makes_no_second_copy() {
    let mail = "MAIL FROM:<a@b>\r\nRCPT TO:<a@foo.edu>\r\nDATA\r\n";
    for (death, tail) in
        [(Death::Fin, ""), (Death::Reset, ""), (Death::Fin, "QUIT\r\n"), (Death::Fin, "NOOP\r\n")]
    {
        let server = Server::start().await;
        let mut dying = server.lmtp().await;
        server.fake.gate.forget_permits(1_000_000);
        dying.send(format!("{mail}other\r\n.\r\n{tail}")).await;
        dying.replies(&["250", "250", "354"]).await;
        if let Death::Reset = death {
            dying.0.get_ref().set_zero_linger().unwrap();
        }
        drop(dying);
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.fake.gate.add_permits(1_000);
        server.until(|store| store.stored.len() == 1).await;
        // Longer than confirmations wait for company.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(server.fake.store().confirms, 0, "{tail:?}");
        let mut client = server.lmtp().await;
        client.send(mail).await;
        client.replies(&["250", "250", "354"]).await;
        client.send("other\r\n.\r\n").await;
        client.replies(&["250"]).await;
        assert_eq!(server.fake.store().stored.len(), 1, "{tail:?}");
    }
}

#[tokio::test]
async fn confirmations_travel_together_and_are_all_told_at_the_end() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    for i in 0..20 {
        client.begin(&["a@foo.edu"]).await;
        client.send(format!("{i}\r\n.\r\n")).await;
        client.replies(&["250"]).await;
    }
    client.expect("NOOP", "250").await;
    server.shutdown.trigger();
    client.replies(&["421 4.3.2"]).await;
    drop(client);
    tokio::time::timeout(Duration::from_secs(10), server.running).await.unwrap().unwrap();
    let store = server.fake.store();
    assert!(store.keys.is_empty());
    assert!(store.confirms <= 3, "{} calls for 20 mails", store.confirms);
}

#[tokio::test]
async fn a_stop_lets_the_message_arrive_first() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    client.begin(&["a@foo.edu"]).await;
    client.send("first half\r\n").await;
    server.shutdown.trigger();
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.send("second half\r\n.\r\n").await;
    client.replies(&["250", "421 4.3.2"]).await;
    assert_eq!(server.fake.store().stored.len(), 1);
}

#[tokio::test]
async fn many_errors_end_the_session() {
    let server = Server::start().await;
    let mut client = server.lmtp().await;
    for _ in 0..20 {
        client.expect("XYZZY", "500").await;
    }
    assert_eq!(client.rest().await, "421 4.7.0 too many errors, closing connection\r\n");
}
