//! APPEND, COPY, MOVE, EXPUNGE, CLOSE, and the life of mailboxes.

use super::{Outcome, Phase, Session};
use crate::fault::{Checked, broken, require};
use crate::ledger::Flags;
use crate::pick;
use crate::reply::{Reply, uid_set};

impl Session {
    /// APPEND, of one message or of several (RFC 3502).
    pub(crate) async fn append(&mut self) -> Checked {
        let (name, volatile) = self.any_mailbox();
        let count = if self.rng.u8(..4) == 0 { self.rng.usize(2..4) } else { 1 };
        let mut rest = Vec::new();
        let mut messages = Vec::new();
        for _ in 0..count {
            let mut flags = Flags::new();
            if self.rng.u8(..3) == 0 {
                flags.insert(
                    self.rng
                        .choice(["\\seen", "\\flagged", "\\deleted", "$soak"])
                        .unwrap_or("\\seen")
                        .to_owned(),
                );
            }
            let id = self.site.shared.lock().next_id();
            let content = pick::message(&mut self.rng, id);
            self.site.shared.lock().set_content(id, content.clone());
            let list = flags.iter().cloned().collect::<Vec<_>>().join(" ");
            let date = if self.rng.bool() { " \"01-Feb-2020 03:04:05 +0000\"" } else { "" };
            rest.extend(format!(" ({list}){date} {{{}+}}\r\n", content.len()).bytes());
            rest.extend(content);
            messages.push((id, flags));
        }
        let outcome = self.command_octets(&format!("APPEND {name}"), &rest, Phase::Free).await?;
        if !outcome.is_ok() {
            // INV-27
            return require(volatile && outcome.code("TRYCREATE").is_some(), "INV-27", || {
                format!("APPEND {name}: {:?}", outcome.done)
            });
        }
        let Some((validity, uids)) = outcome.done.code_named("APPENDUID").and_then(two_words) else {
            return broken("INV-37", format!("APPEND without APPENDUID: {:?}", outcome.done));
        };
        let uids = numbers(uids)?;
        require(uids.len() == count, "INV-37", || format!("{count} appended, APPENDUID {uids:?}"))?;
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-37", uids.len());
        let now = ledger.tick();
        for ((id, flags), uid) in messages.iter().zip(&uids) {
            let message = ledger.born(validity, *uid, Some(*id))?;
            // Others may have expunged it before its reply was here.
            message.adding(flags, outcome.asked);
            message.holds(flags, now);
        }
        Ok(())
    }

    /// COPY and MOVE, by number or UID.
    pub(crate) async fn transfer(&mut self, moves: bool) -> Checked {
        let (name, volatile) = self.any_mailbox();
        let Some(view) = self.view.as_ref().filter(|view| !view.entries.is_empty()) else { return Ok(()) };
        if moves && (view.read_only || view.name == name) {
            return Ok(());
        }
        let source = view.validity;
        let indexes = pick::some(&mut self.rng, view.entries.len());
        let uids: Vec<u32> = indexes.into_iter().filter_map(|index| view.entries[index].uid).collect();
        if uids.is_empty() {
            return Ok(());
        }
        let uid = self.rng.bool() || self.uid_only;
        let set = self.set_of(&uids, uid);
        if moves {
            self.will_remove(&uids);
        }
        let verb = format!("{}{}", if uid { "UID " } else { "" }, if moves { "MOVE" } else { "COPY" });
        let outcome = self.command(&format!("{verb} {set} {name}"), Phase::Free).await?;
        if !outcome.is_ok() {
            let known =
                outcome.code("EXPUNGEISSUED").is_some() || volatile && outcome.code("TRYCREATE").is_some();
            return require(known, "INV-37", || format!("{verb} to {name}: {:?}", outcome.done));
        }
        self.check_copied(&outcome, source, &uids)?;
        if moves { self.check_moved(&outcome) } else { Ok(()) }
    }

