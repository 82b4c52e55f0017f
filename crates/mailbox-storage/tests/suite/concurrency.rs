//! Many writers at once: nothing late, nothing lost, nothing over the limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mail_rpc::pb;
use mail_types::FlagBits;

use crate::fixture::*;

suite!(
    no_uid_comes_late,
    quota_holds_against_many,
    dropped_calls_are_done_wholly_or_not_at_all,
    trees_change_one_after_the_other
);

async fn no_uid_comes_late(store: &Store) {
    // INV-2, INV-28: 32 appenders on two instances, half of them setting flags too, one reader who follows the changes.
    let other = store.again().await;
    let done = Arc::new(AtomicBool::new(false));
    let reader = async {
        let mut view = store.examine("INBOX").await;
        // Some may be there already: the writers have begun.
        let mut seen = flags_of(&view);
        loop {
            let last = done.load(Ordering::SeqCst);
            let changes = store.changes(known(&view)).await.unwrap();
            let highest = seen.last().map_or(0, |(uid, _)| *uid);
            for entry in flags_of(&changes) {
                match seen.binary_search_by_key(&entry.0, |(uid, _)| *uid) {
                    Ok(at) => seen[at] = entry,
                    Err(at) => {
                        assert!(entry.0 > highest, "UID {} came after {highest}", entry.0);
                        seen.insert(at, entry);
                    }
                }
            }
            assert!(entries(&changes).iter().all(|e| e.modseq.get() > known(&view).modseq));
            view = changes;
            if last {
                return seen;
            }
        }
    };
    let writers = async {
        let all = (0..32).map(|writer| {
            let client = if writer % 2 == 0 { &store.client } else { &other };
            async move {
                for i in 0..6 {
                    let one = [(system(FlagBits::NONE), message(&format!("w{writer}i{i}")))];
                    let steps = append_steps(store.alice(), "INBOX", &one, b"");
                    let appended = client.append(tokio_stream::iter(steps)).await.unwrap();
                    if writer % 4 == 0 {
                        let request = pb::StoreFlagsRequest {
                            grant: store.alice(),
                            mailbox_id: appended.mailbox_id,
                            uids: ranges(&appended.uids[0].to_string()),
                            how: pb::store_flags_request::How::Add.into(),
                            flags: Some(system(FlagBits::SEEN)),
                            ..Default::default()
                        };
                        client.store_flags(request).await.unwrap();
                    }
                }
            }
        });
        futures_util::future::join_all(all).await;
        done.store(true, Ordering::SeqCst);
    };
    let (seen, ()) = tokio::join!(reader, writers);
    let end = store.examine("INBOX").await;
    assert_eq!(seen, flags_of(&end));
    assert_eq!(seen.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), (1..=192).collect::<Vec<u32>>());
    assert_eq!(end.state.unwrap().unseen, 192 - 48);
}

async fn quota_holds_against_many(store: &Store) {
    let octets = message("a");
    store.limit(octets.len() as u64 * 10, 0).await;
    let all = (0..40).map(|i| {
        let to = if i % 2 == 0 { "INBOX" } else { "Archive" };
        let one = [(system(FlagBits::NONE), message("a"))];
        async move { store.append_all(to, &one, b"").await }
    });
    let done = futures_util::future::join_all(all).await.iter().filter(|done| done.is_ok()).count();
    assert_eq!(done, 10);
    assert_eq!(store.quota().await.used_bytes, octets.len() as u64 * 10);
}

async fn dropped_calls_are_done_wholly_or_not_at_all(store: &Store) {
    for i in 0..60u64 {
        let one = [(
            system(FlagBits::NONE),
            if i % 10 == 0 { noise(1_500_000, i) } else { message(&format!("m{i}")) },
        )];
        let wait = std::time::Duration::from_micros(i * 137 % 5000);
        let _ = tokio::time::timeout(wait, store.append_all("INBOX", &one, b"")).await;
        let id = store.status("INBOX").await.unwrap().mailbox_id;
        let moving = store.copy((id, 0), "1:4294967295", "Archive", pb::copy_request::Mode::Move);
        let _ = tokio::time::timeout(wait, moving).await;
    }
    // The check at the end of every test does the rest.
    let kept = store.status("INBOX").await.unwrap().exists + store.status("Archive").await.unwrap().exists;
    assert!(kept <= 60);
}

async fn trees_change_one_after_the_other(store: &Store) {
    let all = (0..16).map(|i| async move {
        let request = pb::RenameRequest {
            owner: 0,
            grant: store.alice(),
            from: if i % 2 == 0 { "a" } else { "b" }.into(),
            to: if i % 2 == 0 { "b" } else { "a" }.into(),
        };
        let _ = store.create("a/x").await;
        let _ = store.client.rename(request).await;
        store.append_all("INBOX", &[(system(FlagBits::NONE), message("t"))], b"").await.unwrap();
    });
    futures_util::future::join_all(all).await;
    let list = store.client.list(pb::ListRequest { grant: store.alice() }).await.unwrap();
    let mut names: Vec<_> = list.mailboxes.iter().map(|mailbox| mailbox.name.clone()).collect();
    names.dedup();
    assert_eq!(names.len(), list.mailboxes.len());
}
