//! Hints between processes. Each [`Hints`] here stands for a process of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mail_types::{AccountId, MailboxId, ModSeq};
use mailbox_hints::{Hint, Hints, Subscription, Wake};
use tokio::time::{sleep, timeout};

/// Longest time for anything that needs Redis to be there, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn url() -> String {
    std::env::var("TODOKU_TEST_REDIS").expect(
        "TODOKU_TEST_REDIS is not set: run the tests with `cargo xtask test`, which starts a private Redis",
    )
}

/// Accounts of one test; other tests use the same Redis.
fn account() -> AccountId {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    AccountId::new(nanos as u64)
}

fn hint(account: AccountId, mailbox: u64, modseq: u64) -> Hint {
    Hint { account, mailbox: MailboxId::new(mailbox), modseq: ModSeq::new(modseq), trace: None }
}

fn wake(mailbox: u64, modseq: u64) -> Wake {
    Wake::Mailbox { mailbox: MailboxId::new(mailbox), modseq: ModSeq::new(modseq), trace: None }
}

async fn connected(url: &str) -> Hints {
    let hints = Hints::redis(url).unwrap();
    until("Redis is connected", || hints.healthy()).await;
    hints
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn next(subscription: &mut Subscription) -> Wake {
    timeout(PATIENCE, subscription.changed()).await.expect("a wake")
}

async fn silent(subscription: &mut Subscription) -> bool {
    timeout(Duration::from_millis(100), subscription.changed()).await.is_err()
}

/// A Redis of the test's own, to be killed.
struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Server {
    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    fn start(port: u16) -> Self {
        // Says how to get a Redis when there is none.
        url();
        let dir = tempfile::tempdir().unwrap();
        Self { child: Self::spawn(port, &dir), port, dir }
    }

    fn spawn(port: u16, dir: &tempfile::TempDir) -> Child {
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server can be started")
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = Self::spawn(self.port, &self.dir);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_hint_reaches_the_other_process_soon() {
    let (store, gateway) = (connected(&url()).await, connected(&url()).await);
    let (ours, others) = (account(), account());
    let mut subscription = gateway.subscribe(ours).await;
    let mut best = Duration::MAX;
    for modseq in 1..=50 {
        let started = Instant::now();
        store.publish([hint(others, 1, modseq), hint(ours, 1, modseq)]);
        assert_eq!(next(&mut subscription).await, wake(1, modseq));
        best = best.min(started.elapsed());
    }
    println!("best latency {best:?}");
    assert!(best < Duration::from_millis(50), "{best:?}");
    assert!(silent(&mut subscription).await);
}

#[tokio::test]
async fn a_subscription_is_in_effect_when_it_is_there() {
    let (store, gateway) = (connected(&url()).await, connected(&url()).await);
    for modseq in 1..=50 {
        // Subscribed and dropped again and again: each time anew at Redis, or kept from before.
        let account = account();
        let mut subscription = gateway.subscribe(account).await;
        store.publish([hint(account, 1, modseq)]);
        assert_eq!(next(&mut subscription).await, wake(1, modseq));
        drop(subscription);
        let mut subscription = gateway.subscribe(account).await;
        store.publish([hint(account, 1, modseq + 1)]);
        assert_eq!(next(&mut subscription).await, wake(1, modseq + 1));
    }
}

#[tokio::test]
async fn a_thousand_hints_in_ten_milliseconds_end_at_the_last() {
    let (store, gateway) = (connected(&url()).await, connected(&url()).await);
    let account = account();
    let mut subscription = gateway.subscribe(account).await;
    for modseq in 1..=1000 {
        store.publish([hint(account, 1, modseq)]);
        if modseq % 100 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    let mut wakes = 0;
    while next(&mut subscription).await != wake(1, 1000) {
        wakes += 1;
        // A database read that takes its time.
        sleep(Duration::from_millis(500)).await;
    }
    assert!(wakes <= 2, "{wakes} reads for what two are enough for");
    assert!(silent(&mut subscription).await);
}

#[tokio::test]
async fn many_accounts_and_mailboxes_at_once() {
    let (store, gateway) = (connected(&url()).await, connected(&url()).await);
    let first = account().get();
    let mut subscriptions = Vec::new();
    for id in 0..1500 {
        subscriptions.push(gateway.subscribe(AccountId::new(first + id)).await);
    }
    store.publish((0..1500).map(|id| hint(AccountId::new(first + id), id, 7)));
    for (id, subscription) in subscriptions.iter_mut().enumerate() {
        assert_eq!(next(subscription).await, wake(id as u64, 7));
    }
}

#[tokio::test]
async fn no_hint_is_lost_when_redis_is_killed() {
    let mut server = Server::start(Server::free_port());
    let (store, gateway) = (connected(&server.url()).await, connected(&server.url()).await);
    let account = account();
    let mut subscription = gateway.subscribe(account).await;

    server.kill();
    until("the loss is noticed", || !store.healthy() && !gateway.healthy()).await;
    // Neither blocks nor fails, and a subscription made now is heard of later too.
    store.publish([hint(account, 1, 5)]);
    let started = Instant::now();
    let mut late = gateway.subscribe(account).await;
    assert!(started.elapsed() < Duration::from_millis(250), "{:?}", started.elapsed());

    server.restart();
    assert_eq!(next(&mut subscription).await, Wake::Resync);
    assert_eq!(next(&mut late).await, Wake::Resync);
    until("both are back", || store.healthy() && gateway.healthy()).await;
    store.publish([hint(account, 1, 6)]);
    // The hint from before the restart may arrive as well.
    while next(&mut subscription).await != wake(1, 6) {}
    while next(&mut late).await != wake(1, 6) {}
}

#[tokio::test]
async fn hints_wait_for_a_redis_that_only_the_publisher_lost() {
    let mut server = Server::start(Server::free_port());
    let store = connected(&server.url()).await;
    server.kill();
    until("the loss is noticed", || !store.healthy()).await;
    let account = account();
    for modseq in 1..=100 {
        store.publish([hint(account, 3, modseq)]);
    }
    server.restart();
    // Subscribed, with luck before the publisher is back, and told the latest number; or told to look at everything.
    let gateway = Hints::redis(&server.url()).unwrap();
    let mut subscription = gateway.subscribe(account).await;
    let first = next(&mut subscription).await;
    assert!(first == Wake::Resync || first == wake(3, 100), "{first:?}");
}

#[tokio::test]
async fn redis_may_come_later_than_we() {
    let port = Server::free_port();
    let hints = Hints::redis(&format!("redis://127.0.0.1:{port}")).unwrap();
    let account = account();
    let mut subscription = hints.subscribe(account).await;
    assert!(!hints.healthy());
    // Within the process hints travel without Redis.
    hints.publish([hint(account, 1, 1)]);
    assert_eq!(next(&mut subscription).await, wake(1, 1));
    let _server = Server::start(port);
    until("Redis is connected", || hints.healthy()).await;
    assert_eq!(next(&mut subscription).await, Wake::Resync);
}

#[tokio::test]
async fn a_redis_that_hangs_is_taken_for_dead() {
    let server = Server::start(Server::free_port());
    let gateway = connected(&server.url()).await;
    let signal = |name: &str| {
        let status = Command::new("kill").args([name, &server.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    signal("-STOP");
    let account = account();
    let started = Instant::now();
    let mut subscription = gateway.subscribe(account).await;
    let waited = started.elapsed();
    assert!((Duration::from_millis(450)..Duration::from_millis(1500)).contains(&waited), "{waited:?}");
    until("the loss is noticed", || !gateway.healthy()).await;
    signal("-CONT");
    assert_eq!(next(&mut subscription).await, Wake::Resync);
}

#[tokio::test]
async fn rubbish_on_our_channels_is_ignored() {
    let (store, gateway) = (connected(&url()).await, connected(&url()).await);
    let account = account();
    let mut subscription = gateway.subscribe(account).await;
    let mut stranger = redis::Client::open(url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    for payload in [&b""[..], b"\xff\xfe", b"1:2:3", b"1;2", b"1:18446744073709551616"] {
        let channel = format!("todoku:hints:{account}");
        let () = redis::cmd("PUBLISH").arg(channel).arg(payload).query_async(&mut stranger).await.unwrap();
    }
    store.publish([hint(account, 1, 4)]);
    assert_eq!(next(&mut subscription).await, wake(1, 4));
}

#[test]
fn a_bad_address_is_refused_at_once() {
    let refused = Hints::redis("http://localhost/").err().expect("not a Redis address");
    assert!(refused.to_string().contains("Redis address"), "{refused}");
}
