//! What two sessions on one mailbox hear of each other, and when: the traps that other servers fell into.

mod support;

use std::time::Duration;

use mailbox_hints::Hints;
use support::{System, message};

#[tokio::test]
async fn one_append_or_copy_between_accounts_takes_a_thousand_messages() {
    let system = System::start().await;
    system.add_account("bob").await;
    let mut bob = system.log_in_as("bob").await;
    bob.ok("CREATE shared").await;
    bob.ok("SETACL shared me@localhost lrswi").await;
    let mut client = system.select().await;
    // RFC 5530 §3, RFC 3502 §6.3.11: all or none.
    let message = " {3+}\r\nx\r\n";
    let refused = client.fails(&format!("APPEND INBOX{}", message.repeat(1001))).await;
    assert!(refused.starts_with("NO [LIMIT] "), "{refused}");
    client.ok(&format!("APPEND INBOX{}", message.repeat(1000))).await;
    client.ok(&format!("APPEND INBOX{message}")).await;
    let exists = client.ok("NOOP").await;
    assert!(exists.is_empty() || exists[0] == "* 1001 EXISTS", "{exists:?}");
    let there = "\"Other users/bob@localhost/shared\"";
    let refused = client.fails(&format!("COPY 1:* {there}")).await;
    assert!(refused.starts_with("NO [LIMIT] "), "{refused}");
    let none = bob.ok("STATUS shared (MESSAGES)").await;
    assert_eq!(none, ["* STATUS shared (MESSAGES 0)"]);
    client.ok(&format!("COPY 2:* {there}")).await;
    assert_eq!(bob.ok("STATUS shared (MESSAGES)").await, ["* STATUS shared (MESSAGES 1000)"]);
    // Inside an account there is no such limit.
    client.ok("CREATE mine").await;
    client.ok("COPY 1:* mine").await;
    assert_eq!(client.ok("STATUS mine (MESSAGES)").await, ["* STATUS mine (MESSAGES 1001)"]);
}

#[tokio::test]
async fn batches_of_uids_are_as_large_as_wanted() {
    let system = System::start().await;
    let mut client = system.select().await;
    let messages = " {3+}\r\nx\r\n".repeat(700);
    client.ok(&format!("APPEND INBOX{messages}")).await;
    client.ok(&format!("APPEND INBOX{messages}")).await;
    client.ok("UID STORE 2:101,1000 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("EXPUNGE").await;
    // 1299 messages are left. RFC 10022 §3.1: the highest first, one below the other, down to UID 1.
    let lines = client.ok("UIDBATCHES 500").await;
    let tag = lines[0].split('"').nth(1).unwrap();
    assert_eq!(lines, [format!("* UIDBATCHES (TAG \"{tag}\") 1400:900,899:400,399:1")]);
    for (range, count) in [("1400:900", 500), ("899:400", 500), ("399:1", 299)] {
        let found = client.ok(&format!("UID SEARCH RETURN (COUNT) UID {range}")).await;
        assert!(found[0].ends_with(&format!(" COUNT {count}")), "{range}: {found:?}");
    }
}

#[tokio::test]
async fn expunges_wait_for_a_command_that_may_tell_them() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(4).await;
    let mut b = system.select().await;
    b.ok("STORE 2:3 +FLAGS.SILENT (\\Deleted)").await;
    let lines = b.ok("EXPUNGE").await;
    assert_eq!(lines, ["* 3 EXPUNGE", "* 2 EXPUNGE"], "each number is right when it is read");

    // A counts four still: its numbers mean what it believes.
    assert_eq!(a.ok("FETCH 4 UID").await, ["* 4 FETCH (UID 4)"]);
    let lines = a.run("FETCH 1:4 UID").await;
    assert_eq!(lines[..2], ["* 1 FETCH (UID 1)", "* 4 FETCH (UID 4)"], "{lines:?}");
    assert!(lines[2].starts_with("NO [EXPUNGEISSUED]"), "{lines:?}");
    let lines = a.run("STORE 2:4 +FLAGS (\\Flagged)").await;
    assert_eq!(lines[0], "* 4 FETCH (FLAGS (\\Flagged \\Recent))");
    assert!(!lines.iter().any(|line| line.contains("EXPUNGE") && line.starts_with('*')), "{lines:?}");
    assert!(a.fails("COPY 1:3 Trash").await.starts_with("NO [EXPUNGEISSUED]"));
    a.append("INBOX", "", &message(5)).await;
    let lines = a.ok("NOOP").await;
    assert!(!lines.iter().any(|line| line.contains("EXPUNGE")), "told with the APPEND: {lines:?}");
    assert_eq!(a.ok("SEARCH ALL").await, ["* SEARCH 1 2 3"]);
    assert_eq!(a.ok("UID SEARCH ALL").await, ["* SEARCH 1 4 5"]);
}

