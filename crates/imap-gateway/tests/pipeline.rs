//! Commands sent without waiting for replies (RFC 9051 §5.5): read together, executed and answered in their order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use support::{Client, PASSWORD, System, message};

/// Sends commands in one piece; the tagged replies in their order, and all lines before each.
async fn burst(client: &mut Client, commands: &[String]) -> Vec<Vec<String>> {
    let text: String =
        commands.iter().enumerate().map(|(n, command)| format!("p{n} {command}\r\n")).collect();
    client.send(&text).await;
    let mut replies = Vec::new();
    for n in 0..commands.len() {
        replies.push(client.until(&format!("p{n} ")).await);
    }
    replies
}

#[tokio::test]
async fn fetches_sent_ahead_are_one_call() {
    let system = System::start().await;
    let mut client = system.select().await;
    client.fill_inbox(20).await;
    system.calls("");
    let commands: Vec<_> = (1..=20).map(|uid| format!("UID FETCH {uid} (BODY.PEEK[])")).collect();
    let replies = burst(&mut client, &commands).await;
    for (n, lines) in replies.iter().enumerate() {
        let (uid, text) = (n + 1, message(n + 1));
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with(&format!("* {uid} FETCH (UID {uid} BODY[] {{{}}}", text.len())),
            "{lines:?}"
        );
        assert!(lines[0].contains(text.trim_end()), "{lines:?}");
        assert!(lines[1].starts_with(&format!("p{n} OK")), "{lines:?}");
    }
    let calls = system.calls("Content");
    assert!(calls <= 2, "{calls} calls for the octets of 20 messages");
}

#[tokio::test]
async fn states_of_mailboxes_are_asked_for_together_and_told_in_order() {
    let system = System::start().await;
    let mut client = system.log_in().await;
    client.append("Trash", "", &message(1)).await;
    let commands: Vec<_> = ["INBOX", "Trash", "Nowhere", "Sent", "Trash"]
        .iter()
        .map(|name| format!("STATUS {name} (MESSAGES)"))
        .collect();
    let replies = burst(&mut client, &commands).await;
    assert_eq!(replies[0][0], "* STATUS INBOX (MESSAGES 0)");
    assert_eq!(replies[1][0], "* STATUS Trash (MESSAGES 1)");
    assert!(replies[2][0].starts_with("p2 NO [NONEXISTENT]"), "{replies:?}");
    assert_eq!(replies[3][0], "* STATUS Sent (MESSAGES 0)");
    assert_eq!(replies[4][0], "* STATUS Trash (MESSAGES 1)");
    assert_eq!(replies.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1, 2, 2]);
}

#[tokio::test]
async fn nothing_is_read_before_a_change_that_was_sent_before_it() {
    let system = System::start().await;
    let mut client = system.select().await;
    client.fill_inbox(3).await;
    let commands = [
        "STATUS INBOX (UNSEEN)",
        "STATUS Trash (MESSAGES)",
        "UID FETCH 1 BODY[]",
        "STATUS INBOX (UNSEEN)",
        "UID FETCH 2 FLAGS",
        "UID STORE 2 +FLAGS (\\Flagged)",
        "UID FETCH 2 FLAGS",
        "COPY 1:2 Trash",
        "STATUS Trash (MESSAGES)",
        "STATUS Trash (UNSEEN)",
        "SEARCH FLAGGED",
        "NOSUCH",
        "UID FETCH 3 (RFC822.SIZE)",
    ]
    .map(String::from);
    let replies = burst(&mut client, &commands).await;
    let first = |n: usize| replies[n][0].as_str();
    assert_eq!(first(0), "* STATUS INBOX (UNSEEN 3)");
    assert_eq!(first(1), "* STATUS Trash (MESSAGES 0)");
    assert!(first(2).starts_with("* 1 FETCH (FLAGS (\\Seen \\Recent) UID 1 BODY[] {"), "{replies:?}");
    assert_eq!(first(3), "* STATUS INBOX (UNSEEN 2)");
    assert_eq!(first(4), "* 2 FETCH (UID 2 FLAGS (\\Recent))");
    assert_eq!(first(6), "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))");
    assert_eq!(first(8), "* STATUS Trash (MESSAGES 2)");
    assert_eq!(first(9), "* STATUS Trash (UNSEEN 1)");
    assert_eq!(first(10), "* SEARCH 2");
    assert!(first(11).starts_with("p11 BAD"), "{replies:?}");
    assert!(first(12).starts_with("* 3 FETCH (UID 3 RFC822.SIZE "), "{replies:?}");
}

