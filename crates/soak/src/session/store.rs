//! STORE in all its forms (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use super::{Outcome, Phase, Session};
use crate::fault::{Checked, require};
use crate::ledger::Flags;
use crate::reply::uid_set;

/// Flags that everybody sets and removes.
const FREE_FLAGS: [&str; 6] = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Soak", "$Junk"];

struct Plan {
    add: bool,
    flags: Flags,
    silent: bool,
    uid: bool,
    unchanged_since: Option<u64>,
    uids: Vec<u32>,
}

impl Session {
    pub(crate) async fn store(&mut self) -> Checked {
        let Some(plan) = self.plan_store() else { return Ok(()) };
        let (line, phase) = self.store_line(&plan);
        self.store_begins(&plan);
        let outcome = self.command(&line, phase).await;
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(fault) => {
                self.store_unknown(&plan);
                return Err(fault);
            }
        };
        self.condstore |= plan.unchanged_since.is_some();
        self.store_ends(&plan, &outcome)
    }

    fn plan_store(&mut self) -> Option<Plan> {
        let view = self.view.as_ref().filter(|view| !view.read_only && !view.entries.is_empty())?;
        let indexes = crate::pick::some(&mut self.rng, view.entries.len());
        let entries: Vec<_> = indexes.into_iter().map(|index| &view.entries[index]).collect();
        let uids: Vec<u32> = entries.iter().filter_map(|entry| entry.uid).collect();
        let known: Vec<u64> = entries.iter().filter_map(|entry| entry.modseq).collect();
        let flags: Flags = match self.rng.u8(..8) {
            0..4 => [self.keyword.clone()].into(),
            4 => ["\\deleted".to_owned()].into(),
            5 => [self.keyword.clone(), self.rng.choice(FREE_FLAGS)?.to_ascii_lowercase()].into(),
            _ => [self.rng.choice(FREE_FLAGS)?.to_ascii_lowercase()].into(),
        };
        let unchanged_since = (self.rng.u8(..4) == 0).then(|| match self.rng.u8(..4) {
            0 => known.iter().min().copied().unwrap_or(1),
            _ => known.iter().max().copied().unwrap_or(1),
        });
        Some(Plan {
            add: self.rng.u8(..3) > 0,
            flags,
            silent: self.rng.bool(),
            uid: self.rng.bool() || self.uid_only,
            unchanged_since,
            uids,
        })
        .filter(|plan| !plan.uids.is_empty())
    }

    fn store_line(&mut self, plan: &Plan) -> (String, Phase) {
        let set = self.set_of(&plan.uids, plan.uid);
        let since =
            plan.unchanged_since.map_or(String::new(), |modseq| format!(" (UNCHANGEDSINCE {modseq})"));
        let flags = plan.flags.iter().cloned().collect::<Vec<_>>().join(" ");
        let verb = if plan.uid { "UID STORE" } else { "STORE" };
        let silent = if plan.silent { ".SILENT" } else { "" };
        let sign = if plan.add { "+" } else { "-" };
        let line = format!("{verb} {set}{since} {sign}FLAGS{silent} ({flags})");
        (line, if plan.uid { Phase::Free } else { Phase::Fixed })
    }

    fn store_begins(&mut self, plan: &Plan) {
        let Some(view) = &self.view else { return };
        let mut ledger = self.site.shared.lock();
        let now = ledger.tick();
        for uid in &plan.uids {
            let Some(message) = ledger.message(view.validity, *uid) else { continue };
            if plan.add {
                message.adding(&plan.flags, now);
            } else {
                message.removing(&plan.flags);
            }
            if let Some(owned) = message.owned.get_mut(&self.keyword)
                && plan.flags.contains(&self.keyword)
            {
                owned.pending = true;
            }
        }
    }

    /// Whether it was done is not known.
    fn store_unknown(&mut self, plan: &Plan) {
        let Some(view) = &self.view else { return };
        let mut ledger = self.site.shared.lock();
        for uid in &plan.uids {
            if let Some(message) = ledger.message(view.validity, *uid) {
                message.owned.remove(&self.keyword);
            }
        }
    }

    fn store_ends(&mut self, plan: &Plan, outcome: &Outcome) -> Checked {
        if !outcome.is_ok() {
            // RFC 5530 §3: some were gone; what happened to the others is asked for at the next occasion.
            let issued = outcome.code("EXPUNGEISSUED").is_some();
            require(issued, "INV-15", || format!("STORE failed: {:?}", outcome.done))?;
            self.store_unknown(plan);
            self.forget_flags(&plan.uids);
            return Ok(());
        }
        let modified = self.modified(plan, outcome)?;
        let stored: Vec<u32> = plan.uids.iter().copied().filter(|uid| !modified.contains(uid)).collect();
        if let Some(since) = plan.unchanged_since {
            self.conditional(plan, (&stored, &modified), (since, outcome))?;
        }
        self.acknowledge(plan, (&stored, &modified));
        self.echo(plan, &stored, outcome)
    }

    /// UIDs that `[MODIFIED ...]` names: sequence numbers for STORE, UIDs for UID STORE.
    fn modified(&self, plan: &Plan, outcome: &Outcome) -> Checked<Vec<u32>> {
        let (Some(text), Some(view)) = (outcome.done.code_named("MODIFIED"), &self.view) else {
            return Ok(Vec::new());
        };
        let numbers = match uid_set(text) {
            Ok(numbers) => numbers,
            Err(error) => return crate::fault::broken("grammar", format!("MODIFIED {text}: {error}")),
        };
        let uids: Vec<u32> = match plan.uid {
            true => numbers,
            false => numbers
                .iter()
                .filter_map(|number| view.entries.get(*number as usize - 1).and_then(|entry| entry.uid))
                .collect(),
        };
        require(uids.iter().all(|uid| plan.uids.contains(uid)), "INV-34", || {
            format!("MODIFIED {text} names messages that were not asked for")
        })?;
        require(plan.unchanged_since.is_some(), "INV-34", || "MODIFIED without UNCHANGEDSINCE".into())?;
        Ok(uids)
    }

    /// INV-34: what was newer is not stored to, and of two who find the same mod-sequence one wins.
    fn conditional(
        &self,
        plan: &Plan,
        (stored, modified): (&[u32], &[u32]),
        (since, outcome): (u64, &Outcome),
    ) -> Checked {
        let Some(view) = &self.view else { return Ok(()) };
        let mut ledger = self.site.shared.lock();
        ledger.count("INV-34", stored.len() + modified.len());
        for uid in stored {
            // What is gone is neither stored to nor MODIFIED, and this session may not have been told.
            let number = view.find(*uid).map(|index| index as u32 + 1);
            let is_told = outcome
                .fetches()
                .any(|fetch| fetch.uid == Some(*uid) || fetch.uid.is_none() && Some(fetch.number) == number);
            if ledger.mailbox(view.validity).may_be_gone(*uid) && !is_told {
                continue;
            }
            let Some(message) = ledger.message(view.validity, *uid) else { continue };
            // The newest that anybody had been told when this was sent.
            let known = message.modseq_at(outcome.asked);
            require(known <= since, "INV-34", || {
                format!("UID {uid} was stored to since {since}, it was at {known} before")
            })?;
            let toggles = message.owned.get(&self.keyword).map(|owned| owned.set) == Some(!plan.add);
            let is_own = plan.flags.len() == 1 && plan.flags.contains(&self.keyword);
            if toggles && is_own && known == since {
                require(!message.won.contains(&since), "INV-34", || {
                    format!("two conditional stores to UID {uid} at {since} won")
                })?;
                message.won.push(since);
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, plan: &Plan, (stored, modified): (&[u32], &[u32])) {
        let Some(view) = &self.view else { return };
        let mut ledger = self.site.shared.lock();
        let now = ledger.tick();
        for uid in stored {
            let Some(message) = ledger.message(view.validity, *uid) else { continue };
            if plan.flags.contains(&self.keyword) {
                let owned = crate::ledger::Owned { set: plan.add, since: now, pending: false };
                message.owned.insert(self.keyword.clone(), owned);
            }
            if plan.add {
                let others: Flags =
                    plan.flags.iter().filter(|flag| **flag != self.keyword).cloned().collect();
                message.holds(&others, now);
            }
        }
        for uid in modified {
            let owned =
                ledger.message(view.validity, *uid).and_then(|message| message.owned.get_mut(&self.keyword));
            if let Some(owned) = owned {
                owned.pending = false;
            }
        }
    }

    /// INV-22: without .SILENT each message's flags are told; with it the client knows them.
    fn echo(&mut self, plan: &Plan, stored: &[u32], outcome: &Outcome) -> Checked {
        let Some(view) = &mut self.view else { return Ok(()) };
        let told = |uid: u32, index: usize| {
            outcome.fetches().any(|fetch| {
                fetch.flags.is_some() && (fetch.uid == Some(uid) || fetch.number as usize == index + 1)
            })
        };
        self.site.shared.lock().count("INV-22", stored.len());
        for uid in stored {
            let Some(index) = view.find(*uid) else { continue };
            let is_told = told(*uid, index);
            let entry = &mut view.entries[index];
            if !plan.silent {
                let may_be_gone = self.site.shared.lock().mailbox(view.validity).may_be_gone(*uid);
                require(is_told || may_be_gone, "INV-22", || {
                    format!("STORE did not tell the flags of UID {uid}")
                })?;
            }
            if is_told {
                continue;
            }
            if let Some(flags) = &mut entry.flags {
                for flag in &plan.flags {
                    if plan.add {
                        flags.insert(flag.clone())
                    } else {
                        flags.remove(flag)
                    };
                }
            }
            if !self.condstore {
                entry.modseq = None;
            }
        }
        Ok(())
    }

    fn forget_flags(&mut self, uids: &[u32]) {
        let Some(view) = &mut self.view else { return };
        for uid in uids {
            if let Some(index) = view.find(*uid) {
                view.entries[index].flags = None;
                view.entries[index].modseq = None;
            }
        }
    }
}
