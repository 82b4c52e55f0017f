//! Open, Changes, Vanished, CheckModSeqs, \Recent, the maildrop, hints.

use mail_rpc::pb::store_flags_request::How;
use mail_rpc::{Right, pb};
use mail_types::{FlagBits, MailboxId, ModSeq};
use mailbox_hints::Wake;
use mailbox_storage::SweepPolicy;
use tonic::Code;

use crate::fixture::*;

suite!(
    changes_bring_any_moment_up_to_date,
    below_the_floor_everything_is_told,
    expunges_are_forgotten_after_some_days,
    changes_are_found_whether_listed_or_not,
    recent_passes_to_one,
    maildrop_is_inbox,
    modseqs_of_many,
    hints_follow_commits,
    a_second_instance_sees_the_same,
    uids_never_wrap
);

async fn changes_bring_any_moment_up_to_date(store: &Store) {
    let mut moments = vec![store.examine("INBOX").await];
    assert!(moments[0].full);
    for name in ["a", "b", "c"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
        moments.push(store.examine("INBOX").await);
    }
    let id = known(&moments[0]).mailbox_id;
    store.expunge(id, "2", 0).await;
    moments.push(store.examine("INBOX").await);
    let last = store.examine("INBOX").await;
    for moment in &moments {
        let changes = store.changes(known(moment)).await.unwrap();
        assert!(!changes.full);
        let mut view = flags_of(moment);
        let gone = mail_rpc::set_from_pb(&changes.vanished);
        view.retain(|(uid, _)| !gone.contains(mail_types::Uid::new(*uid).unwrap()));
        for entry in flags_of(&changes) {
            view.retain(|(uid, _)| *uid != entry.0);
            view.push(entry);
        }
        view.sort_unstable();
        assert_eq!(view, flags_of(&last));
        assert_eq!(changes.state, last.state);
    }
    assert_eq!(flags_of(&last), [(1, 0), (3, 0)]);
    let nothing = store.changes(known(&last)).await.unwrap();
    assert!(entries(&nothing).is_empty() && nothing.vanished.is_empty() && !nothing.full);
    // From a lost timeline, or another mailbox: everything.
    for strange in [
        pb::Known { modseq: 1000, mailbox_id: id },
        pb::Known { modseq: 0, mailbox_id: id },
        pb::Known { modseq: u64::MAX, mailbox_id: id },
    ] {
        let all = store.changes(strange).await.unwrap();
        assert!(all.full);
        assert_eq!(flags_of(&all), flags_of(&last));
    }
    let other = pb::Known { mailbox_id: id + 1, modseq: 1 };
    assert!(store.open_as("INBOX", pb::Access::ReadOnly, Some(other)).await.unwrap().full);
}

