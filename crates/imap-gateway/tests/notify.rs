//! NOTIFY where no script can look: without hints, with too many names; and URLs for submission, which need a setting.

mod support;

use std::time::Duration;

use mailbox_hints::Hints;
use support::{System, message};

#[tokio::test]
async fn without_hints_the_recheck_brings_the_news() {
    let system = System::with(Hints::none(), |settings| {
        settings.recheck_every = Some(Duration::from_millis(50));
    })
    .await;
    let mut me = system.select().await;
    let events = "MessageNew MessageExpunge";
    me.ok(&format!("NOTIFY SET (SELECTED ({events})) (PERSONAL ({events} MailboxName))")).await;
    let mut other = system.log_in().await;
    for n in 1..=2 {
        other.ok(&format!("CREATE work{n}")).await;
        let line = me.until("* LIST (").await.pop().unwrap_or_default();
        assert!(line.ends_with(&format!(" work{n}")), "{line}");
        other.append("Sent", "", &message(n)).await;
        me.until(&format!("* STATUS Sent (MESSAGES {n} ")).await;
        other.append("INBOX", "", &message(n)).await;
        me.until(&format!("* {n} EXISTS")).await;
    }
}

#[tokio::test]
async fn too_many_names_are_refused() {
    let system = System::start().await;
    let mut me = system.log_in().await;
    let many = "a ".repeat(1001);
    let refused = me.fails(&format!("NOTIFY SET (MAILBOXES ({}) NONE)", many.trim())).await;
    assert!(refused.starts_with("NO [NOTIFICATIONOVERFLOW]"), "{refused}");
}

/// RFC 5465 §5.8: more than is told at once; nothing is told from then on.
#[tokio::test]
async fn too_much_news_is_an_overflow() {
    let system = System::start().await;
    let mut me = system.log_in().await;
    let mut other = system.log_in().await;
    me.ok("NOTIFY SET (PERSONAL (MailboxName))").await;
    // While a command is in progress there is no look at the other mailboxes.
    me.send("x APPEND Sent {16}\r\n").await;
    for n in 0..=500 {
        other.ok(&format!("CREATE box{n}")).await;
    }
    me.send("Subject: x\r\n\r\nab\r\n").await;
    let told = me.until("* OK [NOTIFICATIONOVERFLOW]").await;
    assert!(!told.iter().any(|line| line.starts_with("* LIST")), "{told:?}");
    other.ok("CREATE more").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(me.ok("NOOP").await, Vec::<String>::new());
    me.ok("NOTIFY SET (PERSONAL (MailboxName))").await;
    other.ok("CREATE again").await;
    let line = me.until("* LIST (").await.pop().unwrap_or_default();
    assert!(line.ends_with(" again"), "{line}");
}

#[tokio::test]
async fn a_submission_server_reads_what_is_for_submission() {
    let system = System::with(Hints::in_process(), |settings| {
        settings.submit_users = vec!["submit@localhost".into()];
    })
    .await;
    system.add_account("submit").await;
    system.add_account("other").await;
    let mut me = system.log_in().await;
    me.append("INBOX", "", "Subject: x\r\n\r\nhello").await;
    let rump = "imap://me%40localhost@host/INBOX/;uid=1/;section=TEXT;urlauth=submit+me%40localhost";
    let signed = me.ok(&format!("GENURLAUTH \"{rump}\" INTERNAL")).await.remove(0);
    let url = signed.strip_prefix("* GENURLAUTH ").unwrap().to_owned();
    let mut submit = system.log_in_as("submit").await;
    assert_eq!(submit.ok(&format!("URLFETCH {url}")).await, [format!("* URLFETCH {url} {{5}}\r\nhello")]);
    for name in ["me", "other"] {
        let mut client = system.log_in_as(name).await;
        assert_eq!(client.ok(&format!("URLFETCH {url}")).await, [format!("* URLFETCH {url} NIL")]);
    }
}
