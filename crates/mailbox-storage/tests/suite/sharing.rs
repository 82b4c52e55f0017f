//! Mailboxes of others (RFC 4314): who sees what, who may do what, and that nothing leaks.

use mail_rpc::pb::set_acl_request::How;
use mail_rpc::pb::store_flags_request::How as Change;
use mail_rpc::{Right, pb};
use mail_types::{AccountId, FlagBits, Rights};
use tonic::Code;

use crate::fixture::*;
use crate::sharing_caller::*;

suite!(
    what_is_not_shared_is_not_there,
    a_list_is_kept_and_read,
    negative_rights_and_anyone,
    each_reader_has_its_own_seen,
    flags_need_their_rights,
    writing_needs_its_rights,
    copies_between_accounts,
    copies_inside_an_owners_mail,
    the_tree_needs_its_rights,
    a_new_mailbox_inherits,
    what_is_gone_takes_its_sharing_along,
    a_right_taken_away_counts_at_once,
);

const SEEN: u64 = FlagBits::SEEN.bits();

/// Every rpc that names a mailbox, for a mailbox that is another's and for one that is nowhere: the same words.
async fn what_is_not_shared_is_not_there(store: &Store) {
    let (bob, _) = store.readers().await;
    store.create("Projects").await.unwrap();
    store.append("Projects", FlagBits::NONE, &message("secret")).await;
    let there = store.status("Projects").await.unwrap().mailbox_id;
    let nobody = Caller { store, grant: bob.grant(), owner: 4_000_000 };
    let by_name = |caller: &'static str, name: &'static str| (caller, name);
    for (who, name) in
        [by_name("alice's", "Projects"), by_name("alice's", "Nowhere"), by_name("nobody's", "Projects")]
    {
        let caller = if who == "alice's" { &bob } else { &nobody };
        let absent = (Code::NotFound, format!("there is no mailbox {name}"));
        let words = format!("{who} {name}");
        assert_eq!(refused(caller.status(name).await), absent, "{words}");
        assert_eq!(refused(caller.open(name).await), absent, "{words}");
        assert_eq!(refused(caller.my_rights(name).await), absent, "{words}");
        assert_eq!(refused(caller.acl(name).await), absent, "{words}");
        assert_eq!(refused(caller.set_acl(name, (BOB, false), How::Add, "l").await), absent, "{words}");
        assert_eq!(refused(caller.annotations(name).await), absent, "{words}");
        assert_eq!(refused(caller.annotate(name, "/private/comment", "x").await), absent, "{words}");
        assert_eq!(refused(caller.delete(name).await), absent, "{words}");
        assert_eq!(refused(caller.rename(name, "x").await), absent, "{words}");
        assert_eq!(refused(caller.append(name, system(FlagBits::NONE), "x").await), absent, "{words}");
        let inbox =
            bob.store.client.status(pb::StatusRequest { grant: bob.grant(), owner: 0, name: "INBOX".into() });
        let inbox = (0, inbox.await.unwrap().mailbox_id);
        let copied = caller.copy(inbox, "1", (caller.owner, name), pb::copy_request::Mode::Copy).await;
        assert_eq!(refused(copied), absent, "{words}");
        assert_eq!(refused(caller.create(&format!("{name}/x")).await).0, Code::PermissionDenied, "{words}");
    }
    for (caller, mailbox_id) in [(&bob, there), (&bob, 4711), (&nobody, there)] {
        let gone = (Code::NotFound, "the mailbox was deleted".to_owned());
        assert_eq!(refused(caller.changes(pb::Known { mailbox_id, modseq: 1 }).await), gone);
        assert_eq!(refused(caller.fetched(mailbox_id).await), gone);
        assert_eq!(refused(caller.octets(mailbox_id, 1).await), gone);
        assert_eq!(refused(caller.expunge(mailbox_id, "1").await), gone);
        let flags = system(FlagBits::SEEN);
        assert_eq!(refused(caller.store(mailbox_id, "1", Change::Add, flags, None).await), gone);
        let copied = caller.copy((caller.owner, mailbox_id), "1", (0, "INBOX"), pb::copy_request::Mode::Copy);
        assert_eq!(refused(copied.await), gone);
        let (grant, owner) = (bob.grant(), caller.owner);
        let request = pb::VanishedRequest { grant, owner, mailbox_id, since_modseq: 1 };
        assert_eq!(refused(store.client.vanished(request).await), gone);
        let (grant, uids) = (bob.grant(), ranges("1:9"));
        let request = pb::SearchRequest { grant, owner, mailbox_id, uids, conditions: Vec::new() };
        assert_eq!(refused(store.client.search(request).await), gone);
        let (grant, uids, keys) = (bob.grant(), ranges("1:9"), vec![pb::SortKey::Subject.into()]);
        let request = pb::SortKeysRequest { grant, owner, mailbox_id, uids, keys };
        assert_eq!(refused(store.client.sort_keys(request).await), gone);
        let (grant, uids) = (bob.grant(), ranges("1:9"));
        let request = pb::FuzzySearchRequest { grant, owner, mailbox_id, uids, texts: Vec::new() };
        assert_eq!(refused(store.client.fuzzy_search(request).await), gone);
        let watch = pb::check_mod_seqs_request::Watch { grant: bob.grant(), owner, mailbox_id };
        let reply = store.client.check_mod_seqs(pb::CheckModSeqsRequest { watches: vec![watch] }).await;
        assert_eq!(reply.unwrap().highest_modseq, [0]);
    }
    // The delivery gateway's grants are good for their own account only.
    let grant = store.grant(BOB, Right::Append);
    let mut steps = append_steps(grant, "Projects", &[(system(FlagBits::NONE), message("x"))], b"");
    if let Some(pb::append_request::Step::Start(start)) = &mut steps[0].step {
        start.owner = ALICE.get();
    }
    let refused = store.client.append(tokio_stream::iter(steps)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(bob.shared().await.is_empty());
    assert_eq!(store.status("Projects").await.unwrap().exists, 1);
}

async fn a_list_is_kept_and_read(store: &Store) {
    let (bob, carol) = store.readers().await;
    let alice = store.owner();
    assert_eq!(alice.my_rights("INBOX").await.unwrap(), "lrswipkxtecda");
    assert_eq!(alice.acl("INBOX").await.unwrap(), []);
    store.share("INBOX", BOB, "lr").await;
    alice.set_acl("INBOX", (BOB, false), How::Add, "sa").await.unwrap();
    alice.set_acl("INBOX", (BOB, false), How::Remove, "r").await.unwrap();
    assert_eq!(alice.acl("INBOX").await.unwrap(), [(BOB.get(), false, "lsa".to_owned())]);
    assert_eq!(bob.my_rights("INBOX").await.unwrap(), "lsa");
    assert_eq!(bob.shared().await, [(ALICE.get(), "INBOX".to_owned(), "lsa".to_owned())]);
    // Who administers gives rights to others.
    bob.set_acl("INBOX", (CAROL, false), How::Replace, "lr").await.unwrap();
    assert_eq!(carol.my_rights("INBOX").await.unwrap(), "lr");
    assert_eq!(refused(carol.acl("INBOX").await).0, Code::PermissionDenied);
    assert_eq!(
        refused(carol.set_acl("INBOX", (CAROL, false), How::Add, "a").await).0,
        Code::PermissionDenied
    );
    let owners = alice.set_acl("INBOX", (ALICE, false), How::Replace, "l").await;
    assert_eq!(refused(owners).0, Code::FailedPrecondition);
    alice.set_acl("INBOX", (BOB, false), How::Replace, "").await.unwrap();
    alice.set_acl("INBOX", (CAROL, false), How::Replace, "").await.unwrap();
    assert_eq!(alice.acl("INBOX").await.unwrap(), []);
    assert!(bob.shared().await.is_empty());
    assert_eq!(alice.acl("Nowhere").await.unwrap_err().code(), Code::NotFound);
}

async fn negative_rights_and_anyone(store: &Store) {
    let (bob, carol) = store.readers().await;
    let alice = store.owner();
    let anyone = AccountId::new(0);
    alice.set_acl("INBOX", (anyone, false), How::Replace, "lrs").await.unwrap();
    alice.set_acl("INBOX", (BOB, false), How::Replace, "wi").await.unwrap();
    alice.set_acl("INBOX", (BOB, true), How::Replace, "ri").await.unwrap();
    assert_eq!(bob.my_rights("INBOX").await.unwrap(), "lsw");
    assert_eq!(carol.my_rights("INBOX").await.unwrap(), "lrs");
    assert_eq!(refused(bob.open("INBOX").await).0, Code::PermissionDenied);
    carol.open("INBOX").await.unwrap();
    let inbox = "INBOX".to_owned();
    assert_eq!(bob.shared().await, [(ALICE.get(), inbox.clone(), "lsw".to_owned())]);
    assert_eq!(carol.shared().await, [(ALICE.get(), inbox, "lrs".to_owned())]);
    // What is shared with all is not listed to its owner.
    assert!(alice.shared().await.is_empty());
    alice.set_acl("INBOX", (anyone, true), How::Replace, "l").await.unwrap();
    assert!(carol.shared().await.is_empty());
}

async fn each_reader_has_its_own_seen(store: &Store) {
    let (bob, carol) = store.readers().await;
    store.append("INBOX", FlagBits::SEEN, &message("a")).await;
    store.append("INBOX", FlagBits::FLAGGED, &message("b")).await;
    store.share("INBOX", BOB, "lrs").await;
    store.share("INBOX", CAROL, "lr").await;
    let flagged = FlagBits::FLAGGED.bits();
    let bobs = bob.open("INBOX").await.unwrap();
    assert_eq!(flags_of(&bobs), [(1, 0), (2, flagged)]);
    assert_eq!((bobs.state.as_ref().unwrap().unseen, bobs.recent_from), (2, 0));
    let carols = known(&carol.open("INBOX").await.unwrap());
    let alices = known(&store.examine("INBOX").await);
    let mailbox = id(&bobs);

    let done = bob.store(mailbox, "2", Change::Add, system(FlagBits::SEEN), None).await.unwrap();
    assert_eq!(flags_of(&done.sync.unwrap()), [(1, 0), (2, flagged | SEEN)]);
    let news = bob.changes(known(&bobs)).await.unwrap();
    assert_eq!((news.full, flags_of(&news)), (false, vec![(2, flagged | SEEN)]));
    assert!(entries(&news)[0].modseq.get() > known(&bobs).modseq);
    assert_eq!(bob.status("INBOX").await.unwrap().unseen, 1);
    // The others hear that time has passed, and of no message.
    for news in [carol.changes(carols).await.unwrap(), store.changes(alices).await.unwrap()] {
        assert_eq!((news.full, flags_of(&news)), (false, vec![]));
    }
    assert_eq!(carol.status("INBOX").await.unwrap().unseen, 2);
    assert_eq!(store.status("INBOX").await.unwrap().unseen, 1);
    assert_eq!(flags_of(&store.examine("INBOX").await), [(1, SEEN), (2, flagged)]);

    // Compare-and-set looks at the reader's own mod-sequence.
    let stale = known(&bobs).modseq;
    let unset = bob.store(mailbox, "1:2", Change::Remove, system(FlagBits::SEEN), Some(stale)).await.unwrap();
    assert_eq!(text(&unset.modified), "2");
    bob.store(mailbox, "1:2", Change::Remove, system(FlagBits::SEEN), None).await.unwrap();
    assert_eq!(bob.status("INBOX").await.unwrap().unseen, 2);
    bob.store(mailbox, "1:2", Change::Replace, system(FlagBits::SEEN), None).await.unwrap();
    assert_eq!(flags_of(&bob.open("INBOX").await.unwrap()), [(1, SEEN), (2, flagged | SEEN)]);
    // Without the right `s` there is nothing to keep.
    let refused_ = carol.store(mailbox, "1", Change::Add, system(FlagBits::SEEN), None).await;
    assert_eq!(refused(refused_).0, Code::PermissionDenied);
    // Expunging forgets.
    store.expunge(mailbox, "2", 0).await;
    assert_eq!(bob.status("INBOX").await.unwrap().unseen, 0);
}

async fn flags_need_their_rights(store: &Store) {
    let (bob, _) = store.readers().await;
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    let all = || pb::FlagSet {
        system: (FlagBits::SEEN.with(FlagBits::DELETED).with(FlagBits::FLAGGED)).bits() as u32,
        keywords: vec!["Work".into()],
    };
    let (flagged, deleted) = (FlagBits::FLAGGED.bits(), FlagBits::DELETED.bits());
    let work = FlagBits::keyword(0).bits();
    for (rights, bobs, alices) in [
        ("lrs", SEEN, 0),
        ("lrt", deleted, deleted),
        ("lrw", flagged | work, flagged | work),
        ("lrswt", SEEN | deleted | flagged | work, deleted | flagged | work),
    ] {
        store.share("INBOX", BOB, rights).await;
        let mailbox = id(&bob.open("INBOX").await.unwrap());
        bob.store(mailbox, "1", Change::Add, all(), None).await.unwrap();
        assert_eq!(flags_of(&bob.open("INBOX").await.unwrap()), [(1, bobs)], "{rights}");
        assert_eq!(flags_of(&store.examine("INBOX").await), [(1, alices)], "{rights}");
        bob.store(mailbox, "1", Change::Remove, all(), None).await.unwrap();
        assert_eq!(flags_of(&bob.open("INBOX").await.unwrap()), [(1, 0)], "{rights}");
    }
    store.share("INBOX", BOB, "lrw").await;
    let mailbox = id(&store.examine("INBOX").await);
    store.owner().store(mailbox, "1", Change::Add, system(FlagBits::DELETED), None).await.unwrap();
    // Replacing leaves alone what may not be changed.
    bob.store(mailbox, "1", Change::Replace, system(FlagBits::ANSWERED), None).await.unwrap();
    let answered = FlagBits::ANSWERED.bits();
    assert_eq!(flags_of(&store.examine("INBOX").await), [(1, deleted | answered)]);
    let only_deleted = bob.store(mailbox, "1", Change::Remove, system(FlagBits::DELETED), None).await;
    assert_eq!(refused(only_deleted).0, Code::PermissionDenied);
}

async fn writing_needs_its_rights(store: &Store) {
    let (bob, _) = store.readers().await;
    store.share("INBOX", BOB, "lrs").await;
    let mailbox = id(&bob.open("INBOX").await.unwrap());
    let seen = || pb::FlagSet {
        system: (FlagBits::SEEN.with(FlagBits::DELETED).with(FlagBits::DRAFT)).bits() as u32,
        keywords: vec!["Work".into()],
    };
    assert_eq!(refused(bob.append("INBOX", seen(), "a").await).0, Code::PermissionDenied);
    store.share("INBOX", BOB, "i").await;
    assert_eq!(bob.append("INBOX", seen(), "a").await.unwrap().uids, [1]);
    store.share("INBOX", BOB, "lrsi").await;
    assert_eq!(bob.append("INBOX", seen(), "b").await.unwrap().uids, [2]);
    assert_eq!(flags_of(&bob.open("INBOX").await.unwrap()), [(1, 0), (2, SEEN)]);
    assert_eq!(flags_of(&store.examine("INBOX").await), [(1, 0), (2, 0)]);
    store.share("INBOX", BOB, "lrwti").await;
    bob.append("INBOX", seen(), "c").await.unwrap();
    let shared = FlagBits::DELETED.with(FlagBits::DRAFT).with(FlagBits::keyword(0)).bits();
    assert_eq!(flags_of(&store.examine("INBOX").await)[2], (3, shared));
    // Its owner pays.
    let size = (message("a").len() + message("b").len() + message("c").len()) as u64;
    assert_eq!(store.quota().await.used_bytes, size);
    store.limit(size, 0).await;
    assert_eq!(refused(bob.append("INBOX", seen(), "d").await).0, Code::ResourceExhausted);

    assert_eq!(refused(bob.expunge(mailbox, "3").await).0, Code::PermissionDenied);
    store.share("INBOX", BOB, "lre").await;
    assert_eq!(text(&bob.expunge(mailbox, "1:3").await.unwrap().expunged), "3");
    assert_eq!(store.status("INBOX").await.unwrap().exists, 2);
}

async fn copies_between_accounts(store: &Store) {
    use pb::copy_request::Mode;
    let (bob, _) = store.readers().await;
    let mine = Caller { store, grant: bob.grant(), owner: 0 };
    for subject in ["a", "b", "c"] {
        store.append("INBOX", FlagBits::FLAGGED, &message(subject)).await;
    }
    let big = noise(3_000_000, 5);
    store.append("INBOX", FlagBits::NONE, &big).await;
    store.share("INBOX", BOB, "lrs").await;
    let alices = id(&bob.open("INBOX").await.unwrap());
    bob.store(alices, "2", Change::Add, system(FlagBits::SEEN), None).await.unwrap();

    // Out of another's mail: the copies are Bob's, with what he had seen.
    let done = bob.copy((ALICE.get(), alices), "2:4", (0, "Archive"), Mode::Copy).await.unwrap();
    assert_eq!((text(&done.source), text(&done.destination)), ("2:4".into(), "1:3".into()));
    let flagged = FlagBits::FLAGGED.bits();
    let archive = mine.open("Archive").await.unwrap();
    assert_eq!(flags_of(&archive), [(1, SEEN | flagged), (2, flagged), (3, 0)]);
    assert_eq!(mine.octets(id(&archive), 3).await.unwrap(), big);
    assert_eq!(mine.octets(id(&archive), 1).await.unwrap(), message("b"));
    let quota = store.client.get_quota(pb::GetQuotaRequest { grant: bob.grant() }).await.unwrap();
    assert_eq!(quota.used_messages, 3);

    // Moving needs more.
    let moved = bob.copy((ALICE.get(), alices), "1", (0, "Archive"), Mode::Move).await;
    assert_eq!(refused(moved).0, Code::PermissionDenied);
    store.share("INBOX", BOB, "lrste").await;
    let done = bob.copy((ALICE.get(), alices), "1,4", (0, "Archive"), Mode::Move).await.unwrap();
    assert_eq!((text(&done.source), text(&done.destination)), ("1,4".into(), "4:5".into()));
    assert_eq!(text(&done.sync.unwrap().vanished), "");
    assert_eq!(flags_of(&store.examine("INBOX").await).len(), 2);
    assert_eq!(mine.octets(id(&archive), 5).await.unwrap(), big);

    // Into another's mail.
    let inward = mine.copy((0, id(&archive)), "1:2", (ALICE.get(), "INBOX"), Mode::Copy).await;
    assert_eq!(refused(inward).0, Code::PermissionDenied);
    store.share("INBOX", BOB, "lrsi").await;
    let done = mine.copy((0, id(&archive)), "1:2", (ALICE.get(), "INBOX"), Mode::Move).await.unwrap();
    assert_eq!((text(&done.source), text(&done.destination)), ("1:2".into(), "5:6".into()));
    assert_eq!(flags_of(&store.examine("INBOX").await)[2..], [(5, 0), (6, 0)]);
    assert_eq!(flags_of(&bob.open("INBOX").await.unwrap())[2..], [(5, SEEN), (6, 0)]);
    store.limit(1, 0).await;
    let full = mine.copy((0, id(&archive)), "3", (ALICE.get(), "INBOX"), Mode::Move).await;
    assert_eq!(refused(full).0, Code::ResourceExhausted);
    assert_eq!(mine.open("Archive").await.unwrap().state.unwrap().exists, 3);
}

async fn copies_inside_an_owners_mail(store: &Store) {
    use pb::copy_request::Mode;
    let (bob, _) = store.readers().await;
    let flags = FlagBits::SEEN.with(FlagBits::DELETED).with(FlagBits::FLAGGED);
    store.append("INBOX", flags, &message("a")).await;
    store.append("INBOX", flags, &message("b")).await;
    store.share("INBOX", BOB, "lrste").await;
    store.share("Archive", BOB, "lrsi").await;
    let inbox = id(&bob.open("INBOX").await.unwrap());
    bob.store(inbox, "2", Change::Add, system(FlagBits::SEEN), None).await.unwrap();
    let from = (ALICE.get(), inbox);
    let done = bob.copy(from, "1:2", (ALICE.get(), "Archive"), Mode::Copy).await.unwrap();
    assert_eq!(text(&done.destination), "1:2");
    assert_eq!(flags_of(&bob.open("Archive").await.unwrap()), [(1, 0), (2, SEEN)]);
    assert_eq!(flags_of(&store.examine("Archive").await), [(1, 0), (2, 0)]);
    assert_eq!(store.status("Archive").await.unwrap().unseen, 2);
    store.share("Archive", BOB, "lrwti").await;
    bob.copy(from, "1:2", (ALICE.get(), "Archive"), Mode::Move).await.unwrap();
    let shared = FlagBits::DELETED.with(FlagBits::FLAGGED).bits();
    assert_eq!(flags_of(&store.examine("Archive").await)[2..], [(3, shared), (4, shared)]);
    assert_eq!(flags_of(&bob.open("Archive").await.unwrap())[2..], [(3, shared), (4, shared)]);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 0);
}

