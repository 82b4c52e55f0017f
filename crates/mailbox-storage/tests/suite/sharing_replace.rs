//! REPLACE (RFC 8508) where one of the mailboxes is another's, or both are.

use mail_rpc::pb::store_flags_request::How as Change;
use mail_rpc::pb::{self, append_request::Step};
use mail_rpc::{Right, pb::set_acl_request::How};
use mail_types::FlagBits;
use tonic::{Code, Status};

use crate::fixture::*;
use crate::sharing_caller::*;

suite! {
    it_needs_its_rights,
    each_has_its_own_seen_and_the_owner_pays,
    between_two_accounts,
    a_retry_finds_the_first_try,
    of_two_one_wins,
    who_may_only_append_replaces_nothing,
}

/// Replaces a message by one in a mailbox of the caller's `owner`.
async fn replace(
    caller: &Caller<'_>,
    (owner, mailbox_id, uid): (u64, u64, u32),
    to: &str,
    (flags, octets): (FlagBits, &[u8]),
    key: &[u8],
) -> Result<pb::AppendReply, Status> {
    let mut steps = append_steps(caller.grant(), to, &[(system(flags), octets.to_vec())], key);
    if let Some(Step::Start(start)) = &mut steps[0].step {
        start.owner = caller.owner;
        start.replaced = Some(pb::Replaced { mailbox_id, uid, owner });
    }
    caller.store.client.append(tokio_stream::iter(steps)).await
}

async fn it_needs_its_rights(store: &Store) {
    let (bob, carol) = store.readers().await;
    let own = Caller { store, grant: bob.grant(), owner: 0 };
    own.append("INBOX", system(FlagBits::NONE), "his").await.unwrap();
    store.append("INBOX", FlagBits::NONE, &message("one")).await;
    let inbox = store.status("INBOX").await.unwrap().mailbox_id;
    let (alice, new) = (ALICE.get(), message("two"));
    let new = (FlagBits::SEEN, &*new);
    let try_it = async |caller: &Caller<'_>, from: (u64, u64, u32), to: &str| {
        let (before, mine) = (store.status("INBOX").await.unwrap(), own.status("INBOX").await.unwrap());
        let refused = refused(replace(caller, from, to, new, b"").await);
        assert_eq!(
            (store.status("INBOX").await.unwrap(), own.status("INBOX").await.unwrap()),
            (before, mine)
        );
        refused
    };
    // Who has no rights: as if neither the message nor the mailbox were there.
    let gone = (Code::FailedPrecondition, "the message to be replaced does not exist any more".to_owned());
    assert_eq!(try_it(&own, (alice, inbox, 1), "INBOX").await, gone);
    assert_eq!(try_it(&own, (alice, 4711, 1), "INBOX").await, gone);
    assert_eq!(try_it(&own, (4_000_000, inbox, 1), "INBOX").await, gone);
    let absent = |name: &str| (Code::NotFound, format!("there is no mailbox {name}"));
    assert_eq!(try_it(&bob, (0, inbox, 1), "INBOX").await, absent("INBOX"));
    assert_eq!(try_it(&bob, (0, inbox, 1), "Nowhere").await, absent("Nowhere"));
    assert_eq!(try_it(&bob, (alice, inbox, 1), "INBOX").await, absent("INBOX"));
    store.share("INBOX", CAROL, "lrite").await;
    assert_eq!(try_it(&own, (alice, inbox, 1), "INBOX").await, gone);
    for rights in ["lrswi", "lrit", "lrie", "lrte", "ite"] {
        store.share("INBOX", BOB, rights).await;
        let code = try_it(&bob, (alice, inbox, 1), "INBOX").await.0;
        let expected = if rights == "ite" { Code::FailedPrecondition } else { Code::PermissionDenied };
        assert_eq!(code, expected, "{rights}");
    }
    store.share("INBOX", BOB, "lrit").await;
    assert_eq!(try_it(&own, (alice, inbox, 1), "INBOX").await.0, Code::PermissionDenied);
    store.share("INBOX", BOB, "lr").await;
    assert_eq!(try_it(&bob, (0, inbox, 1), "INBOX").await.0, Code::PermissionDenied);
    store.share("INBOX", BOB, "lrite").await;
    assert_eq!(try_it(&bob, (alice, inbox, 7), "INBOX").await, gone);
    assert_eq!(replace(&bob, (alice, inbox, 1), "INBOX", new, b"").await.unwrap().uids, [2]);
    // A right that is taken away whoever gave it.
    store.owner().set_acl("INBOX", (BOB, true), How::Replace, "e").await.unwrap();
    assert_eq!(try_it(&bob, (alice, inbox, 2), "INBOX").await.0, Code::PermissionDenied);
    assert_eq!(replace(&carol, (alice, inbox, 2), "INBOX", new, b"").await.unwrap().uids, [3]);
}

