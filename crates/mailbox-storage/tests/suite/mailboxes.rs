//! CREATE, DELETE, RENAME, SUBSCRIBE.

use mail_rpc::pb;
use mail_types::FlagBits;
use tonic::{Code, Status};

use crate::fixture::*;

suite!(
    create_makes_parents,
    delete_keeps_inferiors,
    rename_takes_inferiors_along,
    rename_of_inbox_moves_its_messages,
    uidvalidity_of_a_name_only_grows,
    subscriptions_outlive_mailboxes,
    bad_names_are_refused
);

impl Store {
    async fn names(&self) -> Vec<String> {
        let list = self.client.list(pb::ListRequest { grant: self.alice() }).await.unwrap();
        let own = |name: &String| !["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"].contains(&&**name);
        list.mailboxes.into_iter().map(|mailbox| mailbox.name).filter(own).collect()
    }
    async fn delete(&self, name: &str) -> Result<(), Status> {
        let request = pb::DeleteRequest { owner: 0, grant: self.alice(), name: name.into() };
        self.client.delete(request).await.map(|_| ())
    }
    async fn rename(&self, from: &str, to: &str) -> Result<(), Status> {
        let request = pb::RenameRequest { owner: 0, grant: self.alice(), from: from.into(), to: to.into() };
        self.client.rename(request).await.map(|_| ())
    }
    pub(crate) async fn subscribe(&self, name: &str, subscribed: bool) {
        let request = pb::SubscribeRequest { grant: self.alice(), name: name.into(), subscribed };
        self.client.subscribe(request).await.unwrap();
    }
}

async fn create_makes_parents(store: &Store) {
    // RFC 9051 §6.3.4
    let state = store.create("a/b/c").await.unwrap();
    assert_eq!((state.uid_next, state.highest_modseq, state.exists), (1, 1, 0));
    assert_eq!(store.names().await, ["a", "a/b", "a/b/c"]);
    assert_eq!(store.create("a/b").await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(store.create("inbox").await.unwrap_err().code(), Code::AlreadyExists);
    store.create("Inbox/x").await.unwrap();
    assert_eq!(store.status("INBOX/x").await.unwrap().name, "INBOX/x");
}

async fn delete_keeps_inferiors(store: &Store) {
    store.create("a/b").await.unwrap();
    store.append("a", FlagBits::NONE, &message("x")).await;
    let open = store.examine("a").await;
    store.delete("a").await.unwrap();
    assert_eq!(store.names().await, ["a/b"]);
    assert_eq!(store.changes(known(&open)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(store.delete("a").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(store.delete("INBOX").await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(store.quota().await.used_messages, 0);
}

async fn rename_takes_inferiors_along(store: &Store) {
    store.create("a/b/c").await.unwrap();
    store.create("ab").await.unwrap();
    store.append("a/b", FlagBits::SEEN, &message("x")).await;
    let before = store.status("a/b").await.unwrap();
    store.rename("a", "x/y").await.unwrap();
    assert_eq!(store.names().await, ["ab", "x", "x/y", "x/y/b", "x/y/b/c"]);
    let after = store.status("x/y/b").await.unwrap();
    assert_eq!(
        (after.mailbox_id, after.uid_validity, after.exists),
        (before.mailbox_id, before.uid_validity, 1)
    );
    assert_eq!(store.rename("x", "x/z").await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(store.rename("x", "ab").await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(store.rename("nothing", "n").await.unwrap_err().code(), Code::NotFound);
    let deep = ["d"; 31].join("/");
    assert_eq!(store.rename("x", &deep).await.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(store.names().await, ["ab", "x", "x/y", "x/y/b", "x/y/b/c"]);
    // Up again, onto names that those below leave.
    store.delete("x").await.unwrap();
    store.rename("x/y", "x").await.unwrap();
    assert_eq!(store.names().await, ["ab", "x", "x/b", "x/b/c"]);
}

async fn rename_of_inbox_moves_its_messages(store: &Store) {
    let keyword = pb::FlagSet { system: 1, keywords: vec!["$Work".into()] };
    store.append_all("INBOX", &[(keyword, message("a"))], b"").await.unwrap();
    store.append("INBOX", FlagBits::NONE, &message("b")).await;
    let before = store.examine("INBOX").await;
    store.rename("INBOX", "old/mail").await.unwrap();
    let old = store.examine("old/mail").await;
    assert_eq!(flags_of(&old), [(1, 1 | 1 << 8), (2, 0)]);
    assert_eq!(old.state.unwrap().keywords, ["$Work"]);
    let now = store.status("INBOX").await.unwrap();
    assert_eq!((now.exists, now.uid_next), (0, 3));
    assert_eq!(now.uid_validity, before.state.as_ref().unwrap().uid_validity);
    assert_eq!(text(&store.changes(known(&before)).await.unwrap().vanished), "1:2");
}

async fn uidvalidity_of_a_name_only_grows(store: &Store) {
    let a = store.create("a").await.unwrap().uid_validity;
    let b = store.create("b").await.unwrap().uid_validity;
    store.delete("b").await.unwrap();
    let b2 = store.create("b").await.unwrap().uid_validity;
    assert!(b2 > b && b > a);
    store.delete("b").await.unwrap();
    store.rename("a", "b").await.unwrap();
    assert!(store.status("b").await.unwrap().uid_validity > b2);
    // A name that was never used before costs no client its cache.
    let now = store.status("b").await.unwrap().uid_validity;
    store.rename("b", "fresh").await.unwrap();
    assert_eq!(store.status("fresh").await.unwrap().uid_validity, now);
}

async fn subscriptions_outlive_mailboxes(store: &Store) {
    store.create("a").await.unwrap();
    store.subscribe("a", true).await;
    assert!(store.status("a").await.unwrap().subscribed);
    store.delete("a").await.unwrap();
    let ghosts = async || {
        store.client.list(pb::ListRequest { grant: store.alice() }).await.unwrap().ghost_subscriptions
    };
    assert_eq!(ghosts().await, ["a"]);
    assert!(store.create("a").await.unwrap().subscribed);
    assert!(ghosts().await.is_empty());
    store.delete("a").await.unwrap();
    store.subscribe("a", false).await;
    assert!(ghosts().await.is_empty());
    assert!(!store.create("a").await.unwrap().subscribed);
}

async fn bad_names_are_refused(store: &Store) {
    for bad in ["", "/a", "a//b", "../x", "a\0b", "a*"] {
        assert_eq!(store.create(bad).await.unwrap_err().code(), Code::InvalidArgument, "{bad:?}");
    }
    for good in ["送信済み", "'; DROP TABLE mailbox; --", "a \"b\" \\c", "%u"] {
        let made = store.create(good).await;
        if good.contains('%') {
            assert!(made.is_err());
        } else {
            assert_eq!(store.status(good).await.unwrap().mailbox_id, made.unwrap().mailbox_id);
        }
    }
}
