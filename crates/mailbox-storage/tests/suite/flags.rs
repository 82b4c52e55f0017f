//! STORE: bits, keywords, compare-and-set.

use mail_rpc::pb::{self, store_flags_request::How};
use mail_types::{FlagBits, KEYWORDS_MAX};
use tonic::Code;

use crate::fixture::*;

suite!(
    add_remove_replace,
    a_store_that_changes_nothing_costs_nothing,
    keywords_get_places,
    the_keyword_table_is_limited,
    unchanged_since_is_message_by_message,
    only_one_of_two_compare_and_sets_wins,
    concurrent_additions_commute
);

fn request(mailbox_id: u64, uids: &str, how: How, flags: pb::FlagSet) -> pb::StoreFlagsRequest {
    pb::StoreFlagsRequest {
        mailbox_id,
        uids: ranges(uids),
        how: how.into(),
        flags: Some(flags),
        ..Default::default()
    }
}

fn bits(system: u32) -> pb::FlagSet {
    pb::FlagSet { system, keywords: Vec::new() }
}

fn words(keywords: &[&str]) -> pb::FlagSet {
    pb::FlagSet { system: 0, keywords: keywords.iter().map(|k| (*k).to_owned()).collect() }
}

async fn filled(store: &Store, count: usize) -> pb::SyncReply {
    for i in 0..count {
        store.append("INBOX", FlagBits::NONE, &message(&format!("m{i}"))).await;
    }
    store.examine("INBOX").await
}

async fn add_remove_replace(store: &Store) {
    let start = filled(store, 3).await;
    let at = known(&start);
    let stored = store
        .store(pb::StoreFlagsRequest {
            known_modseq: at.modseq,
            ..request(at.mailbox_id, "1:2,77", How::Add, bits(1 | 8))
        })
        .await
        .unwrap();
    let sync = stored.sync.unwrap();
    assert!(!sync.full && stored.modified.is_empty());
    assert_eq!(flags_of(&sync), [(1, 9), (2, 9)]);
    let state = sync.state.as_ref().unwrap();
    assert_eq!((state.highest_modseq, state.unseen, state.deleted), (at.modseq + 1, 1, 2));
    store.store(request(at.mailbox_id, "2:3", How::Remove, bits(8))).await.unwrap();
    store.store(request(at.mailbox_id, "3", How::Replace, bits(4 | 16))).await.unwrap();
    store.store(request(at.mailbox_id, "1", How::Replace, bits(0))).await.unwrap();
    let end = store.examine("INBOX").await;
    assert_eq!(flags_of(&end), [(1, 0), (2, 1), (3, 20)]);
    let state = end.state.unwrap();
    assert_eq!((state.unseen, state.deleted), (2, 0));
    let gone = store.store(request(999, "1", How::Add, bits(1))).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let unsaid = store.store(request(at.mailbox_id, "1", How::Unspecified, bits(1))).await.unwrap_err();
    assert_eq!(unsaid.code(), Code::InvalidArgument);
}

async fn a_store_that_changes_nothing_costs_nothing(store: &Store) {
    let at = known(&filled(store, 2).await);
    store.store(request(at.mailbox_id, "1", How::Add, bits(1))).await.unwrap();
    let before = store.examine("INBOX").await;
    let stored = store.store(request(at.mailbox_id, "1", How::Add, bits(1))).await.unwrap();
    assert!(stored.sync.is_some());
    assert_eq!(store.examine("INBOX").await, before);
    // Only the one that changes takes the new number.
    store.store(request(at.mailbox_id, "1:2", How::Add, bits(1))).await.unwrap();
    let after = entries(&store.examine("INBOX").await);
    assert_eq!(after[0].modseq, entries(&before)[0].modseq);
    assert_eq!(after[1].modseq.get(), known(&before).modseq + 1);
}

