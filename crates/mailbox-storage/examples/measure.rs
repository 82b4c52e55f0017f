//! What the store costs: `cargo run --release -p mailbox-storage --example measure -- URL`.
//!
//! Makes its own account in the database named, which should be one to throw away.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use mail_rpc::{GrantKey, MailboxClient, Right, Transport, pb};
use mail_types::AccountId;
use mailbox_hints::Hints;
use mailbox_storage::{Storage, StorageConfig};

type Failure = Box<dyn std::error::Error>;

/// Octets of a message: about the median of real mail.
const MESSAGE_BYTES: usize = 13_000;
const DELIVERIES: usize = 4000;
const SNAPSHOT_MESSAGES: usize = 100_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().nth(1).ok_or("name a database URL")?;
    let key = GrantKey::from_secret(b"measure");
    let storage = Storage::open(StorageConfig::new(&url, key.clone(), Hints::in_process())).await?;
    storage.migrate().await?;
    let client = MailboxClient::new(Transport::local(storage.server()));
    let account = AccountId::new(std::process::id().into());
    let measure = Measure { client, key, account };
    let grant = measure.key.issue(account, Right::Admin).0;
    measure.client.provision(pb::ProvisionRequest { grant, ..Default::default() }).await?;
    for writers in [1, 10, 32] {
        measure.deliveries(writers).await?;
    }
    measure.snapshot().await?;
    measure.flags().await?;
    measure.contents().await?;
    measure.moves().await?;
    storage.close().await;
    Ok(())
}

struct Measure {
    client: MailboxClient,
    key: GrantKey,
    account: AccountId,
}

impl Measure {
    fn own(&self) -> Bytes {
        self.key.issue(self.account, Right::Own).0
    }

    async fn deliveries(&self, writers: usize) -> Result<(), Failure> {
        let start = Instant::now();
        let each = DELIVERIES / writers / if writers == 1 { 4 } else { 1 };
        let all = join_all((0..writers).map(|writer| self.deliver_some(writer, each))).await;
        let mut times = Vec::new();
        for some in all {
            times.extend(some?);
        }
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        println!("deliver, {writers:2} at once: {rate:7.0}/s, {}", percentiles(times));
        Ok(())
    }

    async fn deliver_some(&self, writer: usize, count: usize) -> Result<Vec<Duration>, tonic::Status> {
        use pb::deliver_request::Step;
        let mut times = Vec::new();
        for i in 0..count {
            let octets = message(writer * 1_000_000 + i);
            let start = Instant::now();
            let recipient = pb::DeliverRecipient {
                grant: self.key.issue(self.account, Right::Append).0,
                address: "alice@example.net".into(),
                mailbox: String::new(),
                trace: Bytes::from_static(b"Delivered-To: alice@example.net\r\n"),
            };
            let sender = format!("w{writer}@example.org");
            let steps = [
                Step::Start(pb::DeliverStart { recipients: vec![recipient], sender }),
                Step::Chunk(octets),
                Step::Finish(pb::Finish {}),
            ];
            let steps = steps.map(|step| pb::DeliverRequest { step: Some(step) });
            let mut results = self.client.deliver(tokio_stream::iter(steps)).await?;
            let result = results.message().await?.ok_or_else(|| tonic::Status::internal("no result"))?;
            times.push(start.elapsed());
            assert_eq!(result.outcome(), pb::deliver_result::Outcome::Delivered);
        }
        Ok(times)
    }

    async fn open(&self, name: &str, known: Option<pb::Known>) -> Result<pb::SyncReply, tonic::Status> {
        let request = pb::OpenRequest {
            owner: 0,
            grant: self.own(),
            name: name.into(),
            access: pb::Access::ReadOnly.into(),
            known,
        };
        self.client.open(request).await
    }

    async fn snapshot(&self) -> Result<(), Failure> {
        let create =
            |name: &str| pb::CreateRequest { owner: 0, grant: self.own(), name: name.into(), special_use: 0 };
        self.client.create(create("Large")).await?;
        self.client.create(create("Larger")).await?;
        let inbox = self.open("INBOX", None).await?.state.ok_or("no state")?;
        let mut there = 0;
        let start = Instant::now();
        while there < SNAPSHOT_MESSAGES as u32 {
            self.copy(inbox.mailbox_id, "Large", pb::copy_request::Mode::Copy, all()).await?;
            there += inbox.exists;
        }
        println!("copy: {:.0} messages/s", f64::from(there) / start.elapsed().as_secs_f64());
        let (cold, reply) = timed(self.open("Large", None)).await?;
        let state = reply.state.ok_or("no state")?;
        let (warm, _) = timed(self.open("Large", None)).await?;
        let known = Some(pb::Known { mailbox_id: state.mailbox_id, modseq: state.highest_modseq });
        let mut nothing = Vec::new();
        for _ in 0..200 {
            nothing.push(timed(self.open("Large", known)).await?.0);
        }
        println!(
            "open {} messages: {cold:?} cold, {warm:?} kept; nothing changed: {}",
            state.exists,
            percentiles(nothing)
        );
        Ok(())
    }

