//! Fetch and Content: derived data, ranges over chunk borders, large messages, sweeping.

use bytes::Bytes;
use mail_rpc::pb;
use mail_types::FlagBits;
use mailbox_storage::SweepPolicy;
use tonic::Code;

use crate::fixture::*;

suite!(
    octets_come_back_as_they_went_in,
    ranges_cross_chunks,
    many_messages_in_one_stream,
    fetch_sends_what_is_asked,
    fetch_goes_on_over_pages,
    an_unfinished_append_leaves_nothing,
    append_with_a_key_is_done_once,
    a_multiple_append_is_one,
    what_nobody_refers_to_is_swept
);

const CHUNK: usize = 256 << 10;

async fn octets_come_back_as_they_went_in(store: &Store) {
    let odd = b"Subject: \xff\0bare\nlf and \r cr\r\n\r\n\0\0\xfe".to_vec();
    for octets in [
        Vec::new(),
        b"x".to_vec(),
        odd,
        message("a"),
        noise(CHUNK, 1),
        noise(CHUNK + 1, 2),
        noise(3_000_000, 3),
    ] {
        let uid = store.append("INBOX", FlagBits::NONE, &octets).await;
        let id = store.status("INBOX").await.unwrap().mailbox_id;
        assert_eq!(store.read(id, uid, 0, 0).await.unwrap(), octets);
    }
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    assert_eq!(store.read(id, 99, 0, 0).await, None);
    let large = [(system(FlagBits::NONE), noise(MESSAGE_BYTES_MAX as usize + 1, 4))];
    assert_eq!(store.append_all("INBOX", &large, b"").await.unwrap_err().code(), Code::OutOfRange);
}

async fn ranges_cross_chunks(store: &Store) {
    let octets = noise(3 * CHUNK + 100, 5);
    let uid = store.append("INBOX", FlagBits::NONE, &octets).await;
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    let c = CHUNK as u64;
    for (offset, length) in [
        (0, 1),
        (c - 1, 2),
        (c, c),
        (c - 1, 2 * c + 2),
        (3 * c, 0),
        (3 * c + 99, 50),
        (3 * c + 100, 0),
        (u64::MAX, 5),
        (5, u64::MAX),
    ] {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(octets.len());
        let end =
            if length == 0 { octets.len() } else { from.saturating_add(length as usize).min(octets.len()) };
        assert_eq!(
            store.read(id, uid, offset, length).await.unwrap(),
            &octets[from..end],
            "{offset} {length}"
        );
    }
}

async fn many_messages_in_one_stream(store: &Store) {
    let all: Vec<Vec<u8>> =
        (0..60).map(|i| if i % 20 == 7 { noise(CHUNK * 2, i) } else { message(&format!("m{i}")) }).collect();
    for octets in &all {
        store.append("INBOX", FlagBits::NONE, octets).await;
    }
    let mailbox_id = store.status("INBOX").await.unwrap().mailbox_id;
    // Out of order, twice, and one that is not there.
    let mut uids: Vec<u32> = (1..=60).rev().collect();
    uids.extend([3, 3, 1000, 8]);
    let ranges = uids.iter().map(|uid| pb::ContentRange { uid: *uid, offset: 0, length: 0 }).collect();
    let request = pb::ContentRequest { owner: 0, grant: store.alice(), mailbox_id, ranges, packed: false };
    let mut chunks = store.client.content(request).await.unwrap();
    let mut got: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(chunk) = chunks.message().await.unwrap() {
        assert_eq!(chunk.range as usize, got.len() - 1);
        assert_eq!(chunk.gone, uids[chunk.range as usize] == 1000);
        got.last_mut().unwrap().extend_from_slice(&chunk.data);
        if chunk.last {
            got.push(Vec::new());
        }
    }
    for (uid, octets) in uids.iter().zip(&got) {
        assert_eq!(octets, all.get(*uid as usize - 1).unwrap_or(&Vec::new()));
    }
    assert_eq!(got.len(), uids.len() + 1);
}

async fn fetch(store: &Store, request: pb::FetchRequest) -> Vec<pb::MessageData> {
    let mut pages = store.client.fetch(pb::FetchRequest { grant: store.alice(), ..request }).await.unwrap();
    let mut out = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        out.extend(page.messages);
    }
    out
}

async fn fetch_sends_what_is_asked(store: &Store) {
    store.append("INBOX", FlagBits::NONE, &message("hello")).await;
    let mailbox_id = store.status("INBOX").await.unwrap().mailbox_id;
    let narrow = pb::FetchRequest { mailbox_id, uids: ranges("1:9"), ..Default::default() };
    let plain = &fetch(store, narrow.clone()).await[0];
    assert_eq!((plain.uid, plain.size, plain.received_at), (1, message("hello").len() as u64, 1_000_000_000));
    assert!(plain.saved_at > 1_700_000_000);
    assert!(plain.envelope.is_empty() && plain.parts.is_empty() && plain.preview.is_empty());
    let derived = mail_message::derive(&message("hello"));
    let all = &fetch(
        store,
        pb::FetchRequest {
            owner: 0,
            envelope: true,
            body: true,
            body_structure: true,
            parts: true,
            preview: true,
            ..narrow
        },
    )
    .await[0];
    assert_eq!(all.envelope, derived.envelope);
    assert_eq!((&all.body[..], &all.body_structure[..]), (&derived.body[..], &derived.bodystructure[..]));
    assert_eq!((&all.parts[..], &all.preview), (&derived.parts[..], &derived.preview));
}

