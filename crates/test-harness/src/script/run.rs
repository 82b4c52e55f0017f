//! Runs a script against a server.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use tokio::time::{Instant, sleep};

use super::parse::{Expectation, Protocol, Script, Step};
use super::pattern::{Variables, fill, matches};
use super::peer::{PATIENCE, Peer};

/// How long "nothing of this kind comes" is watched when nothing else is waited for.
const ABSENCE: Duration = Duration::from_millis(300);

/// How much of a line a transcript shows, in characters.
const NOTED_CHARS: usize = 1000;

/// The server under test.
#[derive(Debug, Clone)]
pub struct Subject {
    /// IMAP in clear, logins allowed; sessions take turns when there are several gateways.
    pub imap: Vec<SocketAddr>,
    /// POP3 in clear, logins allowed.
    pub pop3: SocketAddr,
    /// LMTP.
    pub lmtp: SocketAddr,
    /// SMTP, if the server under test has it.
    pub smtp: Option<SocketAddr>,
    /// IMAP inside TLS from the first octet, if the server under test has it.
    pub imaps: Option<SocketAddr>,
    /// What sets quotas, where there is a way.
    pub administration: Option<Administration>,
    /// A capability that is not advertised fails the script (our server), or skips it (another one).
    pub strict: bool,
}

/// Sets an account's quota: its address, and octets.
pub type SetQuota = dyn Fn(String, u64) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync;

/// Does `todoku acl` with these words behind it.
pub type Acl = dyn Fn(Vec<String>) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync;

/// What only whoever runs the server can do.
#[derive(Clone)]
pub struct Administration {
    /// Changes who may use whose mailboxes.
    pub acl: Arc<Acl>,
    /// Sets an account's quota.
    pub set_quota: Arc<SetQuota>,
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Administration")
    }
}

/// An account that scripts may use, without any mail.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name in the scripts: alice, bob, carol.
    pub name: String,
    /// What it logs in with, and where mail is sent.
    pub address: String,
    /// Its password.
    pub password: String,
}

/// How a script ended, if nothing was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every expectation was met.
    Passed,
    /// The server does not have this capability, or may choose otherwise.
    Skipped(String),
}

struct Run<'a> {
    subject: &'a Subject,
    accounts: &'a [Account],
    peers: HashMap<String, Peer>,
    variables: Variables,
    transcript: String,
    /// IMAP sessions so far: the next gateway's turn.
    turn: usize,
}

/// Runs a script.
///
/// # Errors
/// What was expected and what came, with the whole dialogue.
pub async fn run(script: &Script, subject: &Subject, accounts: &[Account]) -> Result<Outcome> {
    let mut variables = Variables::new();
    for account in accounts {
        let plain = format!("\0{}\0{}", account.address, account.password);
        variables.insert(account.name.clone(), account.address.clone());
        variables.insert(format!("{}.password", account.name), account.password.clone());
        variables.insert(
            format!("{}.plain", account.name),
            base64::engine::general_purpose::STANDARD.encode(plain),
        );
    }
    if let Some((_, domain)) = accounts.first().and_then(|account| account.address.rsplit_once('@')) {
        variables.insert("domain".to_owned(), domain.to_owned());
    }
    let mut run =
        Run { subject, accounts, peers: HashMap::new(), variables, transcript: String::new(), turn: 0 };
    let mut at = 0;
    while let Some((line, step)) = script.steps.get(at) {
        let block = block_length(&script.steps[at..]);
        let result = run.step(step, &script.steps[at..at + block]).await;
        match result {
            Ok(None) => {}
            Ok(Some(skipped)) => return Ok(skipped),
            Err(error) => bail!("line {line}: {error:#}\n--- the dialogue ---\n{}", run.transcript),
        }
        at += block;
    }
    Ok(Outcome::Passed)
}

/// Consecutive expectations of one session are judged together.
fn block_length(steps: &[(usize, Step)]) -> usize {
    let Some((_, Step::Expect { name, .. })) = steps.first() else { return 1 };
    steps
        .iter()
        .take_while(|(_, step)| matches!(step, Step::Expect { name: other, .. } if other == name))
        .count()
}