async fn keywords_get_places(store: &Store) {
    let at = known(&filled(store, 2).await);
    let stored =
        store.store(request(at.mailbox_id, "1", How::Add, words(&["$Work", "Later"]))).await.unwrap();
    assert_eq!(stored.sync.unwrap().state.unwrap().keywords, ["$Work", "Later"]);
    store.store(request(at.mailbox_id, "2", How::Add, words(&["LATER"]))).await.unwrap();
    store.store(request(at.mailbox_id, "1:2", How::Remove, words(&["unheard"]))).await.unwrap();
    store.store(request(at.mailbox_id, "1", How::Remove, words(&["$work"]))).await.unwrap();
    let end = store.examine("INBOX").await;
    assert_eq!(flags_of(&end), [(1, 2 << 8), (2, 2 << 8)]);
    assert_eq!(end.state.unwrap().keywords, ["$Work", "Later"]);
    let bad = store.store(request(at.mailbox_id, "1", How::Add, words(&["a b"]))).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
}

async fn the_keyword_table_is_limited(store: &Store) {
    let at = known(&filled(store, 1).await);
    let all: Vec<String> = (0..KEYWORDS_MAX).map(|i| format!("k{i}")).collect();
    let flags = pb::FlagSet { system: 0, keywords: all.clone() };
    store.store(request(at.mailbox_id, "1", How::Replace, flags)).await.unwrap();
    let more = store.store(request(at.mailbox_id, "1", How::Add, words(&["more"]))).await.unwrap_err();
    assert_eq!(more.code(), Code::OutOfRange);
    let end = store.examine("INBOX").await;
    assert_eq!(flags_of(&end)[0].1, ((1u64 << 55) - 1) << 8);
    assert_eq!(end.state.unwrap().keywords, all);
    // All of them, once more, in another mailbox.
    store.copy((at.mailbox_id, 0), "1", "Archive", pb::copy_request::Mode::Copy).await.unwrap();
    assert_eq!(flags_of(&store.examine("Archive").await), flags_of(&store.examine("INBOX").await));
}

async fn unchanged_since_is_message_by_message(store: &Store) {
    // RFC 7162 §3.1.3
    let at = known(&filled(store, 3).await);
    store.store(request(at.mailbox_id, "2", How::Add, bits(4))).await.unwrap();
    let stored = store
        .store(pb::StoreFlagsRequest {
            unchanged_since: Some(at.modseq),
            known_modseq: at.modseq,
            ..request(at.mailbox_id, "1:3", How::Add, bits(1))
        })
        .await
        .unwrap();
    assert_eq!(text(&stored.modified), "2");
    // The caller did not know of the first change: it is told of both.
    assert_eq!(flags_of(&stored.sync.unwrap()), [(1, 1), (2, 4), (3, 1)]);
    let all = store
        .store(pb::StoreFlagsRequest {
            unchanged_since: Some(0),
            ..request(at.mailbox_id, "1:3", How::Add, bits(8))
        })
        .await
        .unwrap();
    assert_eq!(text(&all.modified), "1:3");
}

async fn only_one_of_two_compare_and_sets_wins(store: &Store) {
    let mut at = known(&filled(store, 1).await);
    for _ in 0..20 {
        let request = |system| pb::StoreFlagsRequest {
            unchanged_since: Some(at.modseq),
            ..request(at.mailbox_id, "1", How::Replace, bits(system))
        };
        let old = flags_of(&store.examine("INBOX").await)[0].1;
        let [one, two] = if old == 1 {
            [2, 4]
        } else if old == 2 {
            [1, 4]
        } else {
            [1, 2]
        };
        let (a, b) = tokio::join!(store.store(request(one)), store.store(request(two)));
        let lost =
            usize::from(!a.unwrap().modified.is_empty()) + usize::from(!b.unwrap().modified.is_empty());
        assert_eq!(lost, 1);
        at = known(&store.examine("INBOX").await);
    }
}

async fn concurrent_additions_commute(store: &Store) {
    let at = known(&filled(store, 4).await);
    let adds = (0..5u32).map(|bit| request(at.mailbox_id, "1:4", How::Add, bits(1 << bit)));
    let words = (0..10).map(|i| request(at.mailbox_id, "1:4", How::Add, words(&[&format!("k{i}")])));
    let all: Vec<_> = adds.chain(words).map(|request| store.store(request)).collect();
    for stored in futures_util::future::join_all(all).await {
        stored.unwrap();
    }
    for (_, flags) in flags_of(&store.examine("INBOX").await) {
        assert_eq!(flags, 0x1f | ((1 << 10) - 1) << 8);
    }
}
