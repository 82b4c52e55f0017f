//! When nobody writes any more, everybody must see the same: views, STATUS, a new SELECT, POP3, and the tables.

use std::collections::BTreeSet;

use test_harness::truth::{MailboxTruth, RowTruth};

use crate::fault::{Checked, broken, require};
use crate::ledger::{Flags, id_of};
use crate::pop3::Pop3;
use crate::reply::{Reply, Value};
use crate::run::STABLE;
use crate::session::{Phase, Session, Site};
use crate::view::View;

/// The ledger against the tables: nothing lost, nothing twice, nothing back (INV-4, INV-9, INV-25, INV-37).
pub(crate) fn tables(site: &Site, truth: &[MailboxTruth]) -> Checked {
    let mut ledger = site.shared.lock();
    for mailbox in truth {
        let uids: BTreeSet<u32> = mailbox.rows.iter().map(|row| row.uid).collect();
        ledger.count("INV-44", uids.len());
        let validity = mailbox.uidvalidity;
        let known: Vec<(u32, bool)> = ledger
            .mailbox(validity)
            .messages
            .iter()
            .map(|(uid, message)| (*uid, message.gone_at.is_some()))
            .collect();
        for (uid, is_gone) in known {
            match (uids.contains(&uid), is_gone) {
                (true, true) => {
                    return broken(
                        "INV-25",
                        format!("{}: UID {uid} was told to be gone and is there", mailbox.name),
                    );
                }
                (false, false) => ledger.gone(validity, uid)?,
                _ => {}
            }
        }
        for uid in &uids {
            if ledger.message(validity, *uid).is_none() {
                ledger.announced(validity, *uid, 0)?;
            }
        }
        let facts = ledger.mailbox(validity);
        let (uidnext, highest) = (facts.uidnext, facts.highest);
        require(mailbox.uidnext >= uidnext, "INV-3", || {
            format!("{}: UIDNEXT {} in the table, {uidnext} was told", mailbox.name, mailbox.uidnext)
        })?;
        require(mailbox.highest >= highest, "INV-30", || {
            format!("{}: HIGHESTMODSEQ {} in the table, {highest} was told", mailbox.name, mailbox.highest)
        })?;
        for row in &mailbox.rows {
            let Some(message) = ledger.message(validity, row.uid) else { continue };
            let newest = message.states.keys().last().copied().unwrap_or(0);
            require(row.modseq >= newest, "INV-29", || {
                format!(
                    "{}: UID {} is at {} in the table, {newest} was told",
                    mailbox.name, row.uid, row.modseq
                )
            })?;
        }
    }
    Ok(())
}

impl Session {
    /// NOOP, then the view against the table.
    ///
    /// # Errors
    /// A difference.
    pub(crate) async fn settle_down(&mut self, truth: &[MailboxTruth]) -> Checked {
        self.noop().await?;
        let Some(view) = &self.view else { return Ok(()) };
        let Some(mailbox) = truth.iter().find(|mailbox| mailbox.uidvalidity == view.validity) else {
            return require(view.volatile, "INV-26", || format!("{} is selected and not there", view.name));
        };
        self.site.shared.lock().count("INV-18", view.entries.len());
        same(view, mailbox)
    }

    /// Everything about one mailbox, asked anew.
    ///
    /// # Errors
    /// A difference.
    pub(crate) async fn inspect(&mut self, truth: &MailboxTruth) -> Checked {
        let name = &truth.name;
        let count = |flag: &str| truth.rows.iter().filter(|row| row.flags.contains(flag)).count() as u64;
        let line = format!("STATUS {name} (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ)");
        let outcome = self.command(&line, Phase::Free).await?.expect_ok("STATUS")?;
        let total = truth.rows.len() as u64;
        let expected = [
            ("MESSAGES", total),
            ("UIDNEXT", truth.uidnext.into()),
            ("UIDVALIDITY", truth.uidvalidity.into()),
            ("UNSEEN", total - count("\\seen")),
            ("DELETED", count("\\deleted")),
            ("SIZE", truth.rows.iter().map(|row| row.size).sum()),
            ("HIGHESTMODSEQ", truth.highest),
        ];
        let Some(Reply::Status { items, .. }) =
            outcome.untagged.iter().find(|reply| matches!(reply, Reply::Status { .. }))
        else {
            return broken("INV-24", format!("no STATUS reply for {name}"));
        };
        self.site.shared.lock().count("INV-24", expected.len());
        for (item, value) in expected {
            let told = items.iter().find(|(name, _)| name == item).map(|(_, value)| *value);
            require(told == Some(value), "INV-24", || {
                format!("STATUS {name}: {item} {told:?}, the table says {value}")
            })?;
        }
        self.select_anew(name).await?;
        let Some(view) = &self.view else { return broken("INV-24", format!("{name} cannot be selected")) };
        require(view.highest == truth.highest, "INV-24", || {
            format!("SELECT {name}: HIGHESTMODSEQ {}, the table says {}", view.highest, truth.highest)
        })?;
        same(view, truth)?;
        self.compare_searches(truth).await?;
        self.identify(truth).await
    }

    async fn select_anew(&mut self, name: &str) -> Checked {
        self.caches.clear();
        self.select(name, false).await
    }

