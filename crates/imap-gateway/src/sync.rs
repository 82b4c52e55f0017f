//! The only thing that changes a [`View`](crate::view::View): takes a newer snapshot and tells the client what is different, in an
//! order in which every line is true when it is read.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::FutureExt;
use imap_wire::{Code, FetchWriter, Numbering, PermanentFlags, Status, StoreAction};
use mail_rpc::{Entry, Refusal, pb};
use mail_types::{FlagBits, Rights, UidSet};
use tokio::time::Instant;

use crate::error::CmdError;
use crate::limits::STALE_AFTER;
use crate::session::Session;
use crate::snapshot::Snapshot;
use crate::state::{Access, Enabled, Selected, State};
use crate::view::{Advance, View};

/// May the client be told of expunged messages now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expunges {
    /// Yes.
    Announce,
    /// RFC 9051 §7.5.1: not while FETCH, STORE or SEARCH run, whose numbers would then mean something else.
    Keep,
}

/// How the client hears of what its own command did to flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    /// A FETCH line for each message.
    Line,
    /// `.SILENT`: it knows. The mod-sequence is told all the same (RFC 7162 §3.1.3).
    Silent,
    /// The line with the message's data says it: clients such as curl take the first FETCH line for the data.
    WithData,
}

/// The client's own STORE, whose effect it may know already.
#[derive(Debug)]
pub(crate) struct OwnStore<'a> {
    /// What was stored to.
    pub(crate) uids: &'a UidSet,
    pub(crate) by: Numbering,
    pub(crate) action: StoreAction,
    /// Its flags as bits of the new snapshot.
    pub(crate) flags: FlagBits,
    pub(crate) echo: Echo,
    /// UNCHANGEDSINCE was given: the new mod-sequence is part of the answer (RFC 7162 §3.1.3).
    pub(crate) conditional: bool,
}

impl Session {
    /// Asks the database what is new in the selected mailbox, and tells the client.
    pub(crate) async fn sync(&mut self, expunges: Expunges) -> Result<(), CmdError> {
        let State::Selected(user, selected) = &self.state else { return Ok(()) };
        let known = self.newest()?;
        let request = pb::ChangesRequest {
            owner: selected.whose.to_pb(),
            grant: user.grant.clone(),
            known: Some(pb::Known {
                mailbox_id: known.meta().mailbox.get(),
                modseq: known.meta().modseq.get(),
            }),
            access: selected.access.to_pb(),
        };
        let reply = self.gateway.backends.mailbox.changes(request).await;
        let reply = reply.map_err(|status| CmdError::of_selected(Refusal::from(status)))?;
        self.take_reply(&known, &reply, expunges, None)
    }

    /// The snapshot that storage's next answer should be relative to.
    pub(crate) fn newest(&self) -> Result<Arc<Snapshot>, CmdError> {
        let selected = self.selected()?;
        let held = selected.view.snapshot();
        let cached = self.gateway.mailboxes.latest(selected.whose, selected.mailbox());
        let is_newer = |cached: &Arc<Snapshot>| {
            cached.meta().modseq > held.meta().modseq
                && cached.meta().uid_validity == held.meta().uid_validity
        };
        Ok(cached.filter(is_newer).unwrap_or_else(|| Arc::clone(held)))
    }

    /// Takes what storage answered relative to `known`, and tells the client.
    pub(crate) fn take_reply(
        &mut self,
        known: &Arc<Snapshot>,
        reply: &pb::SyncReply,
        expunges: Expunges,
        own: Option<OwnStore<'_>>,
    ) -> Result<(), CmdError> {
        let newer = Snapshot::from_reply(Some(known), reply)?;
        let is_frozen = self.wants_no_news();
        let State::Selected(_, selected) = &mut self.state else { return Ok(()) };
        let mut newer = self.gateway.mailboxes.keep(selected.whose, newer);
        let mut expunges = expunges;
        if is_frozen && own.is_some() {
            // RFC 5465 §3.1: the client's own STORE brings no news of others.
            let held = selected.view.snapshot();
            let none = || CmdError::internal("a snapshot cannot be cut");
            newer = Arc::new(newer.without_arrivals(held).ok_or_else(none)?);
            expunges = Expunges::Keep;
        }
        take_rights(selected, self.enabled, reply, self.connection.output());
        let recent_from = recent_from(&newer, reply, selected.access);
        selected.view.add_recent(recent_from, newer.meta().uid_next);
        selected.checked_at = Instant::now();
        let above = selected.view.last_uid();
        announce(selected, self.enabled, self.connection.output(), newer, (expunges, own))?;
        if selected.view.last_uid() > above {
            self.note_fresh(above);
        }
        Ok(())
    }

    /// Before a command is concluded: is there news that it should bring? A hint says so, or it is long since we looked; clients
    /// may poll with UID FETCH alone, and an expunge must not wait for the next NOOP.
    pub(crate) async fn catch_up_if_stale(&mut self, expunges: Expunges) -> Result<(), CmdError> {
        let State::Selected(_, selected) = &mut self.state else { return Ok(()) };
        let mut stale = selected.checked_at.elapsed() >= STALE_AFTER;
        while let Some(wake) = selected.subscription.changed().now_or_never() {
            stale |= selected.is_news(&wake);
        }
        if stale { self.sync_news(expunges).await } else { Ok(()) }
    }

