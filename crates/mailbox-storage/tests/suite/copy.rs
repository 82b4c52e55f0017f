//! COPY and MOVE.

use mail_rpc::pb::{self, copy_request::Mode};
use mail_types::FlagBits;
use tonic::Code;

use crate::fixture::*;

suite!(
    copies_share_the_message,
    moves_are_in_one_place,
    keywords_are_translated,
    keywords_that_come_during_a_copy_cost_nothing,
    into_the_same_mailbox,
    concurrent_moves_make_one_copy,
    moves_in_both_directions_do_not_deadlock
);

async fn copies_share_the_message(store: &Store) {
    for (name, flags) in [("a", FlagBits::SEEN), ("b", FlagBits::NONE), ("c", FlagBits::DELETED)] {
        store.append("INBOX", flags, &message(name)).await;
    }
    store.append("Archive", FlagBits::NONE, &message("x")).await;
    let inbox = store.examine("INBOX").await;
    let at = known(&inbox);
    let copied = store.copy((at.mailbox_id, at.modseq), "3,1,9", "Archive", Mode::Copy).await.unwrap();
    assert_eq!((text(&copied.source), text(&copied.destination)), ("1,3".into(), "2:3".into()));
    let archive = store.examine("Archive").await;
    assert_eq!(copied.uid_validity, archive.state.as_ref().unwrap().uid_validity);
    assert_eq!(flags_of(&archive), [(1, 0), (2, 1), (3, 8)]);
    assert_eq!(entries(&archive)[1].message, entries(&inbox)[0].message);
    // The source is untouched, its mod-sequence too.
    assert_eq!(store.examine("INBOX").await, inbox);
    assert!(entries(&copied.sync.unwrap()).is_empty());
    assert_eq!(store.read(known(&archive).mailbox_id, 3, 0, 0).await.unwrap(), message("c"));
    let missing = store.copy((at.mailbox_id, 0), "1", "nothing", Mode::Copy).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let none = store.copy((at.mailbox_id, 0), "9", "Archive", Mode::Copy).await.unwrap();
    assert!(none.source.is_empty() && none.destination.is_empty());
}

