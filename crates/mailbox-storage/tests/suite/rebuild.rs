//! Deriving again what an older version derived.

use std::sync::Arc;

use mail_rpc::pb;
use mail_types::FlagBits;
use mailbox_storage::Storage;

use crate::fixture::*;

suite!(
    outdated_messages_are_derived_again,
    several_processes_rebuild_together,
    damaged_octets_keep_their_data
);

/// Makes every message look as if an older version had derived it, and badly.
const OUTDATE: &str = "UPDATE message SET derived_version = 0, thread_id = 1, sent_day = NULL, base_subject = 'old',
    envelope = content_hash, body = content_hash, bodystructure = content_hash, parts = content_hash, preview = 'old'";

async fn derived(store: &Store) -> Vec<pb::MessageData> {
    let state = store.status("INBOX").await.unwrap();
    let request = pb::FetchRequest {
        owner: 0,
        grant: store.alice(),
        mailbox_id: state.mailbox_id,
        uids: ranges("1:4294967295"),
        envelope: true,
        body: true,
        body_structure: true,
        parts: true,
        preview: true,
    };
    let mut pages = store.client.fetch(request).await.unwrap();
    let mut out = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        out.extend(page.messages);
    }
    out
}

async fn fill(store: &Store, count: usize) {
    let mut some: Vec<_> =
        (0..count).map(|i| (system(FlagBits::NONE), message(&format!("number{i}")))).collect();
    // Several chunks.
    let mut large = message("large");
    large.extend_from_slice(&b"word ".repeat(200_000));
    some.push((system(FlagBits::NONE), large));
    store.append_all("INBOX", &some, b"").await.unwrap();
}

async fn outdated_messages_are_derived_again(store: &Store) {
    fill(store, 99).await;
    let before = derived(store).await;
    assert_eq!(before.len(), 100);
    assert_eq!(store.storage.rebuild().await.unwrap(), 0);
    store.sql(OUTDATE).await;
    assert_ne!(derived(store).await, before);
    assert_eq!(store.storage.rebuild().await.unwrap(), 100);
    assert_eq!(derived(store).await, before);
    assert_eq!(store.storage.rebuild().await.unwrap(), 0);
}

async fn several_processes_rebuild_together(store: &Store) {
    fill(store, 199).await;
    let before = derived(store).await;
    store.sql(OUTDATE).await;
    let others: Vec<Arc<Storage>> = vec![Arc::new(store.process().await), Arc::new(store.process().await)];
    let running: Vec<_> = others
        .iter()
        .map(|other| {
            let other = Arc::clone(other);
            tokio::spawn(async move { other.rebuild().await.unwrap() })
        })
        .collect();
    let mut rebuilt = store.storage.rebuild().await.unwrap();
    // Mail comes and goes meanwhile.
    store.append("INBOX", FlagBits::NONE, &message("meanwhile")).await;
    for one in running {
        rebuilt += one.await.unwrap();
    }
    assert_eq!(rebuilt, 200);
    assert_eq!(derived(store).await[..200], before[..]);
    for other in others {
        other.close().await;
    }
}

async fn damaged_octets_keep_their_data(store: &Store) {
    store.append("INBOX", FlagBits::NONE, &message("whole")).await;
    store.sql(OUTDATE).await;
    store.sql("UPDATE content SET raw_len = raw_len + 1").await;
    assert_eq!(store.storage.rebuild().await.unwrap(), 1);
    assert_eq!(derived(store).await[0].preview, "old");
    store.sql("UPDATE content SET raw_len = raw_len - 1").await;
}