#[tokio::test]
async fn a_uid_command_may_tell_of_expunges() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(3).await;
    let mut b = system.select().await;
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    b.ok("UID EXPUNGE 1:2").await;
    let lines = a.ok("UID STORE 3 +FLAGS (\\Answered)").await;
    assert_eq!(lines, ["* 1 EXPUNGE", "* 2 FETCH (UID 3 FLAGS (\\Answered \\Recent))"]);
    // UIDs that are gone, or never were, touch nobody (dbmail#526).
    assert!(a.ok("UID STORE 1,70 +FLAGS (\\Deleted)").await.is_empty());
    assert!(a.ok("UID FETCH 1,70 FLAGS").await.is_empty());
    assert_eq!(a.ok("FETCH 1:* FLAGS").await.len(), 2);
    assert!(a.fails("FETCH 3 FLAGS").await.starts_with("BAD"));
}

#[tokio::test]
async fn seen_is_set_once_and_told_to_all() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(2).await;
    let mut b = system.select().await;
    let text = message(1);
    let (header, body) = text.split_once("\r\n\r\n").map(|(h, b)| (format!("{h}\r\n\r\n"), b)).unwrap();
    assert_eq!(
        a.ok("FETCH 1 BODY.PEEK[]").await,
        [format!("* 1 FETCH (BODY[] {{{}}}\r\n{text})", text.len())]
    );
    assert!(b.ok("NOOP").await.is_empty(), "PEEK changes nothing");
    let lines = a.ok("FETCH 1 (BODY[TEXT] BODY[HEADER])").await;
    assert_eq!(
        lines,
        [format!(
            "* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {{{}}}\r\n{body} BODY[HEADER] {{{}}}\r\n{header})",
            body.len(),
            header.len()
        )],
        "in one line with the data, and before it"
    );
    assert_eq!(b.ok("NOOP").await, ["* 1 FETCH (FLAGS (\\Seen))"]);
    assert_eq!(a.ok("FETCH 1 BODY[]<6.3>").await, ["* 1 FETCH (BODY[]<6> {3}\r\na1@)"], "seen already");
    b.ok("EXAMINE INBOX").await;
    assert_eq!(b.ok("FETCH 2 (FLAGS BODY[HEADER.FIELDS (subject)])").await.len(), 1, "EXAMINE sets nothing");
    assert!(b.fails("STORE 2 +FLAGS (\\Seen)").await.starts_with("NO [READ-ONLY]"));
    assert!(b.fails("EXPUNGE").await.starts_with("NO [READ-ONLY]"));
    assert_eq!(
        a.ok("FETCH 2 (BODY.PEEK[HEADER.FIELDS (SUBJECT X)] BODY.PEEK[9] RFC822.SIZE)").await,
        [format!(
            "* 2 FETCH (BODY[HEADER.FIELDS (SUBJECT X)] {{21}}\r\nSubject: number 2\r\n\r\n BODY[9] NIL RFC822.SIZE {})",
            text.len()
        )]
    );
}

