//! REPLACE (RFC 8508): a message in the place of another, both or neither.

use mail_rpc::pb::{self, append_request::Step};
use mail_types::FlagBits;
use tonic::{Code, Status};

use crate::fixture::{Store, append_steps, message, system, text};

suite! {
    both_at_once,
    a_retry_finds_the_first_try,
    only_the_difference_counts,
    a_refusal_changes_nothing,
    of_two_one_wins,
}

async fn replace(
    store: &Store,
    (mailbox, uid): (&str, u32),
    to: &str,
    octets: &[u8],
    key: &[u8],
) -> Result<pb::AppendReply, Status> {
    let mailbox_id = store.status(mailbox).await.unwrap().mailbox_id;
    let messages = [(system(FlagBits::NONE), octets.to_vec())];
    let mut steps = append_steps(store.alice(), to, &messages, key);
    if let Some(Step::Start(start)) = &mut steps[0].step {
        start.replaced = Some(pb::Replaced { mailbox_id, uid, owner: 0 });
    }
    store.client.append(tokio_stream::iter(steps)).await
}

async fn both_at_once(store: &Store) {
    let uid = store.append("Drafts", FlagBits::SEEN, &message("one")).await;
    let before = store.examine("Drafts").await;
    let reply = replace(store, ("Drafts", uid), "Drafts", &message("two"), b"").await.unwrap();
    assert_eq!(reply.uids, [uid + 1]);
    let changes = store.changes(crate::fixture::known(&before)).await.unwrap();
    assert_eq!(text(&changes.vanished), uid.to_string());
    let state = changes.state.unwrap();
    assert_eq!((state.exists, state.unseen), (1, 1));

    let reply = replace(store, ("Drafts", uid + 1), "Sent", &message("three"), b"").await.unwrap();
    assert_eq!(reply.uids, [1]);
    assert_eq!(store.status("Drafts").await.unwrap().exists, 0);
    assert_eq!(store.status("Sent").await.unwrap().exists, 1);
    assert_eq!(store.quota().await.used_messages, 1);
}

async fn a_retry_finds_the_first_try(store: &Store) {
    let key = b"0123456789abcdef";
    let uid = store.append("Drafts", FlagBits::NONE, &message("one")).await;
    let first = replace(store, ("Drafts", uid), "Sent", &message("two"), key).await.unwrap();
    let again = replace(store, ("Drafts", uid), "Sent", &message("two"), key).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(store.status("Sent").await.unwrap().exists, 1);
}

async fn only_the_difference_counts(store: &Store) {
    let old = message("one");
    let uid = store.append("Drafts", FlagBits::NONE, &old).await;
    store.limit(old.len() as u64, 1).await;
    replace(store, ("Drafts", uid), "Drafts", &message("two"), b"").await.unwrap();
    let refused = replace(store, ("Drafts", uid + 1), "Drafts", &message("longer"), b"").await;
    assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
    let state = store.status("Drafts").await.unwrap();
    assert_eq!((state.exists, state.bytes), (1, old.len() as u64));
}

async fn a_refusal_changes_nothing(store: &Store) {
    let uid = store.append("Drafts", FlagBits::NONE, &message("one")).await;
    let before = store.status("Drafts").await.unwrap();
    let nowhere = replace(store, ("Drafts", uid), "nosuch", &message("two"), b"").await;
    assert_eq!(nowhere.unwrap_err().code(), Code::NotFound);
    let gone = replace(store, ("Drafts", uid + 7), "Sent", &message("two"), b"0123456789abcdef").await;
    assert_eq!(gone.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(store.status("Drafts").await.unwrap(), before);
    assert_eq!(store.status("Sent").await.unwrap().exists, 0);
}

async fn of_two_one_wins(store: &Store) {
    let uid = store.append("Drafts", FlagBits::NONE, &message("one")).await;
    let (two, three) = (message("two"), message("three"));
    let (a, b) = tokio::join!(
        replace(store, ("Drafts", uid), "Sent", &two, b""),
        replace(store, ("Drafts", uid), "Sent", &three, b"")
    );
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert_eq!(store.status("Sent").await.unwrap().exists, 1);
}