async fn moves_are_in_one_place(store: &Store) {
    for name in ["a", "b", "c"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let at = known(&store.examine("INBOX").await);
    let moved = store.copy((at.mailbox_id, at.modseq), "1:2", "Trash", Mode::Move).await.unwrap();
    assert_eq!((text(&moved.source), text(&moved.destination)), ("1:2".into(), "1:2".into()));
    let sync = moved.sync.unwrap();
    assert_eq!(text(&sync.vanished), "1:2");
    assert_eq!(sync.state.unwrap().highest_modseq, at.modseq + 1);
    assert_eq!(flags_of(&store.examine("INBOX").await), [(3, 0)]);
    assert_eq!(flags_of(&store.examine("Trash").await), [(1, 0), (2, 0)]);
    assert_eq!(store.quota().await.used_messages, 3);
}

async fn keywords_are_translated(store: &Store) {
    let flags = |keywords: &[&str]| pb::FlagSet {
        system: 1,
        keywords: keywords.iter().map(|k| (*k).to_owned()).collect(),
    };
    store.append_all("Archive", &[(flags(&["other", "B"]), message("x"))], b"").await.unwrap();
    let both = [(flags(&["a", "b"]), message("y")), (flags(&["c"]), message("z"))];
    store.append_all("INBOX", &both, b"").await.unwrap();
    let at = known(&store.examine("INBOX").await);
    store.copy((at.mailbox_id, 0), "1", "Archive", Mode::Copy).await.unwrap();
    let archive = store.examine("Archive").await;
    // "a" got a place, "b" had one, "c" was not asked for.
    assert_eq!(archive.state.as_ref().unwrap().keywords, ["other", "B", "a"]);
    assert_eq!(flags_of(&archive), [(1, 1 | 3 << 8), (2, 1 | 6 << 8)]);
}

/// A copy that meets a keyword it had not prepared for begins anew; what it had begun must not count. `end` compares the quota.
async fn keywords_that_come_during_a_copy_cost_nothing(store: &Store) {
    for name in ["a", "b", "c"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let at = known(&store.examine("INBOX").await);
    let copies = async {
        let mut done = 0;
        for _ in 0..40 {
            // After some attempts a copy gives up; then it has done nothing.
            match store.copy((at.mailbox_id, 0), "1:3", "Archive", Mode::Copy).await {
                Ok(_) => done += 1,
                Err(status) => assert_eq!(status.code(), Code::Unavailable),
            }
        }
        done
    };
    let keywords = async {
        for number in 0..50 {
            let flags = pb::FlagSet { system: 0, keywords: vec![format!("k{number}")] };
            let request = pb::StoreFlagsRequest {
                grant: store.alice(),
                mailbox_id: at.mailbox_id,
                uids: ranges("1:3"),
                how: pb::store_flags_request::How::Add.into(),
                flags: Some(flags),
                ..Default::default()
            };
            store.store(request).await.unwrap();
        }
    };
    let (done, ()) = tokio::join!(copies, keywords);
    assert_eq!(store.status("Archive").await.unwrap().exists, 3 * done);
}

async fn into_the_same_mailbox(store: &Store) {
    for (name, flags) in [("a", FlagBits::SEEN), ("b", FlagBits::NONE)] {
        store.append("INBOX", flags, &message(name)).await;
    }
    let at = known(&store.examine("INBOX").await);
    let copied = store.copy((at.mailbox_id, at.modseq), "1:2", "INBOX", Mode::Copy).await.unwrap();
    assert_eq!(text(&copied.destination), "3:4");
    let sync = copied.sync.unwrap();
    assert_eq!(flags_of(&sync), [(3, 1), (4, 0)]);
    let at = known(&sync);
    let moved = store.copy((at.mailbox_id, at.modseq), "1,4", "INBOX", Mode::Move).await.unwrap();
    let sync = moved.sync.unwrap();
    assert_eq!((flags_of(&sync), text(&sync.vanished)), (vec![(5, 1), (6, 0)], "1,4".into()));
    let end = store.examine("INBOX").await;
    assert_eq!(flags_of(&end), [(2, 0), (3, 1), (5, 1), (6, 0)]);
    assert_eq!(end.state.unwrap().unseen, 2);
}

async fn concurrent_moves_make_one_copy(store: &Store) {
    for i in 0..20 {
        store.append("INBOX", FlagBits::NONE, &message(&format!("m{i}"))).await;
    }
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    let racers = (0..6).map(|i| {
        let to = if i % 2 == 0 { "Archive" } else { "Trash" };
        store.copy((id, 0), "1:20", to, Mode::Move)
    });
    for moved in futures_util::future::join_all(racers).await {
        moved.unwrap();
    }
    let left = store.status("INBOX").await.unwrap().exists;
    let there = store.status("Archive").await.unwrap().exists + store.status("Trash").await.unwrap().exists;
    assert_eq!((left, there), (0, 20));
}

async fn moves_in_both_directions_do_not_deadlock(store: &Store) {
    for i in 0..10 {
        store.append("INBOX", FlagBits::NONE, &message(&format!("m{i}"))).await;
        store.append("Archive", FlagBits::NONE, &message(&format!("n{i}"))).await;
    }
    let inbox = store.status("INBOX").await.unwrap().mailbox_id;
    let archive = store.status("Archive").await.unwrap().mailbox_id;
    let there = (1..=10).map(|uid| (inbox, "Archive", uid));
    let back = (1..=10).map(|uid| (archive, "INBOX", uid));
    let all = there.chain(back).map(|(from, to, uid): (u64, &str, u32)| async move {
        store.copy((from, 0), &uid.to_string(), to, Mode::Move).await
    });
    for moved in futures_util::future::join_all(all).await {
        assert_eq!(mail_rpc::set_from_pb(&moved.unwrap().source).len(), 1);
    }
    assert_eq!(store.status("INBOX").await.unwrap().exists, 10);
}
