//! What messages are sorted and threaded by.

use mail_rpc::pb::{self, SortKey};
use mail_types::FlagBits;
use tonic::Code;

use crate::fixture::*;

suite!(
    columns_of_a_few_messages,
    messages_without_kept_keys_are_read_again,
    a_rebuild_makes_keys,
    unknown_keys_are_refused
);

async fn ask(store: &Store, uids: &str, keys: &[SortKey]) -> pb::SortKeysReply {
    let request = pb::SortKeysRequest {
        owner: 0,
        grant: store.alice(),
        mailbox_id: store.status("INBOX").await.unwrap().mailbox_id,
        uids: ranges(uids),
        keys: keys.iter().map(|key| (*key).into()).collect(),
    };
    store.client.sort_keys(request).await.unwrap()
}

fn texts(column: &pb::KeyColumn) -> Vec<&str> {
    column
        .text_places
        .iter()
        .map(|place| std::str::from_utf8(&column.texts[*place as usize]).unwrap())
        .collect()
}

async fn put_some(store: &Store) {
    for message in [
        "From: zoe@x\r\nSubject: Re: b\r\nMessage-ID: <2@x>\r\nReferences: <0@x> <1@x>\r\n\r\n",
        "From: Ann <ann@x>\r\nSubject: B\r\nMessage-ID: <1@x>\r\nDate: 1 Jan 1970 00:00:07 +0000\r\n\r\n",
        "Subject: a\r\n\r\n",
    ] {
        store.append("INBOX", FlagBits::NONE, message.as_bytes()).await;
    }
}

fn check(reply: &pb::SortKeysReply) {
    assert_eq!(reply.uid_deltas, [1, 1, 1]);
    let [from, display, subject, date, thread] = &reply.columns[..] else { panic!("{reply:?}") };
    assert_eq!(texts(from), ["ZOE", "ANN", ""]);
    assert_eq!(texts(display), ["ZOE@X", "ANN", ""]);
    assert_eq!(texts(subject), ["B", "B", "A"]);
    assert_eq!(subject.texts.len(), 2);
    // Without a date, that of arrival.
    assert_eq!(date.number_deltas, [1_000_000_000, 7 - 1_000_000_000, 1_000_000_000 - 7]);
    assert_eq!(thread.replies, [true, false, false]);
    assert_eq!(thread.reference_counts, [2, 0, 0]);
    assert_eq!((thread.references[1], thread.ids[2]), (thread.ids[1], 0));
}

const SOME: [SortKey; 5] =
    [SortKey::From, SortKey::DisplayFrom, SortKey::Subject, SortKey::Date, SortKey::Thread];

async fn columns_of_a_few_messages(store: &Store) {
    put_some(store).await;
    check(&ask(store, "1:4294967295", &SOME).await);
    let reply = ask(store, "2,9", &[SortKey::Size, SortKey::Arrival]).await;
    assert_eq!(reply.uid_deltas, [2]);
    assert_eq!(reply.columns[1].number_deltas, [1_000_000_000]);
    assert!(ask(store, "", &SOME).await.uid_deltas.is_empty());
}

async fn messages_without_kept_keys_are_read_again(store: &Store) {
    put_some(store).await;
    store.sql("DELETE FROM message_keys WHERE message_id <> 2").await;
    check(&ask(store, "1:4294967295", &SOME).await);
}

async fn a_rebuild_makes_keys(store: &Store) {
    put_some(store).await;
    store.sql("DELETE FROM message_keys").await;
    store.sql("UPDATE message SET derived_version = 1").await;
    assert_eq!(store.storage.rebuild().await.unwrap(), 3);
    // The octets are of no use now, so the keys are those that were kept.
    store.sql("UPDATE content SET raw_len = raw_len + 1").await;
    check(&ask(store, "1:4294967295", &SOME).await);
    store.sql("UPDATE content SET raw_len = raw_len - 1").await;
}

async fn unknown_keys_are_refused(store: &Store) {
    let mailbox_id = store.status("INBOX").await.unwrap().mailbox_id;
    let request =
        pb::SortKeysRequest { owner: 0, grant: store.alice(), mailbox_id, uids: ranges("1"), keys: vec![99] };
    assert_eq!(store.client.sort_keys(request).await.unwrap_err().code(), Code::InvalidArgument);
}