#[tokio::test]
async fn literals_and_other_readers_of_the_input_come_after_what_was_sent_before_them() {
    let system = System::start().await;
    let mut client = system.select().await;
    client.fill_inbox(2).await;
    // A synchronising literal: its continuation request comes when it is its turn.
    client.send("a UID FETCH 1 FLAGS\r\nb UID FETCH 2 FLAGS\r\nc APPEND Trash {3}\r\n").await;
    assert_eq!(client.line().await, "* 1 FETCH (UID 1 FLAGS (\\Recent))");
    assert!(client.line().await.starts_with("a OK"));
    assert_eq!(client.line().await, "* 2 FETCH (UID 2 FLAGS (\\Recent))");
    assert!(client.line().await.starts_with("b OK"));
    assert!(client.line().await.starts_with("+ "));
    client.send("x\r\n\r\nd STATUS Trash (MESSAGES)\r\ne STATUS INBOX (MESSAGES)\r\nf STATUS\r\n").await;
    assert!(client.until("c ").await.last().unwrap().starts_with("c OK [APPENDUID"));
    assert_eq!(client.line().await, "* STATUS Trash (MESSAGES 1)");
    assert!(client.line().await.starts_with("d OK"));
    assert_eq!(client.line().await, "* STATUS INBOX (MESSAGES 2)");
    assert!(client.line().await.starts_with("e OK"));
    assert!(client.line().await.starts_with("f BAD"));
    // One that does not wait for the server, amid others, and IDLE with its end behind it.
    client
        .send("g UID FETCH 1 FLAGS\r\nh STATUS {5+}\r\nTrash (MESSAGES)\r\ni UID FETCH 2 FLAGS\r\nj IDLE\r\nDONE\r\nk NOOP\r\n")
        .await;
    assert_eq!(client.line().await, "* 1 FETCH (UID 1 FLAGS (\\Recent))");
    assert!(client.line().await.starts_with("g OK"));
    assert_eq!(client.line().await, "* STATUS Trash (MESSAGES 1)");
    assert!(client.line().await.starts_with("h OK"));
    assert_eq!(client.line().await, "* 2 FETCH (UID 2 FLAGS (\\Recent))");
    assert!(client.line().await.starts_with("i OK"));
    assert!(client.line().await.starts_with("+ "));
    assert!(client.line().await.starts_with("j OK"));
    assert!(client.line().await.starts_with("k OK"));
    // LOGOUT ends it; what is behind is nobody's.
    client.send("l STATUS Trash (MESSAGES)\r\nm LOGOUT\r\nn NOOP\r\n").await;
    let rest = client.rest().await;
    assert!(rest.contains("l OK") && rest.contains("m OK") && !rest.contains("n OK"), "{rest}");
}

#[tokio::test]
async fn more_commands_and_octets_than_are_read_ahead() {
    const MESSAGES: usize = 70;
    let system = System::start().await;
    let mut client = system.select().await;
    let bodies: Vec<String> =
        (0..MESSAGES).map(|n| format!("Subject: {n}\r\n\r\n{}\r\n", "x".repeat(50_000 + n))).collect();
    for body in &bodies {
        client.append("INBOX", "", body).await;
    }
    system.calls("");
    let commands: Vec<_> = (1..=MESSAGES).map(|uid| format!("UID FETCH {uid} (BODY.PEEK[])")).collect();
    let replies = burst(&mut client, &commands).await;
    for (n, (lines, body)) in replies.iter().zip(&bodies).enumerate() {
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains(&format!("(UID {} BODY[] {{{}}}", n + 1, body.len())), "{}", n + 1);
        assert!(lines[0].contains(body.trim_end()), "{}", n + 1);
        assert!(lines[1].starts_with(&format!("p{n} OK")), "{}", lines[1]);
    }
    // 33 commands, 33, and 4.
    assert_eq!(system.calls("Content"), 3);

    // On a gateway that has none of them yet, two commands for more octets than are read ahead.
    let mut client = Client::connect(system.gateway().await).await;
    client.ok(&format!("LOGIN me@localhost \"{PASSWORD}\"")).await;
    client.ok("SELECT INBOX").await;
    system.calls("");
    let commands = ["UID FETCH 1:35 (BODY.PEEK[])", "UID FETCH 36:70 (BODY.PEEK[])"].map(String::from);
    let replies = burst(&mut client, &commands).await;
    assert_eq!(replies.iter().map(Vec::len).collect::<Vec<_>>(), [36, 36]);
    assert_eq!(system.calls("Content"), 2, "one for both, and one for the rest of the second");
}
