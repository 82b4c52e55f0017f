//! The POP3 client: downloads a maildrop and leaves it as it is. RFC 1939

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Result, bail};

use super::wire::{Wire, shown};

/// Downloads a maildrop that must hold `messages` with `octets` in all: STAT, UIDL, then every message.
pub(super) async fn download(
    address: SocketAddr,
    login: (&str, &str),
    messages: usize,
    octets: usize,
) -> Result<()> {
    let mut pop3 = Pop3 { wire: Wire::connect(address).await? };
    pop3.ok("greeting").await?;
    pop3.command(&format!("USER {}", login.0)).await?;
    pop3.command(&format!("PASS {}", login.1)).await?;
    let stat = pop3.command("STAT").await?;
    // A server may add words. RFC 1939 §5
    let wanted = format!("+OK {messages} {octets}");
    if stat != wanted && !stat.starts_with(&format!("{wanted} ")) {
        bail!("STAT: {stat} instead of {messages} {octets}");
    }
    pop3.command("UIDL").await?;
    pop3.lines().await?;
    // What a client may send ahead: RFC 2449 §6.6.
    let mut commands = String::new();
    for number in 1..=messages {
        let _ = write!(commands, "RETR {number}\r\n");
    }
    pop3.wire.send(commands.as_bytes()).await?;
    let mut received = 0;
    for _ in 0..messages {
        pop3.ok("RETR").await?;
        received += pop3.lines().await?;
    }
    if received != octets {
        bail!("RETR: {received} octets instead of {octets}");
    }
    pop3.command("QUIT").await.map(drop)
}

struct Pop3 {
    wire: Wire,
}

impl Pop3 {
    async fn command(&mut self, text: &str) -> Result<String> {
        self.wire.send(format!("{text}\r\n").as_bytes()).await?;
        self.ok(text.split(' ').next().unwrap_or_default()).await
    }

    async fn ok(&mut self, what: &str) -> Result<String> {
        let line = self.wire.line().await?;
        if !line.starts_with(b"+OK") {
            bail!("{what}: {}", shown(line));
        }
        Ok(shown(line))
    }

    /// Reads up to the final dot; returns the octets before it.
    async fn lines(&mut self) -> Result<usize> {
        let mut octets = 0;
        loop {
            let line = self.wire.line().await?;
            if line == b"." {
                return Ok(octets);
            }
            octets += line.len() + 2;
        }
    }
}