    /// INV-24: SEARCH by each flag against the table.
    async fn compare_searches(&mut self, truth: &MailboxTruth) -> Checked {
        if truth.rows.is_empty() {
            return Ok(());
        }
        for (key, flag) in [("SEEN", "\\seen"), ("FLAGGED", "\\flagged"), ("DELETED", "\\deleted")] {
            let outcome =
                self.command(&format!("UID SEARCH {key}"), Phase::Free).await?.expect_ok("SEARCH")?;
            let expected: Vec<u32> =
                truth.rows.iter().filter(|row| row.flags.contains(flag)).map(|row| row.uid).collect();
            let found = outcome.untagged.iter().find_map(|reply| match reply {
                Reply::Search { numbers, .. } => Some(numbers),
                _ => None,
            });
            require(found == Some(&expected), "INV-24", || {
                format!("SEARCH {key} in {}: {found:?}, the table says {expected:?}", truth.name)
            })?;
        }
        Ok(())
    }

    /// INV-37, INV-39: every message is one that was handed in, and came here by APPEND, COPY or delivery; each delivery once.
    async fn identify(&mut self, truth: &MailboxTruth) -> Checked {
        if truth.rows.is_empty() {
            return Ok(());
        }
        let validity = truth.uidvalidity;
        let line = "UID FETCH 1:* (RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (X-Soak-Id)])";
        let outcome = self.command(line, Phase::FreeData).await?.expect_ok("FETCH")?;
        let mut ledger = self.site.shared.lock();
        let now = ledger.tick();
        for fetch in outcome.fetches() {
            let id = fetch.others.iter().find_map(|(_, value)| match value {
                Value::String(octets) => id_of(octets),
                _ => None,
            });
            let (Some(uid), Some(id)) = (fetch.uid, id) else {
                return broken("INV-4", format!("{}: {fetch:?} is no message of ours", truth.name));
            };
            let delivered = truth.name == "INBOX" && ledger.delivered.contains(&id);
            let volatile = ledger.mailbox(validity).volatile;
            let Some(message) = ledger.message(validity, uid) else { continue };
            let known = *message.id.get_or_insert(id);
            require(known == id, "INV-15", || {
                format!("{}: UID {uid} is message {id}, was {known}", truth.name)
            })?;
            if !message.origin && delivered {
                message.origin = true;
                message.adding(&Flags::new(), now);
                let twice = !ledger.placed.insert(id);
                require(!twice, "INV-39", || format!("message {id} was delivered once and is there twice"))?;
                continue;
            }
            require(message.origin || volatile, "INV-37", || {
                format!("{}: UID {uid}, message {id}, came from nowhere", truth.name)
            })?;
        }
        Ok(())
    }
}

/// INV-39: what LMTP acknowledged was there at least once.
pub(crate) fn deliveries(site: &Site, truth: &[MailboxTruth]) -> Checked {
    let ledger = site.shared.lock();
    let Some(inbox) = truth.iter().find(|mailbox| mailbox.name == "INBOX") else {
        return broken("INV-39", "there is no INBOX");
    };
    let Some(facts) = ledger.mailboxes.get(&inbox.uidvalidity) else { return Ok(()) };
    let lost = ledger.delivered.difference(&ledger.placed).count();
    // A message may be expunged before anybody has looked which one it was.
    let unnamed =
        facts.messages.values().filter(|message| message.gone_at.is_some() && !message.origin).count();
    let unheard = inbox.uidnext as usize - 1 - facts.messages.len();
    require(lost <= unnamed + unheard, "INV-39", || {
        format!(
            "{lost} deliveries are nowhere, {unnamed} + {unheard} messages are gone that may have been them"
        )
    })
}

/// INV-45: the maildrop is INBOX.
///
/// # Errors
/// A difference.
pub(crate) async fn maildrop(site: &Site, truth: &[MailboxTruth]) -> Checked {
    let mut session = Pop3::open(site).await?;
    let listing = session.listing().await?;
    session.quit().await?;
    let rows = truth.iter().find(|mailbox| mailbox.name == "INBOX").map_or(&[][..], |inbox| &inbox.rows);
    let listed: Vec<(u32, u64)> = listing.iter().map(|(_, uid, size)| (*uid, *size)).collect();
    let expected: Vec<(u32, u64)> = rows.iter().map(|row| (row.uid, row.size)).collect();
    require(listed == expected, "INV-45", || format!("POP3 lists {listed:?}, the table says {expected:?}"))
}

fn same(view: &View, truth: &MailboxTruth) -> Checked {
    let uids: Vec<u32> = truth.rows.iter().map(|row| row.uid).collect();
    require(view.uids() == uids, "INV-18", || {
        format!("the view of {} is {:?}, the table says {uids:?}", view.name, view.uids())
    })?;
    for (entry, row) in view.entries.iter().zip(&truth.rows) {
        let RowTruth { uid, modseq, flags, .. } = row;
        if let Some(seen) = &entry.flags {
            require(seen == flags, "INV-19", || {
                format!("{}: UID {uid} has {seen:?} in the view, {flags:?} in the table", view.name)
            })?;
        }
        if let Some(seen) = entry.modseq {
            require(seen == *modseq, "INV-28", || {
                format!("{}: UID {uid} is at {seen} in the view, at {modseq} in the table", view.name)
            })?;
        }
    }
    Ok(())
}

/// The mailboxes that are inspected.
pub(crate) fn inspected(truth: &[MailboxTruth]) -> impl Iterator<Item = &MailboxTruth> {
    truth.iter().filter(|mailbox| STABLE.contains(&mailbox.name.as_str()))
}