    /// INV-37: one to one, both ascending, and each copy is its original.
    fn check_copied(&mut self, outcome: &Outcome, source: u32, asked: &[u32]) -> Checked {
        let Some(code) = outcome.code("COPYUID") else {
            let mut ledger = self.site.shared.lock();
            let there = asked.iter().find(|uid| !ledger.mailbox(source).may_be_gone(**uid));
            return require(there.is_none(), "INV-37", || {
                format!("no COPYUID, though UID {there:?} is there")
            });
        };
        let words: Vec<&str> = code.split(' ').collect();
        let [validity, from, to] = words[..] else { return broken("grammar", format!("COPYUID {code}")) };
        let validity: u32 = validity.parse().unwrap_or(0);
        let (from, to) = (numbers(from)?, numbers(to)?);
        require(from.len() == to.len(), "INV-37", || format!("COPYUID {code}: sets of different sizes"))?;
        let strange = from.iter().find(|uid| !asked.contains(uid));
        require(strange.is_none(), "INV-37", || {
            format!("COPYUID {code}: UID {strange:?} was not asked for")
        })?;
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-37", from.len());
        let left = asked.iter().find(|uid| !from.contains(uid) && !ledger.mailbox(source).may_be_gone(**uid));
        require(left.is_none(), "INV-37", || format!("COPYUID {code}: UID {left:?} was left behind"))?;
        for (from, to) in from.iter().zip(&to) {
            let (id, added) = match ledger.message(source, *from) {
                Some(message) => (message.id, message.added.clone()),
                None => (None, Flags::new()),
            };
            let foreign =
                ledger.message(source, *from).is_none_or(|message| !message.origin || message.foreign);
            let message = ledger.born(validity, *to, id)?;
            message.adding(&added, outcome.asked);
            message.origin = true;
            message.foreign = foreign;
            if foreign {
                message.deleted_at.get_or_insert(outcome.asked);
            }
        }
        Ok(())
    }

    /// RFC 6851 §4.3: COPYUID comes before the expunges.
    fn check_moved(&mut self, outcome: &Outcome) -> Checked {
        let is_code =
            |reply: &Reply| matches!(reply, Reply::Condition(told) if told.code_named("COPYUID").is_some());
        let is_end = |reply: &Reply| matches!(reply, Reply::Expunge(_) | Reply::Vanished { .. });
        let code = outcome.untagged.iter().position(is_code);
        let end = outcome.untagged.iter().position(is_end);
        require(end.is_none() || code < end || code.is_none(), "INV-37", || {
            "MOVE told of expunges before COPYUID".into()
        })?;
        self.take_sync_point(outcome)?;
        let Some(code) = outcome.code("COPYUID").map(str::to_owned) else { return Ok(()) };
        let Some(view) = &self.view else { return Ok(()) };
        let moved = numbers(code.split(' ').nth(1).unwrap_or_default())?;
        let mut ledger = self.site.shared.lock();
        for uid in moved {
            require(view.find(uid).is_none(), "INV-37", || {
                format!("UID {uid} was moved and is still shown")
            })?;
            ledger.gone(view.validity, uid)?;
        }
        Ok(())
    }

    /// INV-35: the HIGHESTMODSEQ of EXPUNGE and MOVE is a point to come back to.
    fn take_sync_point(&mut self, outcome: &Outcome) -> Checked {
        let Some(view) = &mut self.view else { return Ok(()) };
        let Some(highest) = outcome.done.number("HIGHESTMODSEQ") else { return Ok(()) };
        require(highest >= view.highest, "INV-30", || {
            format!("HIGHESTMODSEQ {highest}, {} was told before", view.highest)
        })?;
        view.highest = highest;
        let mut ledger = self.site.shared.lock();
        let mailbox = ledger.mailbox(view.validity);
        mailbox.highest = mailbox.highest.max(highest);
        Ok(())
    }