async fn below_the_floor_everything_is_told(store: &Store) {
    for name in ["a", "b", "c", "d"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let before = store.examine("INBOX").await;
    let id = known(&before).mailbox_id;
    store.expunge(id, "1", 0).await;
    let between = store.examine("INBOX").await;
    store.expunge(id, "2", 0).await;
    store.expunge(id, "3", 0).await;
    let policy = SweepPolicy { tombstones: 2, ..SweepPolicy::default() };
    assert_eq!(store.storage.sweep(&policy).await.unwrap().tombstones, 1);
    let all = store.changes(known(&before)).await.unwrap();
    assert!(all.full);
    assert_eq!(flags_of(&all), [(4, 0)]);
    let some = store.changes(known(&between)).await.unwrap();
    assert!(!some.full);
    assert_eq!(text(&some.vanished), "2:3");
    let vanished = async |since_modseq| {
        let request = pb::VanishedRequest { owner: 0, grant: store.alice(), mailbox_id: id, since_modseq };
        store.client.vanished(request).await.unwrap()
    };
    assert!(vanished(known(&before).modseq).await.below_floor);
    let exact = vanished(known(&between).modseq).await;
    assert!(!exact.below_floor);
    assert_eq!(text(&exact.vanished), "2:3");
}

async fn expunges_are_forgotten_after_some_days(store: &Store) {
    for name in ["a", "b", "c", "d", "e", "f"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let before = store.examine("INBOX").await;
    let id = known(&before).mailbox_id;
    store.expunge(id, "1:3,5", 0).await;
    let between = store.examine("INBOX").await;
    assert_eq!(store.storage.sweep(&SweepPolicy::default()).await.unwrap().tombstones, 0);
    assert_eq!(text(&store.changes(known(&before)).await.unwrap().vanished), "1:3,5");
    let policy = SweepPolicy { tombstone_seconds: -10, ..SweepPolicy::default() };
    // Neighbours are one run.
    assert_eq!(store.storage.sweep(&policy).await.unwrap().tombstones, 2);
    let all = store.changes(known(&before)).await.unwrap();
    assert!(all.full);
    assert_eq!(flags_of(&all), [(4, 0), (6, 0)]);
    assert!(!store.changes(known(&between)).await.unwrap().full);
    store.expunge(id, "4", 0).await;
    assert_eq!(text(&store.changes(known(&between)).await.unwrap().vanished), "4");
}

async fn changes_are_found_whether_listed_or_not(store: &Store) {
    for name in ["a", "b", "c", "d"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let start = store.examine("INBOX").await;
    let mailbox_id = known(&start).mailbox_id;
    let flag = async |uids: &str, how: How| {
        let flags = Some(system(FlagBits::FLAGGED));
        let request = pb::StoreFlagsRequest {
            mailbox_id,
            uids: ranges(uids),
            how: how.into(),
            flags,
            ..Default::default()
        };
        store.store(request).await.unwrap();
    };
    flag("1", How::Add).await;
    // More than are listed, so that the first one is not any more.
    for _ in 0..600 {
        flag("3", How::Add).await;
        flag("3", How::Remove).await;
    }
    let middle = store.examine("INBOX").await;
    flag("2,4", How::Add).await;
    store.append("INBOX", FlagBits::NONE, &message("e")).await;
    let long = store.changes(known(&start)).await.unwrap();
    assert!(!long.full);
    let flagged = FlagBits::FLAGGED.bits();
    assert_eq!(flags_of(&long), [(1, flagged), (2, flagged), (3, 0), (4, flagged), (5, 0)]);
    let short = store.changes(known(&middle)).await.unwrap();
    assert!(!short.full);
    assert_eq!(flags_of(&short), [(2, flagged), (4, flagged), (5, 0)]);
    store.sql("DELETE FROM flag_change WHERE modseq > (SELECT max(modseq) - 60 FROM mailbox_message)").await;
    let report = store.storage.fsck(Some(ALICE)).await.unwrap();
    assert!(report.findings.iter().any(|finding| finding.what.contains("will not be found")));
    store.sql("UPDATE mailbox SET flag_changes_from = highest_modseq").await;
    assert_eq!(flags_of(&store.changes(known(&middle)).await.unwrap()), flags_of(&short));
}

async fn recent_passes_to_one(store: &Store) {
    let open = async |access| store.open_as("INBOX", access, None).await.unwrap();
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    store.append("INBOX", FlagBits::NONE, &message("b")).await;
    let examined = open(pb::Access::ReadOnly).await;
    assert_eq!((examined.recent_from, examined.state.unwrap().recent), (0, 2));
    let selected = open(pb::Access::ReadWrite).await;
    assert_eq!((selected.recent_from, selected.state.as_ref().unwrap().recent), (1, 2));
    assert_eq!(store.status("INBOX").await.unwrap().recent, 0);
    assert_eq!(open(pb::Access::ReadWrite).await.recent_from, 0);
    store.append("INBOX", FlagBits::NONE, &message("c")).await;
    store.append("INBOX", FlagBits::NONE, &message("d")).await;
    store.expunge(known(&selected).mailbox_id, "3", 0).await;
    assert_eq!(store.status("INBOX").await.unwrap().recent, 1);
    let request = |access: pb::Access| pb::ChangesRequest {
        owner: 0,
        grant: store.alice(),
        known: Some(known(&selected)),
        access: access.into(),
    };
    assert_eq!(store.client.changes(request(pb::Access::ReadOnly)).await.unwrap().recent_from, 0);
    let both = tokio::join!(
        store.client.changes(request(pb::Access::ReadWrite)),
        store.client.changes(request(pb::Access::ReadWrite))
    );
    let claims = [both.0.unwrap().recent_from, both.1.unwrap().recent_from];
    assert!(claims == [3, 0] || claims == [0, 3], "{claims:?}");
}

async fn maildrop_is_inbox(store: &Store) {
    for name in ["a", "bb", "ccc"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    let drop = store.client.open_maildrop(pb::OpenMaildropRequest { grant: store.alice() }).await.unwrap();
    assert_eq!(drop.uids, [1, 2, 3]);
    assert_eq!(drop.sizes, ["a", "bb", "ccc"].map(|name| message(name).len() as u64));
    let expunged = store.expunge(drop.mailbox_id, "2,9", 0).await;
    assert_eq!(text(&expunged.expunged), "2");
    assert!(expunged.sync.is_none());
}

async fn modseqs_of_many(store: &Store) {
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    let inbox = store.status("INBOX").await.unwrap();
    let sent = store.status("Sent").await.unwrap();
    let watch = |mailbox_id| pb::check_mod_seqs_request::Watch { owner: 0, grant: store.alice(), mailbox_id };
    let watches = vec![watch(sent.mailbox_id), watch(999), watch(inbox.mailbox_id), watch(sent.mailbox_id)];
    let reply = store.client.check_mod_seqs(pb::CheckModSeqsRequest { watches }).await.unwrap();
    assert_eq!(reply.highest_modseq, [1, 0, inbox.highest_modseq, 1]);
    let reply = store.client.check_mod_seqs(pb::CheckModSeqsRequest::default()).await.unwrap();
    assert!(reply.highest_modseq.is_empty());
}

async fn hints_follow_commits(store: &Store) {
    let inbox = store.status("INBOX").await.unwrap();
    let mut subscription = store.hints.subscribe(ALICE).await;
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    let mailbox = MailboxId::new(inbox.mailbox_id);
    let modseq = ModSeq::new(inbox.highest_modseq + 1);
    assert_eq!(subscription.changed().await, Wake::Mailbox { mailbox, modseq, trace: None });
}

async fn a_second_instance_sees_the_same(store: &Store) {
    let other = store.again().await;
    store.append("INBOX", FlagBits::SEEN, &message("a")).await;
    let request = pb::OpenRequest {
        owner: 0,
        grant: store.grant(ALICE, Right::Own),
        name: "INBOX".into(),
        access: pb::Access::ReadOnly.into(),
        known: None,
    };
    let first = other.open(request.clone()).await.unwrap();
    assert_eq!(flags_of(&first), [(1, 1)]);
    let added = other.append(tokio_stream::iter(append_steps(
        store.alice(),
        "INBOX",
        &[(system(FlagBits::NONE), message("b"))],
        b"",
    )));
    assert_eq!(added.await.unwrap().uids, [2]);
    assert_eq!(flags_of(&store.examine("INBOX").await), [(1, 1), (2, 0)]);
    store.expunge(known(&first).mailbox_id, "1", 0).await;
    assert_eq!(flags_of(&other.open(request).await.unwrap()), [(2, 0)]);
}

async fn uids_never_wrap(store: &Store) {
    // INV-8
    let sql = "UPDATE mailbox SET uidnext = 4294967294 WHERE name = 'INBOX'";
    if store.url.starts_with("sqlite") {
        let pool = sqlx::SqlitePool::connect(&store.url).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
    } else {
        let pool = sqlx::PgPool::connect(&store.url).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    let uid = store.append("INBOX", FlagBits::NONE, &message("last")).await;
    assert_eq!(uid, u32::MAX - 1);
    let over = store.append_all("INBOX", &[(system(FlagBits::NONE), message("more"))], b"").await;
    assert_eq!(over.unwrap_err().code(), Code::OutOfRange);
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    let over = store.copy((id, 0), "4294967294", "INBOX", pb::copy_request::Mode::Copy).await;
    assert_eq!(over.unwrap_err().code(), Code::OutOfRange);
    let max = store.status("INBOX").await.unwrap();
    assert_eq!((max.uid_next, max.exists), (u32::MAX, 1));
    assert_eq!(store.read(id, u32::MAX - 1, 0, 0).await.unwrap(), message("last"));
}
