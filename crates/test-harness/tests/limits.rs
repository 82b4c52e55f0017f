//! Slow clients: memory stays within its budget, and nobody waits for a connection to the database that a slow client holds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use service_runtime::ByteSize;
use sqlx::{Connection, PgConnection};
use test_harness::script::Account;
use test_harness::system::System;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for a line of a session that is not slow.
const LINE_LIMIT: Duration = Duration::from_secs(30);

/// A client that sends text and waits for lines.
struct Lines(BufReader<TcpStream>);

impl Lines {
    async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    async fn imap(address: SocketAddr, account: &Account) -> Self {
        let mut client = Self::connect(address).await;
        client.send(format!("l LOGIN {} {}\r\n", account.address, account.password).as_bytes()).await;
        client.expect("l OK").await;
        client
    }

    async fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).await.unwrap();
    }

    /// Reads up to a line that begins so.
    async fn expect(&mut self, start: &str) -> String {
        let mut line = Vec::new();
        while !line.starts_with(start.as_bytes()) {
            line.clear();
            let read = timeout(LINE_LIMIT, self.0.read_until(b'\n', &mut line)).await;
            assert_ne!(
                read.unwrap_or_else(|_| panic!("{start} does not come")).unwrap(),
                0,
                "closed before {start}"
            );
        }
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// What this process holds, in octets.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// The cluster, or, said so, nothing.
async fn cluster(connections: u32) -> Option<System> {
    let system = System::cluster_with(|config| config.database.max_connections = connections).await.unwrap();
    if system.is_none() {
        assert!(std::env::var_os("CI").is_none(), "cargo xtask test starts PostgreSQL and Redis");
        println!("SKIPPED: needs PostgreSQL and Redis; cargo xtask test starts them");
    }
    system
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn literals_that_stop_half_way_stay_within_the_budget() {
    const BUDGET: usize = 16 << 20;
    const SLOW: usize = 24;
    const LITERAL: usize = 6 << 20;
    let system = System::sqlite_with(|config| {
        config.limits.memory_budget = ByteSize::bytes(BUDGET as u64);
        config.limits.message_size_max = ByteSize::mib(8);
    })
    .await
    .unwrap();
    let accounts = system.accounts(1).await.unwrap().remove(0);
    let imap = system.subject.imap[0];
    let before = resident();

    // Each sends nearly all of a literal, as far as it is let, and then nothing.
    let mut slow = Vec::new();
    let half = vec![b'x'; LITERAL - 1000];
    for _ in 0..SLOW {
        let mut client = Lines::imap(imap, &accounts[0]).await;
        client.send(format!("a APPEND INBOX {{{LITERAL}+}}\r\n").as_bytes()).await;
        let _ = timeout(Duration::from_millis(200), client.0.get_mut().write_all(&half)).await;
        slow.push(client);
    }
    let held = resident().saturating_sub(before);
    assert!(held < 6 * BUDGET, "{} MiB for a budget of {} MiB", held >> 20, BUDGET >> 20);

    // Meanwhile others append and deliver, and are not slow.
    let begun = Instant::now();
    let mut healthy = Lines::imap(imap, &accounts[1]).await;
    for number in 0..10 {
        healthy.send(b"b APPEND INBOX {17+}\r\nSubject: x\r\n\r\nabc\r\n").await;
        healthy.expect("b OK").await;
        let mut lmtp = Lines::connect(system.subject.lmtp).await;
        let to = &accounts[1].address;
        lmtp.send(format!("LHLO x\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes())
            .await;
        lmtp.expect("354").await;
        lmtp.send(format!("Subject: {number}\r\n\r\nx\r\n.\r\n").as_bytes()).await;
        lmtp.expect("250 2.").await;
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());

    // And a large one finds room, since those that stand still give way.
    let begun = Instant::now();
    loop {
        healthy.send(format!("c APPEND INBOX {{{}+}}\r\n", half.len()).as_bytes()).await;
        healthy.send(&half).await;
        healthy.send(b"\r\n").await;
        let told = healthy.expect("c ").await;
        if told.starts_with("c OK") {
            break;
        }
        assert!(told.starts_with("c NO [UNAVAILABLE]"), "{told}");
        assert!(begun.elapsed() < Duration::from_secs(60), "no room after {:?}", begun.elapsed());
    }
    drop(slow);
    system.stop().await.unwrap();
}

/// Clients that read nothing: more than fit into what one HTTP/2 connection between two services could hold for all of them.
const SLOW_READERS: usize = 24;

/// Twelve large messages, and clients that ask for all of them and read nothing.
async fn slow_readers(system: &System) {
    let accounts = system.accounts(1).await.unwrap().remove(0);
    let (imap, alice) = (system.subject.imap[0], &accounts[0]);
    let mut client = Lines::imap(imap, alice).await;
    let body = vec![b'x'; 4 << 20];
    for number in 0..12 {
        let head = format!("Subject: {number}\r\n\r\n");
        client.send(format!("a APPEND INBOX {{{}+}}\r\n{head}", head.len() + body.len()).as_bytes()).await;
        client.send(&body).await;
        client.send(b"\r\n").await;
        client.expect("a OK").await;
    }
    let mut slow = Vec::new();
    for _ in 0..SLOW_READERS {
        let mut client = Lines::imap(imap, alice).await;
        client.send(b"b SELECT INBOX\r\n").await;
        client.expect("b OK").await;
        client.send(b"c FETCH 1:* (ENVELOPE BODYSTRUCTURE BODY.PEEK[])\r\n").await;
        client.expect("* 1 FETCH").await;
        slow.push(client);
    }
    let mut pop3 = Lines::connect(system.subject.pop3).await;
    pop3.send(format!("USER {}\r\nPASS {}\r\nRETR 1\r\n", alice.address, alice.password).as_bytes()).await;
    pop3.expect("+OK").await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut other = Lines::imap(imap, &accounts[1]).await;
    for _ in 0..20 {
        let begun = Instant::now();
        other.send(b"d APPEND INBOX {17+}\r\nSubject: x\r\n\r\nabc\r\n").await;
        other.expect("d OK").await;
        other.send(b"e SELECT INBOX\r\nf FETCH 1:* (FLAGS BODY[])\r\ng STATUS Trash (MESSAGES)\r\n").await;
        other.expect("g OK").await;
        // Less than a wait for a pooled connection.
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
        assert_eq!(open_transactions(system).await, 0, "a transaction waits for a client");
    }
    drop((slow, pop3));
}

/// Connections to this system's database that are inside a transaction and do nothing.
async fn open_transactions(system: &System) -> i64 {
    let url = system.config.database.url.expose();
    if !url.starts_with("postgres") {
        return 0;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND state LIKE 'idle in transaction%' AND state_change < now() - interval '1 second'",
    );
    let count = count.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_no_connection_of_sqlite() {
    let system = System::sqlite_with(|config| config.database.max_connections = 2).await.unwrap();
    slow_readers(&system).await;
    system.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_holds_no_connection_of_postgresql() {
    let Some(system) = cluster(2).await else { return };
    slow_readers(&system).await;
    system.stop().await.unwrap();
}
