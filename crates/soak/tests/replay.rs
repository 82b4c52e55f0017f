//! A client that comes back after any time and resynchronises has what is there (INV-31, INV-32, INV-33, INV-36).
//!
//! A random history is made in one mailbox, and after each step a client's cache is kept. Then each of these clients comes back,
//! by SELECT (QRESYNC ...) in its forms and by FETCH (CHANGEDSINCE ... VANISHED): with the tombstones that are there, and after a
//! sweep that kept only a few.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};

use soak::reply::{Reply, expand, parse};
use soak::{Shape, Stage};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Steps of the history.
const STEPS: usize = 60;
/// Tombstones that the sweep keeps.
const KEPT: i64 = 5;

type Messages = BTreeMap<u32, (BTreeSet<String>, u64)>;

/// What a client kept.
#[derive(Debug, Clone, PartialEq)]
struct Cache {
    validity: u32,
    highest: u64,
    messages: Messages,
}

/// A client without a model: it believes what it is told.
struct Client {
    stream: BufReader<TcpStream>,
    tag: u32,
}

impl Client {
    async fn log_in(stage: &Stage, turn: usize) -> Self {
        let gateways = &stage.site.imap;
        let stream = TcpStream::connect(gateways[turn % gateways.len()]).await.unwrap();
        let mut client = Self { stream: BufReader::new(stream), tag: 0 };
        client.reply().await;
        client.ask(&format!("LOGIN {} {}", stage.site.address, stage.site.password)).await;
        client.ask("ENABLE QRESYNC").await;
        client
    }

    async fn reply(&mut self) -> Reply {
        let mut raw = Vec::new();
        loop {
            self.stream.read_until(b'\n', &mut raw).await.unwrap();
            let Some(open) = raw.strip_suffix(b"}\r\n") else { return parse(&raw).unwrap() };
            let digits = open.rsplit(|octet| *octet == b'{').next().unwrap();
            let length: usize = std::str::from_utf8(digits).unwrap().parse().unwrap();
            let at = raw.len();
            raw.resize(at + length, 0);
            self.stream.read_exact(&mut raw[at..]).await.unwrap();
        }
    }

    /// Untagged replies of a command that succeeds.
    async fn ask(&mut self, line: &str) -> Vec<Reply> {
        self.tag += 1;
        self.stream.write_all(format!("r{} {line}\r\n", self.tag).as_bytes()).await.unwrap();
        let mut untagged = Vec::new();
        loop {
            match self.reply().await {
                Reply::Tagged(_, done) => {
                    assert_eq!(done.status, "OK", "{line:.80}: {done:?}");
                    return untagged;
                }
                reply => untagged.push(reply),
            }
        }
    }

    /// Everything, asked from the beginning.
    async fn all(&mut self, name: &str) -> Cache {
        let mut cache = state(&self.ask(&format!("SELECT {name}")).await);
        let told = self.ask("UID FETCH 1:* (FLAGS MODSEQ)").await;
        apply(&mut cache.messages, &told);
        cache
    }
}

fn state(replies: &[Reply]) -> Cache {
    let number = |code: &str| {
        replies.iter().find_map(|reply| match reply {
            Reply::Condition(condition) => condition.number(code),
            _ => None,
        })
    };
    Cache {
        validity: u32::try_from(number("UIDVALIDITY").unwrap()).unwrap(),
        highest: number("HIGHESTMODSEQ").unwrap(),
        messages: Messages::new(),
    }
}

/// What a client does with what it is told.
fn apply(messages: &mut Messages, replies: &[Reply]) {
    for reply in replies {
        match reply {
            Reply::Vanished { uids, .. } => expand(uids).iter().for_each(|uid| drop(messages.remove(uid))),
            Reply::Fetch(fetch) => {
                let flags = fetch.flags.clone().unwrap();
                messages.insert(fetch.uid.unwrap(), (flags, fetch.modseq.unwrap()));
            }
            _ => {}
        }
    }
}

fn told_anything(replies: &[Reply]) -> bool {
    replies.iter().any(|reply| matches!(reply, Reply::Vanished { .. } | Reply::Fetch(_)))
}

