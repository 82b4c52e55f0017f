//! CONDSTORE and QRESYNC (RFC 7162).

#![expect(clippy::unwrap_used, reason = "the helpers of tests may panic as tests do")]

mod support;

use std::collections::BTreeMap;

use support::{Client, System, message};

fn modseq_of(line: &str) -> u64 {
    let rest = line.split("MODSEQ (").nth(1).or_else(|| line.split("HIGHESTMODSEQ ").nth(1)).unwrap();
    rest.split([')', ']']).next().unwrap().parse().unwrap()
}

fn select_value(lines: &[String], name: &str) -> u64 {
    let line = lines.iter().find(|line| line.contains(name)).unwrap();
    line.split(name).nth(1).unwrap().trim_start().split([' ', ']', ')']).next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn conditional_store() {
    let system = System::start().await;
    let mut a = system.select().await;
    a.fill_inbox(3).await;
    let lines = a.ok("FETCH 1:3 MODSEQ").await;
    let before = modseq_of(&lines[2]);
    let mut b = system.select().await;
    b.ok("STORE 2 +FLAGS (\\Flagged)").await;
    let lines = a.run(&format!("STORE 1:3 (UNCHANGEDSINCE {before}) +FLAGS.SILENT (\\Seen)")).await;
    let last = lines.last().unwrap();
    assert!(last.starts_with("OK [MODIFIED 2]"), "{lines:?}");
    assert!(lines[0].starts_with("* 1 FETCH (MODSEQ ("), "{lines:?}");
    assert!(lines[1].starts_with("* 2 FETCH (MODSEQ (") && lines[1].contains("\\Flagged"), "{lines:?}");
    assert!(lines[2].starts_with("* 3 FETCH (MODSEQ ("), "{lines:?}");
    let lines = a.run(&format!("UID STORE 2 (UNCHANGEDSINCE {before}) FLAGS (\\Seen)")).await;
    assert!(lines.last().unwrap().starts_with("OK [MODIFIED 2]"), "{lines:?}");
    let of_two = modseq_of(&a.ok("FETCH 2 MODSEQ").await[0]);
    let lines = a.ok(&format!("FETCH 1:* (FLAGS) (CHANGEDSINCE {of_two})")).await;
    assert!(!lines.iter().any(|line| line.starts_with("* 2 ")), "{lines:?}");
    let lines = a.ok("SEARCH MODSEQ 1 FLAGGED").await;
    assert!(lines[0].starts_with("* SEARCH 2 (MODSEQ "), "{lines:?}");
}

#[tokio::test]
async fn qresync_needs_enabling_and_replaces_expunge() {
    let system = System::start().await;
    let mut a = system.log_in().await;
    assert!(a.fails("SELECT INBOX (QRESYNC (1 1))").await.starts_with("BAD"));
    assert_eq!(a.ok("ENABLE QRESYNC NONSENSE").await, ["* ENABLED QRESYNC"]);
    a.fill_inbox(3).await;
    a.ok("SELECT INBOX").await;
    a.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)").await;
    let lines = a.run("EXPUNGE").await;
    assert_eq!(lines[0], "* VANISHED 1,3");
    assert!(lines[1].starts_with("OK [HIGHESTMODSEQ "), "{lines:?}");
    // RFC 7162 §3.2.6: also above the last message.
    assert_eq!(a.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)").await[0], "* VANISHED (EARLIER) 1,3");
    let lines = a.ok("SELECT INBOX").await;
    assert!(lines[0].starts_with("* OK [CLOSED]"), "{lines:?}");
}

/// A client's cache: UID -> flags.
type Cache = BTreeMap<u32, String>;

/// What a client that left with `cache` believes after these lines.
fn replay(mut cache: Cache, lines: &[String]) -> Cache {
    for line in lines {
        if let Some(set) = line.strip_prefix("* VANISHED (EARLIER) ") {
            for range in set.split(',') {
                let (first, last) = range.split_once(':').unwrap_or((range, range));
                for uid in first.parse::<u32>().unwrap()..=last.parse().unwrap() {
                    cache.remove(&uid);
                }
            }
        } else if line.contains(" FETCH (UID ") {
            let uid = line.split("UID ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            let flags = line.split("FLAGS (").nth(1).unwrap().split(')').next().unwrap();
            cache.insert(uid, flags.replace(" \\Recent", "").replace("\\Recent", ""));
        }
    }
    cache
}

#[tokio::test]
async fn a_client_comes_back_from_any_moment_and_knows_everything() {
    let system = System::start().await;
    let mut a = system.log_in().await;
    a.fill_inbox(6).await;
    a.ok("ENABLE QRESYNC").await;
    let mut moments = Vec::new();
    let lines = a.ok("SELECT INBOX").await;
    let validity = select_value(&lines, "UIDVALIDITY");
    for step in [
        "STORE 1:2 +FLAGS.SILENT (\\Seen)",
        "UID STORE 3 +FLAGS.SILENT (\\Deleted)",
        "EXPUNGE",
        "STORE 2 FLAGS.SILENT (\\Flagged $Work)",
        "UID STORE 6 +FLAGS.SILENT (\\Deleted)",
        "UID EXPUNGE 6",
        "NOOP",
    ] {
        moments.push(moment(&mut a).await);
        a.ok(step).await;
    }
    a.append("INBOX", "", &message(7)).await;
    moments.push(moment(&mut a).await);
    let (_, now) = moments.last().cloned().unwrap();
    for (modseq, cache) in &moments {
        let mut client = system.log_in().await;
        client.ok("ENABLE QRESYNC").await;
        let lines = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq}))")).await;
        assert_eq!(replay(cache.clone(), &lines), now, "from {modseq}: {lines:?}");
        let known = client.ok(&format!("SELECT INBOX (QRESYNC ({validity} {modseq} 1:2))")).await;
        assert!(known.iter().all(|line| !line.contains("UID 7")), "{known:?}");
        // Another timeline: nothing is promised.
        let lines = client.ok(&format!("SELECT INBOX (QRESYNC ({} {modseq}))", validity + 1)).await;
        assert!(lines.iter().all(|line| !line.contains("VANISHED") && !line.contains("FETCH")), "{lines:?}");
    }
}

async fn moment(client: &mut Client) -> (u64, Cache) {
    let status = client.ok("STATUS INBOX (HIGHESTMODSEQ)").await;
    let modseq = select_value(&status, "(HIGHESTMODSEQ").max(1);
    let lines = client.ok("UID FETCH 1:* (UID FLAGS)").await;
    (modseq, replay(Cache::new(), &lines))
}
