//! The tester on trial: a falsifying proxy between the socket and the parser, and statements that falsify the database behind the
//! server's back. Each breaks one invariant; the tester must notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

mod proxy;

pub use proxy::{Edit, Memory, Mutator};

/// What is done, and how.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// On the command line.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// Where.
    pub how: How,
}

/// Where a mutation is made.
#[derive(Debug, Clone, Copy)]
pub enum How {
    /// Falsifies a reply: an edit, tried on each one.
    Reply(Edit),
    /// A statement on the account's INBOX, when all are quiet; `{of}` stands for its key.
    Sql(&'static str),
    /// Deliveries are acknowledged and thrown away.
    LoseMail,
}

/// All of them.
pub const MUTATIONS: &[Mutation] = &[
    reply("exists-dropped", "an EXISTS is left out", proxy::exists_dropped),
    reply("exists-high", "EXISTS counts one too many", proxy::exists_high),
    reply("exists-low", "EXISTS counts one too few", proxy::exists_low),
    reply("exists-late", "EXISTS comes after the line that needs it", proxy::exists_late),
    reply("expunge-dropped", "an EXPUNGE is left out", proxy::expunge_dropped),
    reply("expunge-twice", "an EXPUNGE is told twice", proxy::expunge_twice),
    reply("expunge-renumbered", "an EXPUNGE names the next message", proxy::expunge_renumbered),
    reply("expunge-in-fetch", "an EXPUNGE among FETCH data", proxy::expunge_in_fetch),
    reply("vanished-short", "VANISHED leaves the last UID out", proxy::vanished_short),
    reply("vanished-long", "VANISHED names a living neighbour", proxy::vanished_long),
    reply("uids-swapped", "two messages' UIDs change places", proxy::uids_swapped),
    reply("uid-late", "a message's UID is below one told before", proxy::uid_late),
    reply("uid-missing", "UID is left out of a FETCH line", proxy::uid_missing),
    reply("uidnext-high", "UIDNEXT promises too much", proxy::uidnext_high),
    reply("uidnext-low", "UIDNEXT is below a UID in use", proxy::uidnext_low),
    reply("uidvalidity", "UIDVALIDITY changes", proxy::uidvalidity),
    reply("highestmodseq-low", "HIGHESTMODSEQ goes back", proxy::highestmodseq_low),
    reply("highestmodseq-high", "HIGHESTMODSEQ is ahead of what was told", proxy::highestmodseq_high),
    reply("modseq-missing", "MODSEQ is left out of a FETCH line", proxy::modseq_missing),
    reply("modseq-low", "a mod-sequence goes back", proxy::modseq_low),
    reply("flag-lost", "a keyword is left out of FLAGS", proxy::flag_lost),
    reply("flag-strange", "a flag that nobody set", proxy::flag_strange),
    reply("flags-unannounced", "FLAGS lacks a keyword", proxy::flags_unannounced),
    reply("recent-repeated", "\\Recent for everybody", proxy::recent_repeated),
    reply("update-lost", "a line with changed flags is left out", proxy::update_lost),
    reply("copyuid-wrong", "COPYUID names the next UIDs", proxy::copyuid_wrong),
    reply("copyuid-short", "COPYUID has one source too few", proxy::copyuid_short),
    reply("appenduid-wrong", "APPENDUID names another UID", proxy::appenduid_wrong),
    reply("modified-lost", "MODIFIED is left out", proxy::modified_lost),
    reply("status-stale", "STATUS counts one message too few", proxy::status_stale),
    reply("status-unseen", "STATUS counts one unseen message too many", proxy::status_unseen),
    reply("size-wrong", "RFC822.SIZE is one too many", proxy::size_wrong),
    reply("octet-changed", "an octet of a body changes", proxy::octet_changed),
    reply("body-of-another", "a body that belongs to another message", proxy::body_of_another),
    reply("date-changed", "INTERNALDATE changes", proxy::date_changed),
    reply("search-short", "SEARCH finds one too few", proxy::search_short),
    reply("search-long", "SEARCH finds message 1 too", proxy::search_long),
    reply("tag-twice", "a command is answered twice", proxy::tag_twice),
    reply("tag-of-another", "another command's tag is answered", proxy::tag_of_another),
    reply("idle-deaf", "nothing is told while IDLE waits", proxy::idle_deaf),
    reply("space-doubled", "two spaces where the grammar has one", proxy::space_doubled),
    sql(
        "row-lost",
        "a message's row goes, without tombstone",
        "DELETE FROM mailbox_message WHERE {of} AND uid = {last}",
    ),
    sql(
        "row-modseq",
        "a row's mod-sequence goes back",
        "UPDATE mailbox_message SET modseq = 1 WHERE {of} AND uid = {last}",
    ),
    sql("row-flag", "a row gets a flag", "UPDATE mailbox_message SET flags = 31 WHERE {of} AND uid = {last}"),
    sql(
        "row-flag-cleared",
        "all rows lose their keywords",
        "UPDATE mailbox_message SET flags = flags & 31 WHERE {of}",
    ),
    sql(
        "counter-messages",
        "the count of messages is off",
        "UPDATE mailbox SET messages = messages + 1 WHERE {box}",
    ),
    sql(
        "counter-unseen",
        "the count of unseen messages is off",
        "UPDATE mailbox SET unseen = unseen + 1 WHERE {box}",
    ),
    sql(
        "counter-bytes",
        "the octets of the mailbox are off",
        "UPDATE mailbox SET bytes = bytes + 1 WHERE {box}",
    ),
    sql("uidnext-lowered", "UIDNEXT goes back", "UPDATE mailbox SET uidnext = uidnext - 1 WHERE {box}"),
    sql(
        "highest-lowered",
        "HIGHESTMODSEQ goes back",
        "UPDATE mailbox SET highest_modseq = highest_modseq - 1 WHERE {box}",
    ),
    Mutation { name: "mail-lost", what: "a delivery is acknowledged and thrown away", how: How::LoseMail },
];

const fn reply(name: &'static str, what: &'static str, edit: proxy::Edit) -> Mutation {
    Mutation { name, what, how: How::Reply(edit) }
}

const fn sql(name: &'static str, what: &'static str, statement: &'static str) -> Mutation {
    Mutation { name, what, how: How::Sql(statement) }
}

/// A mutation at work.
#[derive(Debug, Clone)]
pub struct Faults {
    /// Which.
    pub mutation: Mutation,
    fired: Arc<AtomicU64>,
}

impl Faults {
    /// The mutation of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mutation = MUTATIONS.iter().find(|mutation| mutation.name == name)?;
        Some(Self { mutation: *mutation, fired: Arc::default() })
    }

    /// One connection's proxy.
    pub fn mutator(&self, seed: u64) -> Mutator {
        Mutator::new(self.clone(), seed)
    }

    /// Deliveries are to be lost.
    pub fn loses_mail(&self) -> bool {
        matches!(self.mutation.how, How::LoseMail)
    }

    /// The statement, for the mailbox `id` of the account `address`.
    pub fn statement(&self, address: &str, name: &str) -> Option<String> {
        let How::Sql(statement) = self.mutation.how else { return None };
        let account = format!("account_id = (SELECT account_id FROM address WHERE address = '{address}')");
        let mailbox = format!("(SELECT id FROM mailbox WHERE {account} AND name = '{name}')");
        let of = format!("{account} AND mailbox_id = {mailbox}");
        let last = format!("(SELECT max(uid) FROM mailbox_message WHERE {of})");
        let statement = statement.replace("{box}", &format!("{account} AND name = '{name}'"));
        Some(statement.replace("{last}", &last).replace("{of}", &of))
    }

    /// It was made.
    pub fn count(&self) {
        self.fired.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was made.
    pub fn fired(&self) -> u64 {
        self.fired.load(Ordering::Relaxed)
    }
}
