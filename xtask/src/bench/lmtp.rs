//! The LMTP client, for one recipient a transaction. RFC 2033

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, bail};

use super::wire::{Wire, shown};

pub(super) struct Lmtp {
    wire: Wire,
}

impl Lmtp {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let mut lmtp = Self { wire: Wire::connect(address).await? };
        lmtp.reply("greeting", "220").await?;
        lmtp.wire.send(b"LHLO bench.example.net\r\n").await?;
        lmtp.reply("LHLO", "250").await?;
        Ok(lmtp)
    }

    /// Delivers `message`, in which no line begins with a dot, and waits for the recipient's reply.
    pub(super) async fn deliver(&mut self, recipient: &str, message: &[u8]) -> Result<()> {
        self.begin(recipient).await?;
        let mut content = Vec::with_capacity(message.len() + 3);
        content.extend_from_slice(message);
        content.extend_from_slice(b".\r\n");
        self.wire.send(&content).await?;
        self.reply("content", "250").await
    }

    /// Sends everything but the final dot; then the dot, at the time that is returned.
    pub(super) async fn deliver_up_to_reply(&mut self, recipient: &str, message: &[u8]) -> Result<Instant> {
        self.begin(recipient).await?;
        self.wire.send(message).await?;
        let begun = Instant::now();
        self.wire.send(b".\r\n").await?;
        Ok(begun)
    }

    /// The reply after [`Lmtp::deliver_up_to_reply`].
    pub(super) async fn delivered(&mut self) -> Result<()> {
        self.reply("content", "250").await
    }

    pub(super) async fn quit(mut self) -> Result<()> {
        self.wire.send(b"QUIT\r\n").await?;
        self.reply("QUIT", "221").await
    }

    /// MAIL, RCPT and DATA at once, as MTAs do. RFC 2920 §3.1
    async fn begin(&mut self, recipient: &str) -> Result<()> {
        let envelope = format!("MAIL FROM:<sender@example.net>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.wire.send(envelope.as_bytes()).await?;
        self.reply("MAIL", "250").await?;
        self.reply("RCPT", "250").await?;
        self.reply("DATA", "354").await
    }

    async fn reply(&mut self, what: &str, code: &str) -> Result<()> {
        loop {
            let line = self.wire.line().await?;
            if !line.starts_with(code.as_bytes()) {
                bail!("{what}: {}", shown(line));
            }
            if line.get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
