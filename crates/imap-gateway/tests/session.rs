//! What a session as such must get right: states, literals, pipelining, bad input.

mod support;

use support::{Client, PASSWORD, System, message};

#[tokio::test]
async fn states_and_capabilities() {
    let system = System::start().await;
    let mut client = system.connect().await;
    assert!(client.fails("SELECT INBOX").await.starts_with("BAD"));
    assert!(client.fails("LOGIN me@localhost wrong").await.starts_with("NO [AUTHENTICATIONFAILED]"));
    assert!(client.fails("LOGIN nobody@localhost wrong").await.starts_with("NO [AUTHENTICATIONFAILED]"));
    let done = client.done(&format!("LOGIN me@localhost \"{PASSWORD}\"")).await;
    assert!(done.contains("[CAPABILITY IMAP4rev1 ") && done.contains(" QRESYNC "), "{done}");
    assert!(client.fails("FETCH 1 FLAGS").await.starts_with("BAD"));
    assert!(client.fails("LOGIN a b").await.starts_with("BAD"));
    assert_eq!(client.ok("NAMESPACE").await, ["* NAMESPACE ((\"\" \"/\")) ((\"Other users/\" \"/\")) NIL"]);
    client.send("z LOGOUT\r\n").await;
    let rest = client.rest().await;
    assert!(rest.starts_with("* BYE ") && rest.contains("\r\nz OK "), "{rest}");
}