    fn will_remove(&mut self, uids: &[u32]) {
        let Some(view) = &self.view else { return };
        let mut ledger = self.site.shared.lock();
        for uid in uids {
            if let Some(message) = ledger.message(view.validity, *uid) {
                message.removal_tried = true;
            }
        }
    }

    /// EXPUNGE and UID EXPUNGE.
    pub(crate) async fn expunge(&mut self) -> Checked {
        let Some(view) = self.view.as_ref().filter(|view| !view.read_only) else { return Ok(()) };
        let indexes = pick::some(&mut self.rng, view.entries.len());
        let uids: Vec<u32> = indexes.into_iter().filter_map(|index| view.entries[index].uid).collect();
        let by_uid = self.rng.bool() && !uids.is_empty();
        let validity = view.validity;
        // Which of them can go: those that may be \Deleted.
        let marked: Vec<u32> = {
            let mut ledger = self.site.shared.lock();
            let is_marked = |uid: &u32| ledger.message(validity, *uid).is_none_or(|m| m.deleted_at.is_some());
            uids.iter().copied().filter(is_marked).collect()
        };
        let line =
            if by_uid { format!("UID EXPUNGE {}", self.set_of(&uids, true)) } else { "EXPUNGE".into() };
        if by_uid {
            self.will_remove(&marked);
        } else {
            self.site.shared.lock().mailbox(validity).expunge_begins();
        }
        let outcome = self.command(&line, Phase::Free).await;
        if !by_uid {
            let mut ledger = self.site.shared.lock();
            let now = ledger.tick();
            ledger.mailbox(validity).expunge_ends(now);
        }
        let outcome = outcome?.expect_ok("EXPUNGE")?;
        self.take_sync_point(&outcome)?;
        self.settle(outcome.asked, outcome.uidnext).await
    }

    /// CLOSE expunges, UNSELECT does not.
    pub(crate) async fn leave(&mut self) -> Checked {
        let Some(view) = &self.view else { return Ok(()) };
        let (validity, closes) = (view.validity, self.rng.bool());
        self.remember();
        if closes {
            self.site.shared.lock().mailbox(validity).expunge_begins();
        }
        let outcome = self.command(if closes { "CLOSE" } else { "UNSELECT" }, Phase::Free).await;
        if closes {
            let mut ledger = self.site.shared.lock();
            let now = ledger.tick();
            ledger.mailbox(validity).expunge_ends(now);
        }
        outcome?.expect_ok("CLOSE")?;
        self.view = None;
        Ok(())
    }

    /// CREATE, DELETE, RENAME, SUBSCRIBE of the mailboxes that may go.
    pub(crate) async fn mailboxes(&mut self) -> Checked {
        let mut name = || self.rng.choice(crate::run::VOLATILE).unwrap_or("v0").to_owned();
        let (one, other) = (name(), name());
        let line = match self.rng.u8(..8) {
            0..4 => format!("CREATE {one}"),
            4 => format!("DELETE {one}"),
            5 => format!("RENAME {one} {other}"),
            6 => format!("SUBSCRIBE {one}"),
            _ => format!("UNSUBSCRIBE {one}"),
        };
        self.command(&line, Phase::Free).await.map(drop)
    }

    /// A mailbox of the account, and whether it may be deleted meanwhile.
    pub(crate) fn any_mailbox(&mut self) -> (String, bool) {
        if self.rng.u8(..6) == 0 {
            return (self.rng.choice(crate::run::VOLATILE).unwrap_or("v0").to_owned(), true);
        }
        (self.rng.choice(crate::run::STABLE).unwrap_or("INBOX").to_owned(), false)
    }
}

fn two_words(text: &str) -> Option<(u32, &str)> {
    let (validity, uids) = text.split_once(' ')?;
    Some((validity.parse().ok()?, uids))
}

fn numbers(text: &str) -> Checked<Vec<u32>> {
    match uid_set(text) {
        Ok(numbers) => Ok(numbers),
        Err(error) => broken("grammar", format!("{text}: {error}")),
    }
}
