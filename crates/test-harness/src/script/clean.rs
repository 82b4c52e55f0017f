//! Makes an account of a foreign server as new: the usual mailboxes, no mail.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::peer::{PATIENCE, Peer};
use super::run::Account;

/// Deletes all mail and every mailbox that has no special use.
///
/// # Errors
/// When the server does not let us.
pub async fn clean(imap: SocketAddr, account: &Account) -> Result<()> {
    let mut peer = Peer::connect(imap, true).await?;
    let _ = peer.line(Instant::now() + PATIENCE).await?;
    command(&mut peer, &format!("LOGIN \"{}\" \"{}\"", account.address, account.password)).await?;
    let mut mailboxes = Vec::new();
    for line in command(&mut peer, "LIST \"\" \"*\"").await? {
        if let Some((attributes, name)) = listed(&line) {
            let is_usual = ["\\Drafts", "\\Sent", "\\Junk", "\\Trash", "\\Archive"]
                .iter()
                .any(|attribute| attributes.contains(attribute));
            mailboxes.push((name.to_owned(), is_usual || name.eq_ignore_ascii_case("INBOX")));
        }
    }
    // The deepest first: a mailbox with inferiors may not be deletable.
    mailboxes.sort_by(|a, b| b.0.cmp(&a.0));
    for (name, keep) in mailboxes {
        if keep {
            if command(&mut peer, &format!("SELECT {name}")).await.is_ok() {
                let _ = command(&mut peer, "STORE 1:* +FLAGS.SILENT (\\Deleted)").await;
                let _ = command(&mut peer, "CLOSE").await;
            }
        } else {
            let _ = command(&mut peer, &format!("UNSUBSCRIBE {name}")).await;
            let _ = command(&mut peer, &format!("DELETE {name}")).await;
        }
    }
    Ok(())
}

/// The attributes and the name, as it came, of a LIST line.
fn listed(line: &str) -> Option<(&str, &str)> {
    let (attributes, rest) = line.strip_prefix("* LIST (")?.split_once(") ")?;
    Some((attributes, rest.split_once(' ')?.1))
}

async fn command(peer: &mut Peer, text: &str) -> Result<Vec<String>> {
    peer.send(format!("c {text}\r\n").as_bytes()).await?;
    let until = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    while let Some(line) = peer.line(until).await? {
        match line.strip_prefix("c ") {
            Some(end) if end.starts_with("OK") => return Ok(lines),
            Some(end) => bail!("{text}: {end}"),
            None => lines.push(line),
        }
    }
    bail!("{text}: no answer")
}