#[tokio::test]
async fn sasl_plain_with_and_without_initial_response() {
    use base64::Engine;
    let system = System::start().await;
    let token = base64::engine::general_purpose::STANDARD.encode(format!("\0me@localhost\0{PASSWORD}"));
    let mut client = system.connect().await;
    client.ok(&format!("AUTHENTICATE PLAIN {token}")).await;
    let mut client = system.connect().await;
    client.send("a AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await, "+ ");
    client.send("*\r\n").await;
    assert!(client.line().await.starts_with("a BAD"));
    client.send("b AUTHENTICATE PLAIN\r\n").await;
    client.line().await;
    client.send(&format!("{token}\r\n")).await;
    assert!(client.line().await.starts_with("b OK"));
}

#[tokio::test]
async fn passwords_are_refused_in_clear_text() {
    let system =
        System::with(mailbox_hints::Hints::in_process(), |settings| settings.allow_clear_login = false).await;
    let mut client = system.connect().await;
    let capability = client.ok("CAPABILITY").await;
    assert!(capability[0].contains("LOGINDISABLED") && !capability[0].contains("AUTH="), "{capability:?}");
    assert!(
        client.fails(&format!("LOGIN me@localhost \"{PASSWORD}\"")).await.starts_with("NO [PRIVACYREQUIRED]")
    );
}

#[tokio::test]
async fn bad_commands_leave_the_session_alive_until_they_are_too_many() {
    let system = System::start().await;
    let mut client = system.log_in().await;
    for bad in ["NONSENSE", "FETCH", "LIST \"\" (", "SELECT \"a\0b\"", "STATUS INBOX (X)", "APPEND INBOX"] {
        assert!(client.fails(bad).await.starts_with("BAD"), "{bad}");
    }
    client.ok("NOOP").await;
    for _ in 0..20 {
        client.send("x NONSENSE\r\n").await;
    }
    let rest = client.rest().await;
    assert!(rest.contains("* BYE [CLIENTBUG] "), "{rest}");
    // Before login there is less patience.
    let mut client = system.connect().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nB: c\r\nD: e\r\nF: g\r\nH: i\r\n\r\n").await;
    assert!(client.rest().await.contains("* BYE [CLIENTBUG] "));
}

#[tokio::test]
async fn wrong_passwords_end_a_session() {
    let system = System::start().await;
    let mut client = system.connect().await;
    for _ in 1..5 {
        assert!(client.fails("LOGIN me@localhost wrong").await.starts_with("NO [AUTHENTICATIONFAILED] "));
    }
    client.send("z LOGIN me@localhost wrong\r\n").await;
    let rest = client.rest().await;
    assert!(rest.starts_with("* BYE [AUTHENTICATIONFAILED] "), "{rest}");
    assert!(rest.contains("\r\nz NO [AUTHENTICATIONFAILED] "), "{rest}");
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let system = System::start().await;
    let mut client = system.log_in().await;
    client.fill_inbox(2).await;
    let message = message(3);
    client
        .send(&format!(
            "a SELECT INBOX\r\nb FETCH 1:2 UID\r\nc APPEND INBOX {{{}+}}\r\n{message}\r\nd NOOP\r\ne FETCH 3 UID\r\nf LOGOUT\r\n",
            message.len()
        ))
        .await;
    let rest = client.rest().await;
    let tags: Vec<&str> = rest
        .lines()
        .filter(|line| !line.starts_with('*'))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(tags, ["a", "b", "c", "d", "e", "f"], "{rest}");
    assert!(rest.contains("* 3 FETCH (UID 3)\r\ne OK"), "{rest}");
}

#[tokio::test]
async fn literals_are_waited_for_and_refused() {
    let system =
        System::with(mailbox_hints::Hints::in_process(), |settings| settings.message_bytes_max = 1000).await;
    let mut client = system.connect().await;
    client.send("a LOGIN {12}\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    client.send(&format!("me@localhost {{{}}}\r\n", PASSWORD.len())).await;
    assert!(client.line().await.starts_with("+ "));
    client.send(&format!("{PASSWORD}\r\n")).await;
    assert!(client.line().await.starts_with("a OK"));

    assert!(client.append("INBOX", "", &"x".repeat(1001)).await.starts_with("NO [TOOBIG]"));
    assert!(client.append("Nowhere", "", "x").await.starts_with("NO [TRYCREATE]"));
    // A literal that is on its way already is swallowed.
    assert!(client.fails("APPEND Nowhere {5+}\r\nabcde").await.starts_with("NO [TRYCREATE]"));
    assert!(
        client
            .fails(&format!("APPEND INBOX {{1001+}}\r\n{}", "x".repeat(1001)))
            .await
            .starts_with("NO [TOOBIG]")
    );
    client.ok("NOOP").await;
    assert!(
        client
            .append("INBOX", "(\\Seen $Work) \" 1-Feb-2020 10:00:00 +0100\" ", "a: b\r\n\r\nc")
            .await
            .contains("[APPENDUID ")
    );
    client.ok("EXAMINE INBOX").await;
    assert_eq!(
        client.ok("FETCH 1 (FLAGS INTERNALDATE)").await,
        ["* 1 FETCH (FLAGS (\\Seen $Work \\Recent) INTERNALDATE \" 1-Feb-2020 09:00:00 +0000\")"]
    );
}

#[tokio::test]
async fn other_peoples_mailboxes_look_like_none() {
    let system = System::start().await;
    system.add_account("you").await;
    let mut you = system.log_in_as("you").await;
    you.ok("CREATE Private").await;
    let mut me = system.log_in().await;
    for command in ["SELECT", "EXAMINE", "DELETE"] {
        let theirs = me.fails(&format!("{command} Private")).await;
        let nobodys = me.fails(&format!("{command} Nothing")).await;
        assert_eq!(theirs.replace("Private", "Nothing"), nobodys);
        assert!(theirs.starts_with("NO [NONEXISTENT]"), "{theirs}");
    }
}

#[tokio::test]
async fn a_second_gateway_sees_what_was_written_on_the_first() {
    let system = System::start().await;
    let second = system.gateway().await;
    let mut here = system.select().await;
    let mut there = Client::connect(second).await;
    there.ok(&format!("LOGIN me@localhost \"{PASSWORD}\"")).await;
    there.ok("SELECT INBOX").await;
    for n in 1..=3 {
        here.append("INBOX", "", &message(n)).await;
        let lines = there.ok("NOOP").await;
        assert!(lines.contains(&format!("* {n} EXISTS")), "{lines:?}");
    }
    here.ok("STORE 2 +FLAGS (\\Flagged $New)").await;
    let lines = there.ok("NOOP").await;
    assert!(
        lines[0].starts_with("* FLAGS (") && lines[0].contains("$New"),
        "the keyword comes first: {lines:?}"
    );
    assert_eq!(lines.last().unwrap(), "* 2 FETCH (FLAGS (\\Flagged $New))");
}

#[tokio::test]
async fn the_server_says_goodbye_when_it_stops() {
    let system = System::start().await;
    let mut waiting = system.select().await;
    let mut idling = system.select().await;
    idling.idle().await;
    system.shutdown.trigger();
    // RFC 5530 §3: it is not the client's fault, and will not last.
    assert!(waiting.rest().await.starts_with("* BYE [UNAVAILABLE] "));
    assert!(idling.rest().await.starts_with("* BYE [UNAVAILABLE] "));
}

#[tokio::test]
async fn compression_is_started_after_its_ok() {
    use std::io::{Read, Write};
    let system = System::start().await;
    let mut client = system.log_in().await;
    client.ok("COMPRESS DEFLATE").await;
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    deflate.write_all(b"a LOGOUT\r\n").unwrap();
    deflate.flush().unwrap();
    let bytes = deflate.get_ref().clone();
    client.send_bytes(&bytes).await;
    let compressed = client.rest_bytes().await;
    let mut text = Vec::new();
    // The stream has no end, only flushes: whatever can be read is what was said.
    let _ = flate2::read::DeflateDecoder::new(&compressed[..]).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.contains("* BYE ") && text.contains("a OK "), "{text}");
}