async fn the_tree_needs_its_rights(store: &Store) {
    let (bob, _) = store.readers().await;
    store.create("Projects/Secret").await.unwrap();
    store.share("Projects", BOB, "lr").await;
    let denied = Code::PermissionDenied;
    assert_eq!(refused(bob.create("Projects/New").await).0, denied);
    assert_eq!(refused(bob.delete("Projects").await).0, denied);
    assert_eq!(refused(bob.rename("Projects", "Projects2").await).0, denied);
    store.share("Projects", BOB, "lrkx").await;
    assert_eq!(refused(bob.create("Elsewhere").await).0, denied);
    // The name of what is hidden is not given away.
    assert_eq!(refused(bob.create("Projects/Secret").await), refused(bob.create("Top").await));
    bob.create("Projects/New").await.unwrap();
    assert_eq!(bob.my_rights("Projects/New").await.unwrap(), "lrkxc");
    assert_eq!(refused(bob.create("Projects/New").await).0, Code::AlreadyExists);
    bob.rename("Projects/New", "Projects/Newer").await.unwrap();
    assert_eq!(refused(bob.rename("Projects/Newer", "Newer").await).0, denied);
    bob.delete("Projects/Newer").await.unwrap();
    assert_eq!(refused(bob.delete("Projects/Secret").await).0, Code::NotFound);
    store.share("INBOX", BOB, "lrkx").await;
    assert_eq!(refused(bob.rename("INBOX", "Projects/Old").await).0, Code::FailedPrecondition);
    assert_eq!(refused(bob.delete("INBOX").await).0, Code::FailedPrecondition);
}

