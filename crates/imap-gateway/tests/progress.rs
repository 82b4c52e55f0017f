//! What a client hears while a command takes long (RFC 9585).

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use mailbox_hints::Hints;
use support::{System, message};

const EVERY: Duration = Duration::from_millis(40);
const SLOW: Duration = Duration::from_millis(400);

async fn start() -> System {
    System::with(Hints::in_process(), |settings| settings.progress_every = EVERY).await
}

fn notes(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("* OK [INPROGRESS ")).collect()
}

#[tokio::test]
async fn a_search_that_takes_long_says_how_far_it_is() {
    let system = start().await;
    let mut client = system.select().await;
    client.fill_inbox(3).await;
    system.slow_down("Search", SLOW);
    client.send("slow SEARCH BODY body\r\n").await;
    let lines = client.until("slow ").await;
    let notes = notes(&lines);
    // Every 40 to 60 ms in 400 ms, on a machine that may be busy.
    assert!((2..=10).contains(&notes.len()), "{lines:?}");
    // RFC 9585 §4: the tag, what is done, and all that there is to do.
    assert!(notes.iter().all(|note| *note == "(\"slow\" 0 3)] Still at work"), "{lines:?}");
    assert!(lines.contains(&"* SEARCH 1 2 3".to_owned()), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("slow OK "), "{lines:?}");
    // Nothing follows.
    client.hears_nothing().await;
}

#[tokio::test]
async fn what_is_soon_done_says_nothing() {
    let system = System::start().await;
    let mut client = system.select().await;
    client.fill_inbox(2).await;
    system.slow_down("Search", Duration::from_millis(100));
    let lines = client.ok("SEARCH BODY body").await;
    assert!(notes(&lines).is_empty(), "{lines:?}");
}

#[tokio::test]
async fn a_tag_with_a_bracket_stays_out_of_the_code() {
    let system = start().await;
    let mut client = system.select().await;
    client.fill_inbox(1).await;
    system.slow_down("Search", SLOW);
    client.send("a]b UID SEARCH TEXT number\r\n").await;
    let lines = client.until("a]b ").await;
    let notes = notes(&lines);
    assert!(!notes.is_empty() && notes.iter().all(|note| note.starts_with("(NIL 0 1)] ")), "{lines:?}");
}

#[tokio::test]
async fn transactions_of_storage_say_that_they_go_on() {
    let system = start().await;
    let mut client = system.select().await;
    client.fill_inbox(2).await;
    client.ok("CREATE there").await;
    for (call, command) in [
        ("StoreFlags", "STORE 1 +FLAGS (\\Deleted)"),
        ("Copy", "COPY 1:2 there"),
        ("Expunge", "EXPUNGE"),
        ("Open", "SELECT there"),
        ("SortKeys", "SORT (SUBJECT) UTF-8 ALL"),
        ("SortKeys", "THREAD REFERENCES UTF-8 ALL"),
        ("Append", &format!("APPEND there {{{}+}}\r\n{}", message(7).len(), message(7))),
    ] {
        system.slow_down(call, SLOW);
        let lines = client.ok(command).await;
        let notes = notes(&lines);
        assert!(!notes.is_empty(), "{command}: {lines:?}");
        // Nobody can tell how far a transaction is.
        assert!(notes.iter().all(|note| note.ends_with(" NIL NIL)] Still at work")), "{command}: {lines:?}");
        system.slow_down(call, Duration::ZERO);
    }
}

#[tokio::test]
async fn fetch_says_it_between_its_lines() {
    let system = start().await;
    let mut client = system.select().await;
    let message = message(1);
    let messages = format!(" {{{}+}}\r\n{message}", message.len()).repeat(300);
    client.ok(&format!("APPEND INBOX{messages}")).await;
    client.ok("NOOP").await;
    system.slow_down("Fetch", SLOW);
    let lines = client.ok("FETCH 1:* (ENVELOPE)").await;
    let fetched = lines.iter().filter(|line| line.contains(" FETCH (ENVELOPE")).count();
    assert_eq!(fetched, 300);
    let notes = notes(&lines);
    // Before the first page, and between it and the second. The first is being written while the second is asked for.
    assert!(notes.iter().any(|note| note.ends_with(" 0 300)] Still at work")), "{notes:?}");
    assert!(notes.len() >= 2 && notes.iter().all(|note| note.ends_with(" 300)] Still at work")), "{notes:?}");
}

#[tokio::test]
async fn a_search_of_many_mailboxes_counts_their_messages() {
    let system = start().await;
    let mut client = system.select().await;
    client.fill_inbox(3).await;
    client.ok("CREATE there").await;
    client.ok("COPY 1:2 there").await;
    system.slow_down("Search", SLOW);
    let lines = client.ok("ESEARCH IN (personal) RETURN (COUNT) BODY body").await;
    let notes = notes(&lines);
    assert!(notes.iter().any(|note| note.ends_with(" 0 5)] Still at work")), "{lines:?}");
    assert!(notes.iter().any(|note| note.ends_with(" 3 5)] Still at work")), "{lines:?}");
}

#[tokio::test]
async fn it_is_said_in_the_language_of_the_client() {
    let system = start().await;
    let mut client = system.select().await;
    client.fill_inbox(1).await;
    client.ok("ENABLE IMAP4rev2").await;
    client.ok("LANGUAGE ja").await;
    system.slow_down("Search", SLOW);
    let lines = client.ok("SEARCH BODY body").await;
    assert!(notes(&lines).iter().any(|note| note.contains("処理を続けています")), "{lines:?}");
}