impl Run<'_> {
    async fn step(&mut self, step: &Step, block: &[(usize, Step)]) -> Result<Option<Outcome>> {
        match step {
            Step::Requires(capability) => return self.requires(capability).await,
            Step::Choice(reason) if !self.subject.strict => {
                return Ok(Some(Outcome::Skipped(reason.clone())));
            }
            Step::Choice(_) => {}
            Step::Session { protocol: Protocol::Smtp, .. } if self.subject.smtp.is_none() => {
                return Ok(Some(Outcome::Skipped("SMTP".to_owned())));
            }
            Step::Session { protocol: Protocol::Imaps, .. } if self.subject.imaps.is_none() => {
                return Ok(Some(Outcome::Skipped("IMAP inside TLS".to_owned())));
            }
            Step::Session { name, protocol, login } => {
                let login = login.clone();
                let peer = self.open(name, *protocol, login.as_deref()).await?;
                self.peers.insert(name.clone(), peer);
            }
            Step::Deliver { account, message } => self.deliver(account, message).await?,
            Step::StartTls(name) => self.peer(name).await?.start_tls().await?,
            Step::Deflate(name) => self.peer(name).await?.start_deflate()?,
            Step::Quota { account, bytes } => {
                let Some(administration) = &self.subject.administration else {
                    return Ok(Some(Outcome::Skipped("a way to set quotas".to_owned())));
                };
                (administration.set_quota)(self.account(account)?.address.clone(), *bytes).await?;
            }
            Step::Acl(words) => {
                let Some(administration) = &self.subject.administration else {
                    return Ok(Some(Outcome::Skipped("a way to set rights".to_owned())));
                };
                let words = String::from_utf8_lossy(&fill(words, &self.variables)).into_owned();
                (administration.acl)(words.split(' ').map(str::to_owned).collect()).await?;
            }
            Step::Send { name, octets } => {
                let octets = fill(octets, &self.variables);
                self.note(name, ':', &String::from_utf8_lossy(&octets));
                self.peer(name).await?.send(&octets).await?;
            }
            Step::Expect { name, .. } => self.expect(name, block).await?,
            Step::Closed(name) => self.peer(name).await?.closed().await?,
            Step::Sleep(milliseconds) => sleep(Duration::from_millis(*milliseconds)).await,
        }
        Ok(None)
    }

    /// For the transcript of a failure. Of long lines the beginning is enough.
    fn note(&mut self, name: &str, direction: char, text: &str) {
        let shown: String = text.trim_end().chars().take(NOTED_CHARS).collect();
        let _ = writeln!(self.transcript, "{name}{direction} {shown}");
    }

    async fn requires(&mut self, capability: &str) -> Result<Option<Outcome>> {
        let account = &self.accounts[0].name.clone();
        let mut peer = self.open("requires", Protocol::Imap, Some(account)).await?;
        peer.send(b"r1 CAPABILITY\r\n").await?;
        let until = Instant::now() + PATIENCE;
        while let Some(line) = peer.line(until).await? {
            if let Some(list) = line.strip_prefix("* CAPABILITY ") {
                let found = list.split(' ').any(|word| word.eq_ignore_ascii_case(capability));
                if found {
                    return Ok(None);
                }
                if self.subject.strict {
                    bail!("{capability} is not advertised: {list}");
                }
                return Ok(Some(Outcome::Skipped(capability.to_owned())));
            }
        }
        bail!("no answer to CAPABILITY")
    }

    /// A session that was not declared is IMAP, logged in as the account of its name without digits: alice, alice2.
    async fn peer(&mut self, name: &str) -> Result<&mut Peer> {
        if !self.peers.contains_key(name) {
            let account = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
            let peer = self.open(name, Protocol::Imap, Some(&account)).await?;
            self.peers.insert(name.to_owned(), peer);
        }
        self.peers.get_mut(name).context("a session that was just opened")
    }

    async fn open(&mut self, name: &str, protocol: Protocol, login: Option<&str>) -> Result<Peer> {
        let address = match protocol {
            Protocol::Imap => {
                self.turn += 1;
                self.subject.imap[self.turn % self.subject.imap.len()]
            }
            Protocol::Imaps => self.subject.imaps.context("the server has no IMAP inside TLS")?,
            Protocol::Pop3 => self.subject.pop3,
            Protocol::Lmtp => self.subject.lmtp,
            Protocol::Smtp => self.subject.smtp.context("the server has no SMTP")?,
        };
        let is_imap = matches!(protocol, Protocol::Imap | Protocol::Imaps);
        let mut peer = Peer::connect(address, is_imap).await?;
        if protocol == Protocol::Imaps {
            peer.start_tls().await?;
        }
        let Some(login) = login else { return Ok(peer) };
        let account = self.account(login)?.clone();
        greeting(&mut peer).await?;
        let (login, good): (Vec<String>, &str) = match protocol {
            Protocol::Imap | Protocol::Imaps => {
                (vec![format!("login LOGIN \"{}\" \"{}\"", account.address, account.password)], "login OK")
            }
            Protocol::Pop3 => {
                (vec![format!("USER {}", account.address), format!("PASS {}", account.password)], "+OK")
            }
            Protocol::Lmtp => (vec!["LHLO test.example".to_owned()], "250 "),
            Protocol::Smtp => (vec!["EHLO test.example".to_owned()], "250 "),
        };
        for line in login {
            peer.send(format!("{line}\r\n").as_bytes()).await?;
            wait_for(&mut peer, good).await.with_context(|| format!("{name} could not log in"))?;
        }
        Ok(peer)
    }

    fn account(&self, name: &str) -> Result<&Account> {
        self.accounts
            .iter()
            .find(|account| account.name == name)
            .with_context(|| format!("no account {name:?}"))
    }

    async fn deliver(&mut self, account: &str, message: &[u8]) -> Result<()> {
        let address = self.account(account)?.address.clone();
        let message = fill(message, &self.variables);
        deliver(self.subject.lmtp, &address, &message).await
    }

    async fn expect(&mut self, name: &str, block: &[(usize, Step)]) -> Result<()> {
        let mut in_order = Vec::new();
        let mut anywhere = Vec::new();
        let mut absent = Vec::new();
        for (_, step) in block {
            if let Step::Expect { how, pattern, .. } = step {
                match how {
                    Expectation::InOrder => in_order.push(pattern.clone()),
                    Expectation::Anywhere => anywhere.push(pattern.clone()),
                    Expectation::Absent => absent.push(pattern.clone()),
                }
            }
        }
        let waits = !in_order.is_empty() || !anywhere.is_empty();
        let until = Instant::now() + if waits { PATIENCE } else { ABSENCE };
        let mut next = 0;
        while !waits || next < in_order.len() || !anywhere.is_empty() {
            let Some(line) = self.peer(name).await?.line(until).await? else { break };
            self.note(name, '<', &line);
            if let Some(pattern) =
                absent.iter().find(|pattern| matches(pattern, &line, &self.variables).is_some())
            {
                bail!("{line:?} must not come ({pattern})");
            }
            if let Some(bound) =
                in_order.get(next).and_then(|pattern| matches(pattern, &line, &self.variables))
            {
                self.variables.extend(bound);
                next += 1;
            } else if let Some(index) =
                anywhere.iter().position(|pattern| matches(pattern, &line, &self.variables).is_some())
            {
                let pattern = anywhere.remove(index);
                self.variables.extend(matches(&pattern, &line, &self.variables).unwrap_or_default());
            }
        }
        match in_order.get(next).or_else(|| anywhere.first()) {
            Some(missing) => bail!("{name} waited for {missing:?}"),
            None => Ok(()),
        }
    }
}