async fn each_has_its_own_seen_and_the_owner_pays(store: &Store) {
    let (bob, _) = store.readers().await;
    let old = message("one");
    store.append("INBOX", FlagBits::NONE, &old).await;
    store.share("INBOX", BOB, "lrswite").await;
    store.limit(old.len() as u64, 1).await;
    let open = bob.open("INBOX").await.unwrap();
    bob.store(id(&open), "1", Change::Add, system(FlagBits::SEEN), None).await.unwrap();
    let flags = FlagBits::SEEN.with(FlagBits::FLAGGED);
    let from = |uid| (ALICE.get(), id(&open), uid);
    replace(&bob, from(1), "INBOX", (flags, &message("two")), b"").await.unwrap();
    assert_eq!(flags_of(&bob.open("INBOX").await.unwrap()), [(2, flags.bits())]);
    assert_eq!(flags_of(&store.examine("INBOX").await), [(2, FlagBits::FLAGGED.bits())]);
    let news = bob.changes(known(&open)).await.unwrap();
    assert_eq!((text(&news.vanished), news.full), ("1".to_owned(), false));
    let larger = replace(&bob, from(2), "INBOX", (flags, &message("larger than before")), b"").await;
    assert_eq!(refused(larger).0, Code::ResourceExhausted);
    let state = store.status("INBOX").await.unwrap();
    assert_eq!((state.exists, state.unseen, state.bytes), (1, 1, old.len() as u64));
    assert_eq!(store.quota().await.used_messages, 1);
}

async fn between_two_accounts(store: &Store) {
    let (bob, carol) = store.readers().await;
    let mine = Caller { store, grant: bob.grant(), owner: 0 };
    store.append("INBOX", FlagBits::SEEN, &message("hers")).await;
    store.share("INBOX", BOB, "lrste").await;
    let inbox = id(&bob.open("INBOX").await.unwrap());
    // Out of another's mail, large enough to be staged.
    let big = noise(3_000_000, 5);
    let from = (ALICE.get(), inbox, 1);
    let done = replace(&mine, from, "Archive", (FlagBits::SEEN, &big), b"").await.unwrap();
    assert_eq!(done.uids, [1]);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 0);
    assert_eq!(store.quota().await.used_messages, 0);
    let archive = mine.open("Archive").await.unwrap();
    assert_eq!(flags_of(&archive), [(1, FlagBits::SEEN.bits())]);
    assert_eq!(mine.octets(id(&archive), 1).await.unwrap(), big);
    // Into another's mail; what Alice's mail has no room for leaves his alone.
    store.share("INBOX", BOB, "lrsi").await;
    store.limit(10, 0).await;
    let his = (0, id(&archive), 1);
    let full = replace(&bob, his, "INBOX", (FlagBits::SEEN, &message("new")), b"").await;
    assert_eq!(refused(full).0, Code::ResourceExhausted);
    assert_eq!(mine.status("Archive").await.unwrap().exists, 1);
    store.limit(0, 0).await;
    replace(&bob, his, "INBOX", (FlagBits::SEEN, &message("new")), b"").await.unwrap();
    assert_eq!(mine.status("Archive").await.unwrap().exists, 0);
    assert_eq!(flags_of(&bob.open("INBOX").await.unwrap()), [(2, FlagBits::SEEN.bits())]);
    assert_eq!(flags_of(&store.examine("INBOX").await), [(2, 0)]);
    // From one account to another by somebody who owns neither.
    let bobs = Caller { store, grant: carol.grant(), owner: BOB.get() };
    store.share("INBOX", CAROL, "lrte").await;
    let from = (ALICE.get(), inbox, 2);
    let absent = replace(&bobs, from, "Archive", (FlagBits::NONE, &message("x")), b"").await;
    assert_eq!(refused(absent).0, Code::NotFound);
    mine.set_acl("Archive", (CAROL, false), How::Replace, "i").await.unwrap();
    replace(&bobs, from, "Archive", (FlagBits::NONE, &message("x")), b"").await.unwrap();
    assert_eq!(mine.status("Archive").await.unwrap().exists, 1);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 0);
}

async fn a_retry_finds_the_first_try(store: &Store) {
    let (bob, _) = store.readers().await;
    store.append("INBOX", FlagBits::NONE, &message("one")).await;
    store.share("INBOX", BOB, "lrite").await;
    let from = (ALICE.get(), id(&bob.open("INBOX").await.unwrap()), 1);
    let (new, key) = (message("two"), b"0123456789abcdef");
    let first = replace(&bob, from, "INBOX", (FlagBits::NONE, &new), key).await.unwrap();
    let again = replace(&bob, from, "INBOX", (FlagBits::NONE, &new), key).await.unwrap();
    assert_eq!(first, again);
    let other = replace(&bob, from, "INBOX", (FlagBits::NONE, &new), b"fedcba9876543210").await;
    assert_eq!(refused(other).0, Code::FailedPrecondition);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 1);
}

async fn of_two_one_wins(store: &Store) {
    let (bob, carol) = store.readers().await;
    store.append("INBOX", FlagBits::NONE, &message("one")).await;
    store.share("INBOX", BOB, "lrite").await;
    store.share("INBOX", CAROL, "lrite").await;
    let from = (ALICE.get(), id(&bob.open("INBOX").await.unwrap()), 1);
    let (two, three) = (message("two"), message("three"));
    let (a, b) = tokio::join!(
        replace(&bob, from, "INBOX", (FlagBits::NONE, &two), b""),
        replace(&carol, from, "INBOX", (FlagBits::NONE, &three), b"")
    );
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert_eq!(store.status("INBOX").await.unwrap().exists, 1);
}

/// Grants of delivery gateways add mail, and do nothing else.
async fn who_may_only_append_replaces_nothing(store: &Store) {
    let uid = store.append("INBOX", FlagBits::NONE, &message("one")).await;
    let mailbox = store.status("INBOX").await.unwrap().mailbox_id;
    let grant = store.grant(ALICE, Right::Append);
    let delivery = Caller { store, grant, owner: 0 };
    let denied = replace(&delivery, (0, mailbox, uid), "INBOX", (FlagBits::NONE, &message("two")), b"").await;
    assert_eq!(refused(denied).0, Code::PermissionDenied);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 1);
}