    /// Tells the client what a snapshot that another session brought has to say.
    pub(crate) fn take_snapshot(&mut self, newer: Arc<Snapshot>, expunges: Expunges) -> Result<(), CmdError> {
        let State::Selected(_, selected) = &mut self.state else { return Ok(()) };
        announce(selected, self.enabled, self.connection.output(), newer, (expunges, None))
    }
}

/// From which UID on messages are \Recent; 0: none. With EXAMINE those are shown, and stay so for the next session (RFC 3501
/// §2.3.2): they are always the last ones.
pub(crate) fn recent_from(snapshot: &Snapshot, reply: &pb::SyncReply, access: Access) -> u32 {
    match (access, &reply.state) {
        (Access::ReadOnly, Some(state)) if state.recent > 0 && snapshot.len() > 0 => {
            let first = snapshot.len().saturating_sub(state.recent as usize);
            snapshot.get(first).uid.get()
        }
        (Access::ReadOnly, _) => 0,
        (Access::ReadWrite, _) => reply.recent_from,
    }
}

/// RFC 4314 §5.1.1: a server that looks at rights with each command tells the flags again when they have changed.
fn take_rights(selected: &mut Selected, enabled: Enabled, reply: &pb::SyncReply, out: &mut BytesMut) {
    let Some(state) = reply.state.as_ref().filter(|_| selected.whose.is_shared()) else { return };
    let rights = Rights::from_bits(state.rights);
    if selected.rights != rights {
        selected.rights = rights;
        write_flags(selected, enabled, out);
    }
}