#[tokio::test]
async fn silence_hides_the_own_change_only() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(2).await;
    let mut b = system.select().await;
    b.ok("STORE 1 +FLAGS (\\Flagged)").await;
    let lines = a.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)").await;
    assert_eq!(lines, ["* 1 FETCH (FLAGS (\\Flagged \\Seen \\Recent))"], "b's flag is news");
    assert!(a.ok("STORE 1:2 +FLAGS.SILENT (\\Seen)").await.is_empty());
    // Without .SILENT the answer comes, change or none.
    assert_eq!(a.ok("STORE 2 +FLAGS (\\Seen)").await, ["* 2 FETCH (FLAGS (\\Seen \\Recent))"]);
    a.ok("ENABLE CONDSTORE").await;
    let lines = a.ok("UID STORE 2 FLAGS.SILENT (\\Draft)").await;
    assert!(lines.len() == 1 && lines[0].starts_with("* 2 FETCH (UID 2 MODSEQ ("), "{lines:?}");
    assert!(!lines[0].contains("FLAGS"), "{lines:?}");
}

#[tokio::test]
async fn recent_goes_to_one_session() {
    let system = System::start().await;
    let mut writer = system.log_in().await;
    writer.fill_inbox(2).await;
    let mut looker = system.log_in().await;
    assert!(looker.ok("EXAMINE INBOX").await.contains(&"* 2 RECENT".to_owned()));
    let mut first = system.log_in().await;
    assert!(first.ok("SELECT INBOX").await.contains(&"* 2 RECENT".to_owned()));
    let mut second = system.log_in().await;
    assert!(second.ok("SELECT INBOX").await.contains(&"* 0 RECENT".to_owned()));
    assert_eq!(first.ok("SEARCH RECENT").await, ["* SEARCH 1 2"]);
    assert_eq!(second.ok("SEARCH OLD").await, ["* SEARCH 1 2"]);
}

#[tokio::test]
async fn idle_hears_of_everything_at_once() {
    let system = System::start().await;
    let mut a = system.select().await;
    let mut b = system.select().await;
    a.idle().await;
    // Not b, which has the mailbox selected and could be the one that is told of \Recent messages.
    let mut writer = system.log_in().await;
    writer.append("INBOX", "", &message(1)).await;
    assert_eq!(a.until("* 1 RECENT").await.first().unwrap(), "* 1 EXISTS");
    writer.append("INBOX", "", &message(2)).await;
    assert_eq!(a.until("* 2 RECENT").await.first().unwrap(), "* 2 EXISTS");
    b.ok("NOOP").await;
    b.ok("STORE 2 +FLAGS (\\Flagged)").await;
    assert!(a.line().await.starts_with("* 2 FETCH (FLAGS (\\Flagged"));
    b.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    assert!(a.line().await.starts_with("* 1 FETCH (FLAGS (\\Deleted"));
    b.ok("EXPUNGE").await;
    assert_eq!(a.line().await, "* 1 EXPUNGE");
    a.hears_nothing().await;
    a.send("DONE\r\n").await;
    assert!(a.line().await.starts_with("i OK"));
    a.idle().await;
    a.send("NOOP\r\n").await;
    assert!(a.line().await.starts_with("i BAD"));
    a.ok("NOOP").await;
}

#[tokio::test]
async fn without_hints_the_recheck_finds_the_news() {
    let system = System::with(Hints::none(), |settings| {
        settings.recheck_every = Some(Duration::from_millis(50));
    })
    .await;
    let mut a = system.select().await;
    a.idle().await;
    let mut b = system.select().await;
    for n in 1..=3 {
        b.append("INBOX", "", &message(n)).await;
        a.until(&format!("* {n} EXISTS")).await;
    }
}

