//! Deliveries.

use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::fault::{Checked, require};
use crate::pick;
use crate::session::Site;

/// Delivers one message, or two over one connection.
///
/// # Errors
/// When one is refused.
pub(crate) async fn deliver(site: &Site, rng: &mut Rng) -> Checked {
    let mut stream = BufReader::new(TcpStream::connect(site.lmtp).await?);
    expect(&mut stream, "", "220").await?;
    expect(&mut stream, "LHLO soak.test.example\r\n", "250").await?;
    for _ in 0..rng.usize(1..3) {
        let id = site.shared.lock().next_id();
        let content = pick::message(rng, id);
        site.shared.lock().set_content(id, content.clone());
        expect(&mut stream, "MAIL FROM:<sender@test.example>\r\n", "250").await?;
        expect(&mut stream, &format!("RCPT TO:<{}>\r\n", site.address), "250").await?;
        expect(&mut stream, "DATA\r\n", "354").await?;
        let text = String::from_utf8_lossy(&content).replace("\r\n.", "\r\n..");
        let lost = site.faults.as_ref().filter(|faults| faults.loses_mail() && rng.u8(..4) == 0);
        match lost {
            None => expect(&mut stream, &format!("{text}.\r\n"), "250").await?,
            Some(faults) => faults.count(),
        }
        let is_lost = lost.is_some();
        let mut ledger = site.shared.lock();
        ledger.count("INV-39", 1);
        *ledger.commands.entry("LMTP".into()).or_default() += 1;
        ledger.delivered.insert(id);
        if is_lost {
            return Ok(());
        }
    }
    expect(&mut stream, "QUIT\r\n", "221").await
}

async fn expect(stream: &mut BufReader<TcpStream>, line: &str, code: &str) -> Checked {
    stream.write_all(line.as_bytes()).await?;
    loop {
        let mut reply = String::new();
        stream.read_line(&mut reply).await?;
        require(reply.starts_with(code), "reply", || format!("LMTP: {reply:?} to {line:.60?}"))?;
        if !reply[code.len()..].starts_with('-') {
            return Ok(());
        }
    }
}