async fn fetch_goes_on_over_pages(store: &Store) {
    let some: Vec<_> = (0..600).map(|i| (system(FlagBits::NONE), message(&format!("m{i}")))).collect();
    store.append_all("INBOX", &some, b"").await.unwrap();
    let mailbox_id = store.status("INBOX").await.unwrap().mailbox_id;
    let request = pb::FetchRequest {
        mailbox_id,
        uids: ranges("2:400,500:4294967295"),
        envelope: true,
        ..Default::default()
    };
    let uids: Vec<u32> = fetch(store, request).await.iter().map(|message| message.uid).collect();
    assert_eq!(uids, (2..=400).chain(500..=600).collect::<Vec<u32>>());
}

async fn an_unfinished_append_leaves_nothing(store: &Store) {
    let mut steps =
        append_steps(store.alice(), "INBOX", &[(system(FlagBits::NONE), noise(2_000_000, 1))], b"");
    steps.pop();
    assert_eq!(
        store.client.append(tokio_stream::iter(steps)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let mut steps = append_steps(store.alice(), "INBOX", &[(system(FlagBits::NONE), message("a"))], b"");
    steps.remove(2);
    assert_eq!(
        store.client.append(tokio_stream::iter(steps)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let steps = append_steps(store.alice(), "missing", &[(system(FlagBits::NONE), message("a"))], b"");
    assert_eq!(store.client.append(tokio_stream::iter(steps)).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 0);
    assert_eq!(store.quota().await.used_bytes, 0);
}

async fn append_with_a_key_is_done_once(store: &Store) {
    let key = Bytes::from_static(b"0123456789abcdef");
    let both = [(system(FlagBits::NONE), message("a")), (system(FlagBits::SEEN), message("b"))];
    let first = store.append_all("INBOX", &both, &key).await.unwrap();
    let second = store.append_all("INBOX", &both, &key).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(first.uids, [1, 2]);
    assert_eq!(store.status("INBOX").await.unwrap().exists, 2);
    // A key that is to be kept outlives any sweep.
    let policy = SweepPolicy { key_seconds: -10, ..SweepPolicy::default() };
    assert_eq!(store.storage.sweep(&policy).await.unwrap().keys, 1);
    let kept = || {
        let mut steps = append_steps(store.alice(), "INBOX", &both, &key);
        if let Some(pb::append_request::Step::Start(start)) = &mut steps[0].step {
            start.keep_key = true;
        }
        store.client.append(tokio_stream::iter(steps))
    };
    assert_eq!(kept().await.unwrap().uids, [3, 4]);
    assert_eq!(store.storage.sweep(&policy).await.unwrap().keys, 0);
    assert_eq!(kept().await.unwrap().uids, [3, 4]);
    let short = store.append_all("INBOX", &both, b"short").await.unwrap_err();
    assert_eq!(short.code(), Code::InvalidArgument);
}

async fn a_multiple_append_is_one(store: &Store) {
    let twice = [(system(FlagBits::NONE), message("a")), (system(FlagBits::NONE), message("a"))];
    assert_eq!(store.append_all("INBOX", &twice, b"").await.unwrap().uids, [1, 2]);
    let inbox = store.examine("INBOX").await;
    assert_eq!(entries(&inbox)[0].message, entries(&inbox)[1].message);
    store.limit(0, 3).await;
    assert_eq!(store.append_all("INBOX", &twice, b"").await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(store.examine("INBOX").await, inbox);
    assert_eq!(store.append_all("INBOX", &[], b"").await.unwrap_err().code(), Code::InvalidArgument);
}

async fn what_nobody_refers_to_is_swept(store: &Store) {
    let policy = SweepPolicy { garbage_seconds: -10, ..SweepPolicy::default() };
    for name in ["a", "b"] {
        store.append("INBOX", FlagBits::NONE, &message(name)).await;
    }
    store.append("INBOX", FlagBits::NONE, &noise(2_500_000, 9)).await;
    let id = store.status("INBOX").await.unwrap().mailbox_id;
    store.copy((id, 0), "1", "Archive", pb::copy_request::Mode::Copy).await.unwrap();
    store.storage.sweep(&policy).await.unwrap();
    assert_eq!(store.storage.fsck(None).await.unwrap().messages, 3);
    store.expunge(id, "1:3", 0).await;
    store.storage.sweep(&policy).await.unwrap();
    assert_eq!(store.storage.fsck(None).await.unwrap().messages, 1);
    let archive = store.status("Archive").await.unwrap().mailbox_id;
    assert_eq!(store.read(archive, 1, 0, 0).await.unwrap(), message("a"));
    // What was swept can come again.
    let uid = store.append("INBOX", FlagBits::NONE, &message("b")).await;
    assert_eq!(store.read(id, uid, 0, 0).await.unwrap(), message("b"));
}
