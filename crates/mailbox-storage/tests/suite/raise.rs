//! A database set back to an earlier moment, with clients that have seen the later one.

use mail_rpc::pb;
use mail_types::{AccountId, FlagBits};

use crate::fixture::*;

suite!(
    nothing_announced_is_given_to_something_else,
    without_uids_left_the_uidvalidity_is_new,
    goes_on_where_it_was_interrupted
);

const SAVE: &str = "CREATE TABLE saved_account_store AS SELECT * FROM account_store;
    CREATE TABLE saved_mailbox AS SELECT * FROM mailbox;
    CREATE TABLE saved_mailbox_message AS SELECT * FROM mailbox_message;
    CREATE TABLE saved_tombstone AS SELECT * FROM tombstone_run;
    CREATE TABLE saved_flag_change AS SELECT * FROM flag_change;
    CREATE TABLE saved_message AS SELECT * FROM message;
    CREATE TABLE saved_message_text AS SELECT * FROM message_text;
    CREATE TABLE saved_message_keys AS SELECT * FROM message_keys;
    CREATE TABLE saved_content AS SELECT * FROM content;
    CREATE TABLE saved_garbage AS SELECT * FROM garbage;";

const SET_BACK: &str =
    "DELETE FROM account_store; INSERT INTO account_store SELECT * FROM saved_account_store;
    DELETE FROM mailbox; INSERT INTO mailbox SELECT * FROM saved_mailbox;
    DELETE FROM mailbox_message; INSERT INTO mailbox_message SELECT * FROM saved_mailbox_message;
    DELETE FROM tombstone_run; INSERT INTO tombstone_run SELECT * FROM saved_tombstone;
    DELETE FROM flag_change; INSERT INTO flag_change SELECT * FROM saved_flag_change;
    DELETE FROM message; INSERT INTO message SELECT * FROM saved_message;
    DELETE FROM message_text; INSERT INTO message_text SELECT * FROM saved_message_text;
    DELETE FROM message_keys; INSERT INTO message_keys SELECT * FROM saved_message_keys;
    DELETE FROM content; INSERT INTO content SELECT * FROM saved_content;
    DELETE FROM garbage; INSERT INTO garbage SELECT * FROM saved_garbage;
    DELETE FROM delivery_key; DELETE FROM vacated_name;";

fn state(reply: &pb::SyncReply) -> &pb::MailboxState {
    reply.state.as_ref().unwrap()
}

async fn raise(store: &Store) -> u64 {
    store.storage.raise_numbers(AccountId::new(0), |_| ()).await.unwrap()
}

async fn nothing_announced_is_given_to_something_else(store: &Store) {
    for name in ["a", "b", "c"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    store.sql(SAVE).await;
    // The time that will be lost: mail comes and goes, flags change, a mailbox is made.
    for name in ["d", "e"] {
        store.append("INBOX", FlagBits::SEEN, &message(name)).await;
    }
    let inbox = known(&store.examine("INBOX").await).mailbox_id;
    store.expunge(inbox, "1", 0).await;
    let lost = store.create("Lost").await.unwrap();
    store.append("Lost", FlagBits::NONE, &message("lost")).await;
    let seen = store.examine("INBOX").await;
    let seen_ids: Vec<_> = entries(&seen).iter().map(|entry| entry.message).collect();
    store.sql(SET_BACK).await;

    assert_eq!(raise(store).await, 1);
    let now = store.examine("INBOX").await;
    assert!(state(&now).highest_modseq > state(&seen).highest_modseq);
    assert!(state(&now).uid_next > state(&seen).uid_next);
    assert_eq!(state(&now).uid_validity, state(&seen).uid_validity, "what clients keep of octets stays good");
    assert_eq!(flags_of(&now), [(1, 0), (2, 0), (3, 0)]);
    // Whatever a client knows of the lost time: everything is told, so that it finds what differs.
    assert!(entries(&now).iter().all(|entry| entry.modseq.get() > state(&seen).highest_modseq));
    let request = pb::VanishedRequest {
        owner: 0,
        grant: store.alice(),
        mailbox_id: inbox,
        since_modseq: state(&seen).highest_modseq,
    };
    let vanished = store.client.vanished(request).await.unwrap();
    assert!(vanished.below_floor, "no tombstones are relied on");
    assert!(store.changes(known(&seen)).await.unwrap().full);

    // New mail has no UID and no object id of the lost time, and a new mailbox neither a known UIDVALIDITY nor id.
    let uid = store.append("INBOX", FlagBits::NONE, &message("new")).await;
    assert!(uid >= state(&seen).uid_next);
    let new = entries(&store.examine("INBOX").await).last().unwrap().message;
    assert!(!seen_ids.contains(&new));
    let found = store.create("Lost").await.unwrap();
    assert!(found.uid_validity > lost.uid_validity && found.mailbox_id != lost.mailbox_id);
}

async fn without_uids_left_the_uidvalidity_is_new(store: &Store) {
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    store.append("Trash", FlagBits::NONE, &message("b")).await;
    store.sql("UPDATE mailbox SET uidnext = 4294967290 WHERE name = 'INBOX'").await;
    let (inbox, trash) = (store.examine("INBOX").await, store.examine("Trash").await);
    let mut told = Vec::new();
    store.storage.raise_numbers(AccountId::new(0), |raised| told.push(raised)).await.unwrap();
    assert_eq!((told[0].account, told[0].renewed, told[0].messages), (ALICE, 1, 2));
    let (inbox_now, trash_now) = (store.examine("INBOX").await, store.examine("Trash").await);
    assert!(state(&inbox_now).uid_validity > state(&inbox).uid_validity);
    assert_eq!(flags_of(&inbox_now), flags_of(&inbox));
    assert_eq!(state(&trash_now).uid_validity, state(&trash).uid_validity);
    assert!(state(&trash_now).uid_next > state(&trash).uid_next);
}

async fn goes_on_where_it_was_interrupted(store: &Store) {
    store.provision(BOB).await;
    let mut told = Vec::new();
    let done = store.storage.raise_numbers(ALICE, |raised| told.push(raised.account)).await.unwrap();
    assert_eq!((done, told), (1, vec![BOB]));
    assert_eq!(raise(store).await, 2);
}
