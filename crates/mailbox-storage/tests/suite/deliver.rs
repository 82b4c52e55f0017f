//! Deliveries: one answer per recipient, retries recognised, nothing half done.

use bytes::Bytes;
use mail_rpc::pb::{self, deliver_result::Outcome};
use mail_rpc::{Right, pb::deliver_request::Step};
use mail_types::AccountId;
use mailbox_storage::SweepPolicy;
use tonic::Code;

use crate::fixture::*;

suite!(
    every_recipient_gets_an_answer,
    a_retry_makes_no_second_copy,
    details_choose_the_mailbox,
    unfinished_deliveries_leave_nothing,
    too_large_is_said,
    large_messages_are_delivered_whole
);

fn recipient(store: &Store, account: AccountId, address: &str) -> pb::DeliverRecipient {
    pb::DeliverRecipient {
        grant: store.grant(account, Right::Append),
        address: address.into(),
        mailbox: String::new(),
        trace: Bytes::from(format!("Delivered-To: {address}\r\n")),
    }
}

fn steps(recipients: Vec<pb::DeliverRecipient>, octets: &[u8]) -> Vec<pb::DeliverRequest> {
    let start = pb::DeliverStart { recipients, sender: "carol@example.org".into() };
    let mut steps = vec![Step::Start(start)];
    steps.extend(octets.chunks(64 << 10).map(|part| Step::Chunk(Bytes::copy_from_slice(part))));
    steps.push(Step::Finish(pb::Finish {}));
    steps.into_iter().map(|step| pb::DeliverRequest { step: Some(step) }).collect()
}

async fn deliver(
    store: &Store,
    recipients: Vec<pb::DeliverRecipient>,
    octets: &[u8],
) -> Vec<pb::DeliverResult> {
    let mut results = store.client.deliver(tokio_stream::iter(steps(recipients, octets))).await.unwrap();
    let mut out = Vec::new();
    while let Some(result) = results.message().await.unwrap() {
        assert_eq!(result.recipient as usize, out.len());
        out.push(result);
    }
    out
}

async fn every_recipient_gets_an_answer(store: &Store) {
    store.provision(BOB).await;
    let grant = store.grant(BOB, Right::Admin);
    let limit = pb::SetQuotaRequest { grant, limit_bytes: 10, limit_messages: 0 };
    store.client.set_quota(limit).await.unwrap();
    let mut forged = recipient(store, ALICE, "alice@example.net");
    forged.grant = Bytes::from_static(b"no grant");
    let results = deliver(
        store,
        vec![
            recipient(store, ALICE, "alice@example.net"),
            recipient(store, BOB, "bob@example.net"),
            recipient(store, AccountId::new(99), "gone@example.net"),
            forged,
            recipient(store, ALICE, "alias@example.net"),
        ],
        &message("hello"),
    )
    .await;
    let outcomes: Vec<Outcome> = results.iter().map(pb::DeliverResult::outcome).collect();
    let expected =
        [Outcome::Delivered, Outcome::OverQuota, Outcome::NoAccount, Outcome::NoAccount, Outcome::Delivered];
    assert_eq!(outcomes, expected);
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    let octets = store.read(id, results[0].uid, 0, 0).await.unwrap();
    assert_eq!(octets, [&b"Delivered-To: alice@example.net\r\n"[..], &message("hello")].concat());
    assert_eq!(store.status("INBOX").await.unwrap().recent, 2);
}

async fn a_retry_makes_no_second_copy(store: &Store) {
    let once = async |trace: &'static [u8]| {
        let mut to = recipient(store, ALICE, "alice@example.net");
        to.trace = Bytes::from_static(trace);
        deliver(store, vec![to], &message("hello")).await.remove(0)
    };
    let first = once(b"Received: now\r\n").await;
    let second = once(b"Received: later\r\n").await;
    assert_eq!(first, second);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 1);
    let grant = store.grant(ALICE, Right::Append);
    let deliveries = vec![pb::confirm_deliveries_request::Delivery { grant, key: first.key }];
    store.client.confirm_deliveries(pb::ConfirmDeliveriesRequest { deliveries }).await.unwrap();
    let third = once(b"Received: now\r\n").await;
    assert_eq!(third.uid, 2);
    // Unconfirmed keys are forgotten in the end.
    let policy = SweepPolicy { key_seconds: -10, ..SweepPolicy::default() };
    assert_eq!(store.storage.sweep(&policy).await.unwrap().keys, 1);
    assert_eq!(once(b"").await.uid, 3);
    let all: Vec<_> = (0..8)
        .map(|_| deliver(store, vec![recipient(store, ALICE, "x@example.net")], b"Subject: race\r\n\r\n"))
        .collect();
    for results in futures_util::future::join_all(all).await {
        assert_eq!(results[0].uid, 4);
    }
    assert_eq!(store.status("INBOX").await.unwrap().exists, 4);
}

async fn details_choose_the_mailbox(store: &Store) {
    store.create("lists").await.unwrap();
    for (detail, expected) in [("lists", 1), ("nothing", 0), ("../bad", 0)] {
        let mut to = recipient(store, ALICE, &format!("alice+{detail}@example.net"));
        to.mailbox = detail.into();
        let before = store.status("lists").await.unwrap().exists;
        assert_eq!(deliver(store, vec![to], &message("x")).await[0].outcome(), Outcome::Delivered);
        assert_eq!(store.status("lists").await.unwrap().exists - before, expected);
    }
    assert_eq!(store.status("INBOX").await.unwrap().exists, 2);
}

async fn unfinished_deliveries_leave_nothing(store: &Store) {
    let mut cut = steps(vec![recipient(store, ALICE, "alice@example.net")], &message("x"));
    cut.pop();
    let refused = store.client.deliver(tokio_stream::iter(cut)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 0);
}

async fn too_large_is_said(store: &Store) {
    let octets = noise(MESSAGE_BYTES_MAX as usize + 1, 1);
    let results =
        deliver(store, vec![recipient(store, ALICE, "a"), recipient(store, ALICE, "b")], &octets).await;
    assert!(results.iter().all(|result| result.outcome() == Outcome::TooLarge));
    assert_eq!(results.len(), 2);
}

async fn large_messages_are_delivered_whole(store: &Store) {
    let octets = noise(3 << 20, 2);
    let all = (0..5).map(|i| recipient(store, ALICE, &format!("a{i}"))).collect();
    let results = deliver(store, all, &octets).await;
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    for (i, result) in results.iter().enumerate() {
        assert_eq!(result.outcome(), Outcome::Delivered);
        let trace = format!("Delivered-To: a{i}\r\n");
        let expected = [trace.as_bytes(), &octets].concat();
        assert_eq!(store.read(id, result.uid, 0, 0).await.unwrap(), expected);
    }
}