fn announce(
    selected: &mut Selected,
    enabled: Enabled,
    out: &mut BytesMut,
    newer: Arc<Snapshot>,
    (expunges, own): (Expunges, Option<OwnStore<'_>>),
) -> Result<(), CmdError> {
    let held = selected.view.snapshot();
    if newer.meta().uid_validity != held.meta().uid_validity {
        return Err(CmdError::Bye(Code::None, "The mailbox was made anew".into()));
    }
    // An answer may be overtaken by another session's newer one: what was told stays told.
    let newer = if newer.meta().modseq < held.meta().modseq { Arc::clone(held) } else { newer };
    let advance = selected.view.advance(newer)?;
    // 0. Results of searches, while the numbers of what is gone still hold.
    if !selected.contexts.is_empty() {
        selected.contexts.forget(&selected.view, out);
        selected.contexts.touch(touched(&selected.view, &advance));
    }
    // 1. What is gone, before any number is used that depends on it.
    if expunges == Expunges::Announce {
        write_expunges(&mut selected.view, &mut selected.saved, enabled, out);
    }
    // 2. What is new, before any line speaks of it.
    if advance.arrived > 0 {
        write_exists(&selected.view, enabled, out);
    }
    // 3. Keywords, before a FETCH line uses them.
    write_new_keywords(selected, enabled, out);
    // 4. Flags.
    write_flag_changes(&selected.view, enabled, out, &advance, own.as_ref());
    Ok(())
}

/// What is new or changed.
fn touched(view: &View, advance: &Advance) -> UidSet {
    let snapshot = view.snapshot();
    let arrived = snapshot.len().saturating_sub(advance.arrived)..snapshot.len();
    let indices = advance.changed.iter().map(|change| change.index).chain(arrived);
    indices.map(|index| snapshot.get(index).uid).collect()
}

fn write_expunges(view: &mut View, saved: &mut UidSet, enabled: Enabled, out: &mut BytesMut) {
    if view.ghosts().is_empty() {
        return;
    }
    let expunged = view.take_expunged();
    let mut writer = enabled.writer(out);
    if enabled.qresync || enabled.uid_only {
        // RFC 7162 §3.2.10, RFC 9586 §3.4
        writer.vanished(&expunged.uids);
    } else {
        expunged.numbers.iter().for_each(|number| writer.expunge(*number));
    }
    // RFC 5182 §2.1: expunged messages leave the saved result.
    if !saved.is_empty() {
        *saved = saved.difference(&expunged.uids);
    }
}

pub(crate) fn write_exists(view: &View, enabled: Enabled, out: &mut BytesMut) {
    let mut writer = enabled.writer(out);
    writer.exists(view.len() as u32);
    // RFC 9051 appendix E: no RECENT, no \Recent.
    if !enabled.rev2 {
        writer.recent(view.recent_count() as u32);
    }
}

fn write_new_keywords(selected: &mut Selected, enabled: Enabled, out: &mut BytesMut) {
    if selected.keywords().len() > selected.keywords_told {
        write_flags(selected, enabled, out);
    }
}

/// FLAGS and PERMANENTFLAGS (RFC 9051 §7.3.5, §7.1).
pub(crate) fn write_flags(selected: &mut Selected, enabled: Enabled, out: &mut BytesMut) {
    let keywords = Arc::clone(selected.keywords());
    selected.keywords_told = keywords.len();
    let system = FlagBits::SYSTEM.iter().fold(FlagBits::NONE, |all, (flag, _)| all.with(*flag));
    let all = (0..keywords.len()).fold(system, |all, index| all.with(FlagBits::keyword(index)));
    let permanent = match selected.access {
        // RFC 4314 §5.1.1
        Access::ReadWrite => PermanentFlags {
            flags: FlagBits::from_bits(all.bits() & selected.rights.flags().bits()),
            keywords: &keywords,
            can_create: !keywords.is_full() && selected.rights.contains(Rights::WRITE),
        },
        Access::ReadOnly => PermanentFlags { flags: FlagBits::NONE, keywords: &keywords, can_create: false },
    };
    let mut writer = enabled.writer(out);
    writer.mailbox_flags(all, &keywords);
    writer.untagged(Status::Ok, Code::PermanentFlags(permanent), "Flags that are kept");
}

fn write_flag_changes(
    view: &View,
    enabled: Enabled,
    out: &mut BytesMut,
    advance: &Advance,
    own: Option<&OwnStore<'_>>,
) {
    let Some(own) = own else {
        for change in advance.changed.iter().filter(|_| !enabled.watches.hide_flags) {
            let entry = view.snapshot().get(change.index);
            write_flags_line(view, enabled, out, (change.index, &entry), None);
        }
        return;
    };
    // The client's own messages are answered changed or not, unless it asked for silence; all in ascending order.
    let stored = view.select_uids(own.uids.ranges().iter().copied());
    let mut changes = advance.changed.iter().peekable();
    for index in stored.ranges().iter().cloned().flatten() {
        while let Some(change) = changes.next_if(|change| change.index < index) {
            if enabled.watches.hide_flags {
                continue;
            }
            let entry = view.snapshot().get(change.index);
            write_flags_line(view, enabled, out, (change.index, &entry), None);
        }
        let change = changes.next_if(|change| change.index == index);
        let entry = view.snapshot().get(index);
        let expected = match (change, own.action) {
            (None, _) => entry.flags,
            (Some(_), StoreAction::Replace) => own.flags,
            (Some(change), StoreAction::Add) => change.flags_before.with(own.flags),
            (Some(change), StoreAction::Remove) => change.flags_before.without(own.flags),
        };
        // INV: .SILENT hides what the client did, never what others did.
        match own.echo {
            Echo::WithData => {}
            Echo::Silent if entry.flags == expected => {
                if enabled.condstore || own.conditional {
                    write_modseq_line(view, enabled, out, (index, &entry), own);
                }
            }
            Echo::Line | Echo::Silent => write_flags_line(view, enabled, out, (index, &entry), Some(own)),
        }
    }
    for change in changes.filter(|_| !enabled.watches.hide_flags) {
        let entry = view.snapshot().get(change.index);
        write_flags_line(view, enabled, out, (change.index, &entry), None);
    }
}

fn write_flags_line(
    view: &View,
    enabled: Enabled,
    out: &mut BytesMut,
    (index, entry): (usize, &Entry),
    own: Option<&OwnStore<'_>>,
) {
    let mut writer = enabled.writer(out);
    let mut line = writer.fetch_message(view.number_of(index), entry.uid);
    // RFC 9051 §6.4.9: replies to UID commands have the UID; §7.5.2 and RFC 7162 §3.2.4: these clients get it always.
    let always = enabled.rev2 || enabled.qresync || enabled.watches.uid;
    // RFC 9586 §3.3: of UIDFETCH the UID is the beginning.
    if !enabled.uid_only && (always || own.is_some_and(|own| own.by == Numbering::Uid)) {
        line.uid(entry.uid);
    }
    if enabled.condstore || own.is_some_and(|own| own.conditional) {
        line.mod_seq(entry.modseq);
    }
    flags(&mut line, view, enabled, entry);
    line.end();
}

/// RFC 7162 §3.1.3: the mod-sequence is told even if the flags need not be.
fn write_modseq_line(
    view: &View,
    enabled: Enabled,
    out: &mut BytesMut,
    (index, entry): (usize, &Entry),
    own: &OwnStore<'_>,
) {
    let mut writer = enabled.writer(out);
    let mut line = writer.fetch_message(view.number_of(index), entry.uid);
    if !enabled.uid_only && (enabled.rev2 || enabled.qresync || own.by == Numbering::Uid) {
        line.uid(entry.uid);
    }
    line.mod_seq(entry.modseq);
    line.end();
}

/// `FLAGS (...)`, with \Recent where this session has it.
pub(crate) fn flags(line: &mut FetchWriter<'_>, view: &View, enabled: Enabled, entry: &Entry) {
    let keywords = &view.snapshot().meta().keywords;
    if !enabled.rev2 && view.is_recent(entry.uid) {
        line.flags_recent(entry.flags, keywords);
    } else {
        line.flags(entry.flags, keywords);
    }
}