async fn greeting(peer: &mut Peer) -> Result<()> {
    let line = peer.line(Instant::now() + PATIENCE).await?;
    line.map(|_| ()).context("no greeting")
}

async fn wait_for(peer: &mut Peer, good: &str) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut last = String::new();
    while let Some(line) = peer.line(until).await? {
        if line.starts_with(good) {
            return Ok(());
        }
        let tagged = line.starts_with("login ") || line.starts_with("-ERR") || line.starts_with('5');
        last = line;
        if tagged {
            break;
        }
    }
    bail!("expected {good:?}, got {last:?}")
}

/// Delivers one message by LMTP.
///
/// # Errors
/// When it was not taken.
pub(crate) async fn deliver(lmtp: SocketAddr, address: &str, message: &[u8]) -> Result<()> {
    let mut peer = Peer::connect(lmtp, false).await?;
    greeting(&mut peer).await?;
    for (line, good) in [
        ("LHLO test.example".to_owned(), "250 "),
        ("MAIL FROM:<sender@test.example>".to_owned(), "250"),
        (format!("RCPT TO:<{address}>"), "250"),
        ("DATA".to_owned(), "354"),
    ] {
        peer.send(format!("{line}\r\n").as_bytes()).await?;
        wait_for(&mut peer, good).await.with_context(|| line.clone())?;
    }
    let mut data = Vec::with_capacity(message.len() + 64);
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            data.push(b'.');
        }
        data.extend_from_slice(line);
    }
    if !data.ends_with(b"\r\n") {
        data.extend_from_slice(b"\r\n");
    }
    data.extend_from_slice(b".\r\n");
    peer.send(&data).await?;
    wait_for(&mut peer, "250").await.context("the message was not taken")?;
    peer.send(b"QUIT\r\n").await?;
    wait_for(&mut peer, "221").await
}