async fn a_new_mailbox_inherits(store: &Store) {
    let (bob, _) = store.readers().await;
    store.create("Projects").await.unwrap();
    store.share("Projects", BOB, "lr").await;
    store.create("Projects/a/b").await.unwrap();
    store.create("Other").await.unwrap();
    let names: Vec<_> = bob.shared().await.into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(names, ["Projects", "Projects/a", "Projects/a/b"]);
    let owner = store.owner();
    owner.rename("Projects/a", "Other/a").await.unwrap();
    let names: Vec<_> = bob.shared().await.into_iter().map(|(_, name, _)| name).collect();
    // RFC 4314 §4: renaming leaves the lists alone.
    assert_eq!(names, ["Other/a", "Other/a/b", "Projects"]);
}

async fn what_is_gone_takes_its_sharing_along(store: &Store) {
    let (bob, carol) = store.readers().await;
    store.create("Projects").await.unwrap();
    store.append("Projects", FlagBits::NONE, &message("a")).await;
    store.share("Projects", BOB, "lrs").await;
    store.share("INBOX", BOB, "lrs").await;
    store.share("INBOX", CAROL, "lrs").await;
    store.append("INBOX", FlagBits::NONE, &message("b")).await;
    let projects = id(&bob.open("Projects").await.unwrap());
    bob.store(projects, "1", Change::Add, system(FlagBits::SEEN), None).await.unwrap();
    let owner = store.owner();
    owner.delete("Projects").await.unwrap();
    store.create("Projects").await.unwrap();
    assert_eq!(refused(bob.open("Projects").await).0, Code::NotFound);
    let inbox = id(&carol.open("INBOX").await.unwrap());
    carol.store(inbox, "1", Change::Add, system(FlagBits::SEEN), None).await.unwrap();
    let grant = store.grant(CAROL, Right::Admin);
    store.client.purge(pb::PurgeRequest { grant }).await.unwrap();
    assert_eq!(owner.acl("INBOX").await.unwrap(), [(BOB.get(), false, "lrs".to_owned())]);
    let grant = store.grant(ALICE, Right::Admin);
    store.client.purge(pb::PurgeRequest { grant }).await.unwrap();
    assert!(bob.shared().await.is_empty());
    store.provision(ALICE).await;
    assert_eq!(refused(bob.open("INBOX").await).0, Code::NotFound);
}

async fn a_right_taken_away_counts_at_once(store: &Store) {
    let (bob, _) = store.readers().await;
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    store.share("INBOX", BOB, "lrswite").await;
    let open = bob.open("INBOX").await.unwrap();
    let mut heard = store.hints.subscribe(ALICE).await;
    store.share("INBOX", BOB, "lr").await;
    let wake = tokio::time::timeout(std::time::Duration::from_secs(5), heard.changed()).await.unwrap();
    assert!(matches!(wake, mailbox_hints::Wake::Mailbox { mailbox, .. } if mailbox.get() == id(&open)));
    let news = bob.changes(known(&open)).await.unwrap();
    assert_eq!(Rights::from_bits(news.state.unwrap().rights).to_string(), "lr");
    let flags = system(FlagBits::FLAGGED);
    assert_eq!(refused(bob.store(id(&open), "1", Change::Add, flags, None).await).0, Code::PermissionDenied);
    store.share("INBOX", BOB, "l").await;
    assert_eq!(refused(bob.changes(known(&open)).await).0, Code::NotFound);
    assert_eq!(refused(bob.fetched(id(&open)).await).0, Code::NotFound);
    assert_eq!(refused(bob.open("INBOX").await).0, Code::PermissionDenied);
}