/// One random change, by a client of its own.
async fn change(client: &mut Client, rng: &mut fastrand::Rng, messages: &Messages) {
    let uids: Vec<u32> = messages.keys().copied().collect();
    let some: Vec<u32> = uids.iter().copied().filter(|_| rng.u8(..4) == 0).collect();
    let set = match some.is_empty() {
        true => uids.last().copied().unwrap_or(1).to_string(),
        false => soak::pick::set(&some),
    };
    match rng.u8(..10) {
        0..3 => {
            for _ in 0..rng.usize(1..4) {
                client.ask("APPEND soak-r {11+}\r\nA: b\r\n\r\nc\r\n").await;
            }
        }
        3..5 => drop(client.ask(&format!("UID STORE {set} +FLAGS (\\Seen $r)")).await),
        5 => drop(client.ask(&format!("UID STORE {set} -FLAGS.SILENT ($r)")).await),
        6 => drop(client.ask(&format!("UID MOVE {set} soak-gone")).await),
        7 => drop(client.ask(&format!("UID COPY {set} soak-r")).await),
        _ => {
            client.ask(&format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)")).await;
            client.ask("EXPUNGE").await;
        }
    }
}

/// Comes back in every way, and compares.
async fn come_back(client: &mut Client, cache: &Cache, now: &Cache, which: &str) {
    let since = cache.highest;
    let last = cache.messages.keys().last().copied().unwrap_or(1);
    let uids: Vec<u32> = cache.messages.keys().copied().collect();
    let numbers: Vec<u32> = (1..=u32::try_from(uids.len()).unwrap()).collect();
    let pairs = match uids.is_empty() {
        true => String::new(),
        false => format!(" ({} {})", soak::pick::set(&numbers), soak::pick::set(&uids)),
    };
    for known in ["".to_owned(), " 1:4294967295".to_owned(), format!(" 1:4294967295{pairs}")] {
        let line = format!("SELECT soak-r (QRESYNC ({} {since}{known}))", cache.validity);
        let told = client.ask(&line).await;
        let mut back = Cache { messages: cache.messages.clone(), ..state(&told) };
        apply(&mut back.messages, &told);
        assert_eq!(&back, now, "{which}: {line}, from {cache:?}");
    }
    // A list of known UIDs narrows what is told; the client asks for what is above by itself.
    let line = format!("SELECT soak-r (QRESYNC ({} {since} 1:{last}))", cache.validity);
    let told = client.ask(&line).await;
    let mut back = Cache { messages: cache.messages.clone(), ..state(&told) };
    apply(&mut back.messages, &told);
    let above = client.ask(&format!("UID FETCH {}:* (FLAGS MODSEQ)", last + 1)).await;
    apply(&mut back.messages, &above);
    assert_eq!(&back, now, "{which}: {line}, from {cache:?}");
    // By CONDSTORE.
    client.ask("SELECT soak-r").await;
    let line = format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since} VANISHED)");
    let mut back = Cache { messages: cache.messages.clone(), ..now.clone() };
    apply(&mut back.messages, &client.ask(&line).await);
    assert_eq!(&back, now, "{which}: {line}, from {cache:?}");
}

/// INV-36: with another UIDVALIDITY, or a mod-sequence that never was, the client is told nothing and begins anew.
async fn come_back_from_elsewhere(client: &mut Client, now: &Cache) {
    for (validity, modseq) in
        [(now.validity + 1, 1), (now.validity, now.highest + 1), (now.validity, 1 << 62)]
    {
        let told = client.ask(&format!("SELECT soak-r (QRESYNC ({validity} {modseq}))")).await;
        assert!(!told_anything(&told), "{validity} {modseq}: {told:?}");
    }
}

async fn replay(stage: Stage) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut writer = Client::log_in(&stage, 0).await;
    writer.ask("CREATE soak-r").await;
    writer.ask("CREATE soak-gone").await;
    let mut reader = Client::log_in(&stage, 1).await;
    let mut caches = vec![reader.all("soak-r").await];
    for _ in 0..STEPS {
        writer.ask("SELECT soak-r").await;
        change(&mut writer, &mut rng, &caches.last().unwrap().messages).await;
        caches.push(reader.all("soak-r").await);
    }
    let now = caches.last().unwrap().clone();
    for cache in &caches {
        come_back(&mut reader, cache, &now, "with all tombstones").await;
    }
    come_back_from_elsewhere(&mut reader, &now).await;
    let swept = stage.system.sweep(KEPT).await.unwrap();
    assert!(swept > 0, "the history has too few expunges to test the floor");
    for cache in &caches {
        come_back(&mut reader, cache, &now, "after a sweep").await;
    }
    come_back_from_elsewhere(&mut reader, &now).await;
    stage.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    replay(Stage::start(Shape::Sqlite, 1, None, false).await.unwrap().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster() {
    match Stage::start(Shape::Cluster, 2, None, false).await.unwrap() {
        Some(stage) => replay(stage).await,
        None => {
            assert!(std::env::var_os("CI").is_none(), "cargo xtask test starts PostgreSQL and Redis");
            println!("SKIPPED: needs PostgreSQL and Redis; cargo xtask test starts them");
        }
    }
}