#[tokio::test]
async fn a_deleted_mailbox_ends_the_session_and_its_successor_is_another() {
    let system = System::start().await;
    let mut a = system.log_in().await;
    a.ok("CREATE Work").await;
    a.append("Work", "", &message(1)).await;
    a.ok("SELECT Work").await;
    let mut b = system.log_in().await;
    b.ok("DELETE Work").await;
    b.ok("CREATE Work").await;
    b.append("Work", "", &message(2)).await;
    a.send("x NOOP\r\n").await;
    let rest = a.rest().await;
    assert!(rest.starts_with("* BYE ") && !rest.contains("EXISTS"), "{rest}");
    let lines = b.ok("SELECT Work").await;
    assert!(lines.contains(&"* 1 EXISTS".to_owned()), "{lines:?}");
    assert!(b.ok("FETCH 1 BODY.PEEK[TEXT]").await[0].contains("body 2"));
}

#[tokio::test]
async fn copy_and_move_tell_the_new_uids() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(3).await;
    assert!(a.fails("COPY 1 Nowhere").await.starts_with("NO [TRYCREATE]"));
    a.ok("CREATE Work").await;
    let done = a.done("COPY 1,3 Work").await;
    assert!(done.starts_with("OK [COPYUID ") && done.contains(" 1,3 1:2]"), "{done}");
    let lines = a.ok("UID MOVE 2:3 Work").await;
    assert!(lines[0].starts_with("* OK [COPYUID ") && lines[0].contains(" 2:3 3:4]"), "{lines:?}");
    assert_eq!(lines[1..], ["* 3 EXPUNGE", "* 2 EXPUNGE"]);
    let status = a.ok("STATUS Work (MESSAGES UIDNEXT UNSEEN)").await;
    assert_eq!(status, ["* STATUS Work (MESSAGES 4 UIDNEXT 5 UNSEEN 4)"]);
}

#[tokio::test]
async fn a_large_message_is_streamed_and_its_parts_are_read_alone() {
    let system = System::start().await;
    let mut a = system.select().await;
    let attachment = "QUJD".repeat(19).to_string() + "\r\n";
    let head = "Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    let first = "--b\r\nContent-Type: text/plain\r\n\r\nshort\r\n--b\r\n\
                 Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let text = format!("{head}{first}{}--b--\r\n", attachment.repeat(5000));
    a.append("INBOX", "", &text).await;
    let lines = a.ok("FETCH 1 (UID BODY.PEEK[] RFC822.SIZE)").await;
    assert_eq!(lines, [format!("* 1 FETCH (UID 1 BODY[] {{{0}}}\r\n{text} RFC822.SIZE {0})", text.len())]);
    assert_eq!(
        a.ok("FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.MIME]<0.12> BODY.PEEK[2]<4.4> BODY.PEEK[TEXT]<0.3>)").await,
        [
            "* 1 FETCH (BODY[1] {5}\r\nshort BODY[2.MIME]<0> {12}\r\nContent-Type BODY[2]<4> {4}\r\nQUJD BODY[TEXT]<0> {3}\r\n--b)"
        ]
    );
    assert_eq!(
        a.ok("FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2]<3.4> BODY.PEEK[HEADER.FIELDS (Subject)])").await,
        [format!(
            "* 1 FETCH (BINARY.SIZE[2] {} BINARY[2]<3> {{4}}\r\nABCA BODY[HEADER.FIELDS (Subject)] {{18}}\r\nSubject: large\r\n\r\n)",
            57 * 5000
        )]
    );
}