    async fn flags(&self) -> Result<(), Failure> {
        for count in [1u32, 2000] {
            let state = self.open("Large", None).await?.state.ok_or("no state")?;
            let mut known_modseq = state.highest_modseq;
            let mut times = Vec::new();
            for i in 0..100 {
                let first = 1 + (i * 3 * count) % (state.exists - count);
                let request = pb::StoreFlagsRequest {
                    owner: 0,
                    grant: self.own(),
                    mailbox_id: state.mailbox_id,
                    uids: vec![pb::UidRange { first, last: first + count - 1 }],
                    how: pb::store_flags_request::How::Add.into(),
                    flags: Some(pb::FlagSet { system: if count == 1 { 4 } else { 2 }, keywords: Vec::new() }),
                    unchanged_since: None,
                    known_modseq,
                };
                let (time, reply) = timed(self.client.store_flags(request)).await?;
                times.push(time);
                known_modseq = reply.sync.and_then(|sync| sync.state).ok_or("no state")?.highest_modseq;
            }
            println!("store {count} flags: {}", percentiles(times));
        }
        Ok(())
    }

    async fn contents(&self) -> Result<(), Failure> {
        let state = self.open("INBOX", None).await?.state.ok_or("no state")?;
        let mut times = Vec::new();
        for uid in 1..=500 {
            let start = Instant::now();
            self.read(state.mailbox_id, &[uid]).await?;
            times.push(start.elapsed());
        }
        println!("read one message: {}", percentiles(times));
        let uids: Vec<u32> = (1..=4000.min(state.exists)).collect();
        let start = Instant::now();
        let octets = self.read(state.mailbox_id, &uids).await?;
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "read {} messages: {:.0}/s, {:.0} MB/s",
            uids.len(),
            uids.len() as f64 / seconds,
            octets as f64 / seconds / 1e6
        );
        let start = Instant::now();
        let mailbox_id = self.open("Large", None).await?.state.ok_or("no state")?.mailbox_id;
        let request = pb::FetchRequest {
            grant: self.own(),
            mailbox_id,
            uids: all(),
            envelope: true,
            ..Default::default()
        };
        let mut pages = self.client.fetch(request).await?;
        let mut count = 0;
        while let Some(page) = pages.message().await? {
            count += page.messages.len();
        }
        println!("fetch {count} envelopes: {:.0}/s", count as f64 / start.elapsed().as_secs_f64());
        Ok(())
    }

    async fn read(&self, mailbox_id: u64, uids: &[u32]) -> Result<usize, Failure> {
        let ranges = uids.iter().map(|uid| pb::ContentRange { uid: *uid, offset: 0, length: 0 }).collect();
        let request = pb::ContentRequest { owner: 0, grant: self.own(), mailbox_id, ranges, packed: false };
        let mut chunks = self.client.content(request).await?;
        let mut octets = 0;
        while let Some(chunk) = chunks.message().await? {
            octets += chunk.data.len();
        }
        Ok(octets)
    }

    async fn moves(&self) -> Result<(), Failure> {
        let state = self.open("Large", None).await?.state.ok_or("no state")?;
        let uids = vec![pb::UidRange { first: 1, last: 10_000 }];
        let start = Instant::now();
        self.copy(state.mailbox_id, "Larger", pb::copy_request::Mode::Move, uids).await?;
        println!("move 10000 messages: {:?}", start.elapsed());
        let request = pb::ExpungeRequest {
            owner: 0,
            grant: self.own(),
            mailbox_id: state.mailbox_id,
            uids: vec![pb::UidRange { first: 10_001, last: 20_000 }],
            which: pb::expunge_request::Which::All.into(),
            known_modseq: 0,
        };
        println!("expunge 10000 messages: {:?}", timed(self.client.expunge(request)).await?.0);
        Ok(())
    }

    async fn copy(
        &self,
        mailbox_id: u64,
        destination: &str,
        mode: pb::copy_request::Mode,
        uids: Vec<pb::UidRange>,
    ) -> Result<pb::CopyReply, tonic::Status> {
        let request = pb::CopyRequest {
            owner: 0,
            destination_owner: 0,
            grant: self.own(),
            mailbox_id,
            uids,
            destination: destination.into(),
            mode: mode.into(),
            known_modseq: 0,
        };
        self.client.copy(request).await
    }
}

fn all() -> Vec<pb::UidRange> {
    vec![pb::UidRange { first: 1, last: u32::MAX }]
}

async fn timed<T>(
    call: impl Future<Output = Result<T, tonic::Status>>,
) -> Result<(Duration, T), tonic::Status> {
    let start = Instant::now();
    let reply = call.await?;
    Ok((start.elapsed(), reply))
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    format!("median {:?}, 99 % {:?}", at(50), at(99))
}

/// Text that shrinks about as much as mail does.
fn message(seed: usize) -> Bytes {
    let mut out = format!(
        "From: Carol <carol@example.org>\r\nTo: alice@example.net\r\nSubject: message {seed}\r\n\
         Date: Mon, 7 Feb 1994 21:52:25 -0800\r\nMessage-ID: <{seed}@example.org>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    let mut state = seed as u64;
    while out.len() < MESSAGE_BYTES {
        for _ in 0..10 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            out.push_str(WORDS[(state >> 33) as usize % WORDS.len()]);
            out.push(' ');
        }
        out.push_str("\r\n");
    }
    out.into()
}

const WORDS: [&str; 16] = [
    "mailbox",
    "message",
    "delivery",
    "arrives",
    "letter",
    "recipient",
    "sender",
    "answer",
    "tomorrow",
    "please",
    "meeting",
    "invoice",
    "attached",
    "regards",
    "question",
    "report",
];
