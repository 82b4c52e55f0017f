//! POP3 sessions on INBOX (INV-45, INV-46).

use fastrand::Rng;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::fault::{Checked, broken, require};
use crate::ledger::id_of;
use crate::session::Site;

/// A maildrop as listed: number, UID, octets.
pub(crate) type Listing = Vec<(usize, u32, u64)>;

/// A session in the transaction state.
pub(crate) struct Pop3 {
    stream: BufReader<TcpStream>,
    /// UIDVALIDITY of INBOX, from the unique ids; 0 when it is empty.
    pub(crate) validity: u32,
}

impl Pop3 {
    pub(crate) async fn open(site: &Site) -> Checked<Self> {
        let stream = BufReader::new(TcpStream::connect(site.pop3).await?);
        let mut session = Self { stream, validity: 0 };
        session.one("").await?;
        session.one(&format!("USER {}", site.address)).await?;
        session.one(&format!("PASS {}", site.password)).await?;
        Ok(session)
    }

    async fn line(&mut self) -> Checked<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        match line.strip_suffix(b"\r\n") {
            Some(text) => Ok(text.to_vec()),
            None => broken("grammar", format!("POP3: {:?}", String::from_utf8_lossy(&line))),
        }
    }

    async fn ask(&mut self, command: &str) -> Checked<String> {
        if !command.is_empty() {
            self.stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        }
        Ok(String::from_utf8_lossy(&self.line().await?).into_owned())
    }

    async fn one(&mut self, command: &str) -> Checked<String> {
        let reply = self.ask(command).await?;
        require(reply.starts_with("+OK"), "INV-45", || format!("POP3 {command}: {reply}"))?;
        Ok(reply)
    }

    /// A reply of several lines, without dot-stuffing.
    async fn many(&mut self) -> Checked<Vec<Vec<u8>>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            match line.strip_prefix(b".") {
                Some(b"") => return Ok(lines),
                Some(rest) => lines.push(rest.to_vec()),
                None => lines.push(line),
            }
        }
    }

    /// STAT, LIST and UIDL, which must agree.
    pub(crate) async fn listing(&mut self) -> Checked<Listing> {
        let stat = self.one("STAT").await?;
        self.one("LIST").await?;
        let sizes = pairs(&self.many().await?)?;
        self.one("UIDL").await?;
        let ids = pairs(&self.many().await?)?;
        let mut listing = Listing::new();
        for ((number, size), (other, id)) in sizes.iter().zip(&ids) {
            let (Some((validity, uid)), Ok(size)) = (unique_id(id), size.parse()) else {
                return broken("INV-45", format!("POP3 message {number}: {size} octets, id {id}"));
            };
            require(number == other, "INV-45", || format!("LIST has {number}, UIDL {other}"))?;
            require(self.validity == 0 || self.validity == validity, "INV-45", || format!("id {id}"))?;
            self.validity = validity;
            listing.push((*number, uid, size));
        }
        let expected =
            format!("+OK {} {}", sizes.len(), listing.iter().map(|(_, _, size)| size).sum::<u64>());
        require(sizes.len() == ids.len() && stat == expected, "INV-45", || {
            format!("STAT {stat:?}, LIST {expected:?}, UIDL of {}", ids.len())
        })?;
        let ascends = listing.windows(2).all(|pair| pair[0].1 < pair[1].1 && pair[0].0 < pair[1].0);
        require(ascends, "INV-45", || format!("UIDs do not ascend: {listing:?}"))?;
        Ok(listing)
    }

    pub(crate) async fn quit(mut self) -> Checked {
        self.one("QUIT").await.map(drop)
    }

    async fn retrieve(&mut self, number: usize) -> Checked<Option<Vec<u8>>> {
        if !self.ask(&format!("RETR {number}")).await?.starts_with("+OK") {
            return Ok(None);
        }
        let mut octets = Vec::new();
        for line in self.many().await? {
            octets.extend(line);
            octets.extend(b"\r\n");
        }
        Ok(Some(octets))
    }
}