#[tokio::test]
async fn the_view_decides_what_it_can_and_storage_the_rest() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(5).await;
    a.ok("STORE 2,4 +FLAGS.SILENT (\\Seen $Work)").await;
    for (key, expected) in [
        ("UNSEEN", "1 3 5"),
        ("KEYWORD $work", "2 4"),
        ("UNKEYWORD never", "1 2 3 4 5"),
        ("SUBJECT \"number 3\"", "3"),
        ("OR SUBJECT \"number 1\" SEEN", "1 2 4"),
        ("NOT BODY \"body 2\" SEEN", "4"),
        ("OR (SEEN NOT SUBJECT 2) (UID 1 FROM a1@)", "1 4"),
        ("2:* LARGER 10 SMALLER 100000", "2 3 4 5"),
        ("HEADER Subject \"\" SINCE 1-Jan-2020", "1 2 3 4 5"),
        ("HEADER X-None \"\"", ""),
        ("YOUNGER 3600", "1 2 3 4 5"),
        ("OLDER 3600", ""),
        ("CHARSET UTF-8 TEXT body", "1 2 3 4 5"),
    ] {
        let line = format!("* SEARCH {expected}");
        assert_eq!(a.ok(&format!("SEARCH {key}")).await, [line.trim_end()], "{key}");
    }
    assert!(a.fails("SEARCH CHARSET X-NONE TEXT a").await.starts_with("NO [BADCHARSET"));
    let lines = a.ok("SEARCH RETURN (MIN MAX COUNT) UNSEEN").await;
    assert!(
        lines[0].starts_with("* ESEARCH (TAG \"t") && lines[0].ends_with(" MIN 1 MAX 5 COUNT 3"),
        "{lines:?}"
    );
    let lines = a.ok("UID SEARCH RETURN (PARTIAL -1:-2) ALL").await;
    assert!(lines[0].contains(" UID PARTIAL (-1:-2 4:5)"), "{lines:?}");
    assert!(a.ok("SEARCH RETURN (SAVE) SEEN").await.is_empty());
    assert_eq!(a.ok("FETCH $ UID").await, ["* 2 FETCH (UID 2)", "* 4 FETCH (UID 4)"]);
    assert_eq!(a.ok("UID SEARCH UID $ SUBJECT 4").await, ["* SEARCH 4"]);
    a.fails("SEARCH RETURN (SAVE) CHARSET X-NONE TEXT a").await;
    assert!(a.ok("FETCH $ UID").await.is_empty(), "a failed search saves nothing");
    let lines = a.ok("FETCH 3 (THREADID EMAILID)").await;
    let thread = lines[0].split("THREADID (").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let email = lines[0].split("EMAILID (").nth(1).unwrap().split(')').next().unwrap().to_owned();
    assert_eq!(a.ok(&format!("SEARCH THREADID {thread}")).await, ["* SEARCH 3"]);
    assert_eq!(a.ok(&format!("SEARCH EMAILID {email} NOT THREADID X1")).await, ["* SEARCH 3"]);
}

#[tokio::test]
async fn lists_and_subscriptions() {
    let system = System::start().await;
    let mut a = system.log_in().await;
    a.ok("CREATE a/b/").await;
    a.ok("SUBSCRIBE a/b").await;
    assert_eq!(a.ok("LIST \"\" \"\"").await, ["* LIST (\\Noselect) \"/\" \"\""]);
    let lines = a.ok("LIST \"\" \"a*\"").await;
    assert!(lines.iter().any(|line| line == "* LIST (\\HasNoChildren) \"/\" a/b"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("\\HasChildren) \"/\" a")), "{lines:?}");
    let lines = a.ok("LIST \"\" inbox RETURN (STATUS (MESSAGES) SUBSCRIBED)").await;
    assert!(lines[0].ends_with("\"/\" INBOX") && lines[1] == "* STATUS INBOX (MESSAGES 0)", "{lines:?}");
    assert!(a.ok("LSUB \"\" %").await.contains(&"* LSUB (\\Noselect) \"/\" a".to_owned()));
    a.ok("RENAME a/b &kAFP4Q-").await;
    let lines = a.ok("LIST (SPECIAL-USE) \"\" *").await;
    assert!(lines.iter().all(|line| line.contains('\\')), "{lines:?}");
    assert!(
        a.ok("LIST \"\" &kAFP4Q-").await[0].ends_with(" &kAFP4Q-"),
        "modified UTF-7 comes back as it went in"
    );
    assert!(a.fails("CREATE INBOX").await.starts_with("NO [ALREADYEXISTS]"));
    assert!(a.fails("DELETE INBOX").await.starts_with("NO [CANNOT]"));
    assert!(a.fails("DELETE nothing").await.starts_with("NO [NONEXISTENT]"));
    assert_eq!(a.ok("GETQUOTAROOT INBOX").await[0], "* QUOTAROOT INBOX \"\"");
}
