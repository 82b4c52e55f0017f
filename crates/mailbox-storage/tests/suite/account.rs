//! Grants, provisioning, quota, purge.

use mail_rpc::{Grant, Right, pb};
use mail_types::FlagBits;
use tonic::Code;

use crate::fixture::*;

suite!(
    grants_are_demanded,
    an_account_sees_only_its_own,
    provisioning_twice_is_harmless,
    quota_is_exact,
    purge_leaves_nothing
);

async fn grants_are_demanded(store: &Store) {
    let list = async |grant| store.client.list(pb::ListRequest { grant }).await.map_err(|s| s.code());
    assert_eq!(list(b"".as_slice().into()).await.unwrap_err(), Code::Unauthenticated);
    let mut forged = store.alice().to_vec();
    forged[3] ^= 1;
    assert_eq!(list(forged.into()).await.unwrap_err(), Code::Unauthenticated);
    let expired = store.key.sign(&Grant { account: ALICE, right: Right::Own, expires_at: 1_000_000 });
    assert_eq!(list(expired).await.unwrap_err(), Code::Unauthenticated);
    for right in [Right::Append, Right::Admin] {
        assert_eq!(list(store.grant(ALICE, right)).await.unwrap_err(), Code::PermissionDenied);
    }
    let grant = store.alice();
    let refused = store.client.purge(pb::PurgeRequest { grant }).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    // The delivery gateway may ask for room, not for mail.
    let grant = store.grant(ALICE, Right::Append);
    store.client.check_room(pb::CheckRoomRequest { grant, size: 10 }).await.unwrap();
}

async fn an_account_sees_only_its_own(store: &Store) {
    store.provision(BOB).await;
    let uid = store.append("INBOX", FlagBits::NONE, &message("secret")).await;
    let alices = store.examine("INBOX").await.state.unwrap().mailbox_id;
    let grant = store.grant(BOB, Right::Own);
    let bobs =
        store.client.status(pb::StatusRequest { owner: 0, grant: grant.clone(), name: "INBOX".into() }).await;
    assert_eq!(bobs.unwrap().exists, 0);
    let request = pb::ContentRequest {
        owner: 0,
        grant: grant.clone(),
        mailbox_id: alices,
        ranges: vec![pb::ContentRange { uid, offset: 0, length: 0 }],
        packed: false,
    };
    let mut chunks = store.client.content(request).await.unwrap();
    assert!(chunks.message().await.unwrap().unwrap().gone);
    let watches = vec![pb::check_mod_seqs_request::Watch {
        owner: 0,
        grant: b"forged".as_slice().into(),
        mailbox_id: alices,
    }];
    let reply = store.client.check_mod_seqs(pb::CheckModSeqsRequest { watches }).await.unwrap();
    assert_eq!(reply.highest_modseq, [0]);
}

async fn provisioning_twice_is_harmless(store: &Store) {
    store.append("INBOX", FlagBits::NONE, &message("a")).await;
    let before = store.status("INBOX").await.unwrap();
    store.provision(ALICE).await;
    assert_eq!(store.status("INBOX").await.unwrap(), before);
    let list = store.client.list(pb::ListRequest { grant: store.alice() }).await.unwrap();
    let names: Vec<_> =
        list.mailboxes.iter().map(|m| (m.name.as_str(), m.special_use, m.subscribed)).collect();
    let expected = [
        ("Archive", 2, true),
        ("Drafts", 3, true),
        ("INBOX", 0, true),
        ("Junk", 5, true),
        ("Sent", 6, true),
        ("Trash", 7, true),
    ];
    assert_eq!(names, expected);
    let grant = store.grant(BOB, Right::Own);
    assert_eq!(store.client.list(pb::ListRequest { grant }).await.unwrap_err().code(), Code::NotFound);
}

async fn quota_is_exact(store: &Store) {
    let octets = message("a");
    let size = octets.len() as u64;
    store.limit(size * 3, 0).await;
    for _ in 0..2 {
        store.append("INBOX", FlagBits::NONE, &octets).await;
    }
    let inbox = store.examine("INBOX").await;
    let at = (known(&inbox).mailbox_id, 0);
    store.copy(at, "1", "Archive", pb::copy_request::Mode::Copy).await.unwrap();
    let over = store.copy(at, "1", "Archive", pb::copy_request::Mode::Copy).await.unwrap_err();
    assert_eq!(over.code(), Code::ResourceExhausted);
    // Moving inside an account needs no room.
    store.copy(at, "1:2", "Archive", pb::copy_request::Mode::Move).await.unwrap();
    let over = store.append_all("INBOX", &[(system(FlagBits::NONE), octets.clone())], b"").await;
    assert_eq!(over.unwrap_err().code(), Code::ResourceExhausted);
    let grant = store.grant(ALICE, Right::Append);
    let room =
        async |size| store.client.check_room(pb::CheckRoomRequest { grant: grant.clone(), size }).await;
    assert_eq!(room(1).await.unwrap_err().code(), Code::ResourceExhausted);
    let quota = store.quota().await;
    assert_eq!((quota.used_bytes, quota.used_messages), (size * 3, 3));
    let archive = store.examine("Archive").await.state.unwrap().mailbox_id;
    store.expunge(archive, "1:2", 0).await;
    assert_eq!(store.quota().await.used_bytes, size);
    room(size * 2).await.unwrap();
    store.limit(0, 1).await;
    assert_eq!(room(1).await.unwrap_err().code(), Code::ResourceExhausted);
}

async fn purge_leaves_nothing(store: &Store) {
    store.append("INBOX", FlagBits::NONE, &noise(2_000_000, 1)).await;
    let before = store.status("INBOX").await.unwrap();
    let grant = store.grant(ALICE, Right::Admin);
    store.client.purge(pb::PurgeRequest { grant }).await.unwrap();
    assert_eq!(store.status("INBOX").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(store.storage.fsck(None).await.unwrap().messages, 0);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    store.provision(ALICE).await;
    let after = store.examine("INBOX").await;
    assert_eq!(after.state.as_ref().unwrap().exists, 0);
    assert!(entries(&after).is_empty());
    assert!(after.state.unwrap().uid_validity > before.uid_validity - 6);
}