/// Looks, fetches, and sometimes deletes.
///
/// # Errors
/// A broken invariant.
pub(crate) async fn visit(site: &Site, rng: &mut Rng) -> Checked {
    let asked = site.shared.lock().tick();
    let mut session = Pop3::open(site).await?;
    let listing = session.listing().await?;
    let validity = session.validity;
    *site.shared.lock().commands.entry("POP3".into()).or_default() += 5;
    if listing.is_empty() {
        return session.quit().await;
    }
    check(site, &listing, (validity, asked))?;
    let mut deleted = Vec::new();
    for _ in 0..rng.usize(1..4) {
        let Some((number, uid, size)) = rng.choice(&listing).copied() else { break };
        if deleted.contains(&uid) {
            continue;
        }
        match session.retrieve(number).await? {
            Some(octets) => retrieved(site, (validity, uid, size), &octets)?,
            None => {
                let may_be_gone = site.shared.lock().mailbox(validity).may_be_gone(uid);
                require(may_be_gone, "INV-45", || format!("POP3 cannot retrieve UID {uid}"))?;
            }
        }
        if rng.u8(..4) == 0 {
            session.one(&format!("DELE {number}")).await?;
            deleted.push(uid);
        }
    }
    // INV-45: numbers stay, and what is marked is not listed.
    let after = session.listing().await?;
    let expected: Listing = listing.into_iter().filter(|(_, uid, _)| !deleted.contains(uid)).collect();
    require(after == expected, "INV-45", || format!("after DELE {after:?}, expected {expected:?}"))?;
    if rng.u8(..3) == 0 {
        // Dropped without QUIT: nothing goes.
        return Ok(());
    }
    for uid in &deleted {
        if let Some(message) = site.shared.lock().message(validity, *uid) {
            message.removal_tried = true;
        }
    }
    session.quit().await?;
    let mut ledger = site.shared.lock();
    deleted.into_iter().try_for_each(|uid| ledger.gone(validity, uid))
}

fn check(site: &Site, listing: &Listing, (validity, asked): (u32, u64)) -> Checked {
    let mut ledger = site.shared.lock();
    ledger.count("INV-45", listing.len());
    let mailbox = ledger.mailbox(validity);
    let missing = mailbox.surely_there(asked).find(|uid| !listing.iter().any(|(_, listed, _)| listed == uid));
    require(missing.is_none(), "INV-25", || format!("POP3 does not list UID {missing:?}"))?;
    for (_, uid, size) in listing {
        ledger.announced(validity, *uid, 0)?;
        let Some(message) = ledger.message(validity, *uid) else { continue };
        require(message.gone_at.is_none_or(|gone| gone >= asked), "INV-25", || {
            format!("POP3 lists UID {uid}, whose end was told before")
        })?;
        let known = *message.size.get_or_insert(*size);
        require(known == *size, "INV-45", || format!("POP3: UID {uid} has {size} octets, was {known}"))?;
    }
    Ok(())
}

fn retrieved(site: &Site, (validity, uid, size): (u32, u32, u64), octets: &[u8]) -> Checked {
    require(octets.len() as u64 == size, "INV-45", || {
        format!("RETR of UID {uid}: {} octets, LIST said {size}", octets.len())
    })?;
    let mut ledger = site.shared.lock();
    ledger.count("INV-46", 1);
    let told = id_of(octets);
    let Some(message) = ledger.message(validity, uid) else { return Ok(()) };
    let id = *message.id.get_or_insert_with(|| told.unwrap_or_default());
    require(told == Some(id), "INV-45", || format!("RETR of UID {uid} is message {told:?}, was {id}"))?;
    let content = ledger.content(id).unwrap_or_default();
    require(octets.ends_with(&content), "INV-46", || format!("RETR of UID {uid}: not the octets handed in"))
}

fn pairs(lines: &[Vec<u8>]) -> Checked<Vec<(usize, String)>> {
    let pair = |line: &Vec<u8>| {
        let text = String::from_utf8_lossy(line).into_owned();
        let (number, rest) = text.split_once(' ')?;
        Some((number.parse().ok()?, rest.to_owned()))
    };
    match lines.iter().map(pair).collect() {
        Some(pairs) => Ok(pairs),
        None => broken("grammar", "a POP3 listing"),
    }
}

/// This server's unique ids are UIDVALIDITY and UID.
fn unique_id(id: &str) -> Option<(u32, u32)> {
    let (validity, uid) = id.split_once('.')?;
    Some((u32::from_str_radix(validity, 16).ok()?, u32::from_str_radix(uid, 16).ok()?))
}
