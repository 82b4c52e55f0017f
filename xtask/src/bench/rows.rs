//! What is measured: the rows of the table.
//!
//! A row is measured once a turn. It checks every reply, and fails rather than give a figure for wrong ones.

use anyhow::{Context as _, Result};

use super::server::Server;

mod append;
mod big;
mod change;
mod deliver;
mod find;
mod idle;
mod login;
mod mixed;
mod pop3;
mod prepare;
mod read;

pub(super) struct Row {
    /// As in `--rows`.
    pub(super) name: &'static str,
    pub(super) figures: &'static [Figure],
    /// Whether only `--size full` has it, unless it is named in `--rows`.
    pub(super) is_for_full: bool,
    what: What,
}

/// One line of the table.
pub(super) struct Figure {
    pub(super) label: &'static str,
    pub(super) unit: &'static str,
}

/// What a turn gave.
pub(super) enum Measured {
    /// One value for each of the row's figures.
    Values(Vec<f64>),
    /// It cannot be measured here, and why.
    Skipped(String),
}

/// How much is done in a turn.
pub(super) struct Sizes {
    pub(super) turns: usize,
    /// Messages delivered over 10 connections, and over one.
    deliveries: [usize; 2],
    /// Logins of each of 1 000 clients.
    logins: usize,
    mixed_seconds: u64,
    downloads: usize,
    idle_sessions: usize,
    /// Sessions that wait on the large mailbox.
    big_idle_sessions: usize,
    pushes: usize,
    /// How often a short command is repeated, and one that moves all messages.
    repeats: [usize; 2],
    appends: usize,
}

pub(super) const QUICK: Sizes = Sizes {
    turns: 3,
    deliveries: [1_000, 200],
    logins: 3,
    mixed_seconds: 5,
    downloads: 2,
    idle_sessions: 2_000,
    big_idle_sessions: 1_000,
    pushes: 30,
    repeats: [30, 3],
    appends: 500,
};

pub(super) const FULL: Sizes = Sizes {
    turns: 5,
    deliveries: [4_000, 1_000],
    logins: 5,
    mixed_seconds: 15,
    downloads: 5,
    idle_sessions: 2_000,
    big_idle_sessions: 1_000,
    pushes: 200,
    repeats: [100, 7],
    appends: 2_000,
};

/// Messages whose envelopes `big-fetch-env` asks for.
const BIG_ENVELOPES: usize = 10_000;

/// A mailbox whose content is known.
#[derive(Clone)]
pub(super) struct Mailbox {
    account: usize,
    name: String,
    messages: u32,
    /// The sizes of the messages, added up.
    octets: usize,
    /// How many hold the word that is searched for.
    hits: usize,
}

#[derive(Clone, Copy)]
enum What {
    Lmtp10,
    Lmtp1,
    Login,
    Mixed,
    Pop3,
    Idle,
    Push,
    Select,
    FetchFlags,
    FetchEnvelopes,
    FetchBodies,
    FetchOneByOne,
    StoreOne,
    StoreAll,
    Copy,
    Expunge,
    AppendOne,
    AppendRate,
    SearchHit,
    SearchMiss,
    SearchNew,
    SearchJapanese,
    Sort,
    SortDate,
    Thread,
    BigSelect,
    BigFetchFlags,
    BigFetchEnvelopes,
    BigFetchBodies,
    BigStoreOne,
    BigDeliver,
    BigPush,
    BigIdle,
    BigSearch,
}

const fn row(name: &'static str, what: What, figures: &'static [Figure]) -> Row {
    Row { name, figures, is_for_full: false, what }
}

const fn big(name: &'static str, what: What, figures: &'static [Figure]) -> Row {
    Row { name, figures, is_for_full: true, what }
}

macro_rules! figures {
    ($($label:literal: $unit:literal),*) => { &[$(Figure { label: $label, unit: $unit }),*] };
}

pub(super) const ROWS: &[Row] = &[
    row("lmtp-10", What::Lmtp10, figures!("lmtp-10": "msg/s")),
    row("lmtp-1", What::Lmtp1, figures!("lmtp-1": "msg/s")),
    row("login-1000", What::Login, figures!("login-1000": "logins/s")),
    row("mixed-40", What::Mixed, figures!("mixed-40": "commands/s")),
    row("pop3", What::Pop3, figures!("pop3": "MB/s")),
    row(
        "idle-memory",
        What::Idle,
        figures!("idle-memory": "KiB/session", "idle-memory sockets": "KiB/session"),
    ),
    row("push", What::Push, figures!("push p50": "ms", "push p99": "ms")),
    row("select", What::Select, figures!("select-ms": "ms")),
    row("fetch-flags", What::FetchFlags, figures!("fetch-flags-ms": "ms")),
    row("fetch-env", What::FetchEnvelopes, figures!("fetch-env-first-ms": "ms", "fetch-env-again-ms": "ms")),
    row("fetch-bodies", What::FetchBodies, figures!("fetch-bodies-ms": "ms")),
    row("fetch-one-by-one", What::FetchOneByOne, figures!("fetch-one-by-one-ms": "ms")),
    row("store-1", What::StoreOne, figures!("store-1-ms": "ms")),
    row("store-2000", What::StoreAll, figures!("store-2000-ms": "ms")),
    row("copy-2000", What::Copy, figures!("copy-2000-ms": "ms")),
    row("expunge-2000", What::Expunge, figures!("expunge-2000-ms": "ms")),
    row("append", What::AppendOne, figures!("append-ms": "ms")),
    row("append-rate", What::AppendRate, figures!("append-rate": "appends/s")),
    row("search-text-hit", What::SearchHit, figures!("search-text-hit-ms": "ms")),
    row("search-text-miss", What::SearchMiss, figures!("search-text-miss-ms": "ms")),
    row("search-text-new", What::SearchNew, figures!("search-text-new-ms": "ms")),
    row("search-japanese", What::SearchJapanese, figures!("search-japanese-ms": "ms")),
    row("sort", What::Sort, figures!("sort-ms": "ms")),
    row("sort-date", What::SortDate, figures!("sort-date-ms": "ms")),
    row("thread", What::Thread, figures!("thread-ms": "ms")),
    big("big-select", What::BigSelect, figures!("big-select-ms": "ms")),
    big("big-fetch-flags", What::BigFetchFlags, figures!("big-fetch-flags-ms": "ms")),
    big(
        "big-fetch-env",
        What::BigFetchEnvelopes,
        figures!("big-fetch-env-first-ms": "ms", "big-fetch-env-again-ms": "ms"),
    ),
    big("big-fetch-bodies", What::BigFetchBodies, figures!("big-fetch-bodies-ms": "ms")),
    big("big-store-1", What::BigStoreOne, figures!("big-store-1-ms": "ms")),
    big(
        "big-search",
        What::BigSearch,
        figures!(
            "big-search-hit-first-ms": "ms", "big-search-hit-ms": "ms",
            "big-search-miss-first-ms": "ms", "big-search-miss-ms": "ms",
            "big-search-all-first-ms": "ms", "big-search-all-ms": "ms",
            "big-search-new-ms": "ms", "big-search-letters-first-ms": "ms", "big-search-kanji-first-ms": "ms",
            "big-search-fuzzy-ms": "ms"
        ),
    ),
    big("big-deliver", What::BigDeliver, figures!("big-deliver": "msg/s")),
    big("big-push", What::BigPush, figures!("big-push p50": "ms", "big-push p99": "ms")),
    big(
        "big-idle-memory",
        What::BigIdle,
        figures!("big-idle-memory": "KiB/session", "big-idle-memory changed": "KiB/session"),
    ),
];

/// Fills the mailboxes that the row needs, when they are not filled yet.
pub(super) async fn prepare(row: &Row, server: &mut Server) -> Result<()> {
    let prepared = async {
        match row.what {
            What::Lmtp10
            | What::Lmtp1
            | What::Login
            | What::Push
            | What::FetchEnvelopes
            | What::FetchOneByOne
            | What::BigFetchEnvelopes => Ok(()),
            What::Mixed | What::Idle => prepare::traffic(server).await,
            What::Pop3 => prepare::maildrops(server).await,
            What::BigSelect
            | What::BigFetchFlags
            | What::BigStoreOne
            | What::BigDeliver
            | What::BigPush
            | What::BigIdle => big::fill(server).await,
            What::BigSearch => big::searched(server).await.map(drop),
            What::BigFetchBodies => prepare::bulk(server).await,
            _ => prepare::reader(server).await,
        }
    };
    prepared.await.context("filling mailboxes")
}

/// Measures one turn.
pub(super) async fn measure(row: &Row, server: &mut Server, sizes: &Sizes) -> Result<Measured> {
    let [often, seldom] = sizes.repeats;
    let needs_lmtp = matches!(
        row.what,
        What::Lmtp10 | What::Lmtp1 | What::Push | What::BigDeliver | What::BigPush | What::BigIdle
    );
    if needs_lmtp && server.place.lmtp.is_none() {
        return Ok(Measured::Skipped("no LMTP".into()));
    }
    match row.what {
        What::Lmtp10 => deliver::rate(server, 10, sizes.deliveries[0]).await,
        What::Lmtp1 => deliver::rate(server, 1, sizes.deliveries[1]).await,
        What::Login => login::rate(server, sizes.logins).await,
        What::Mixed => mixed::rate(server, sizes.mixed_seconds).await,
        What::Pop3 => pop3::rate(server, sizes.downloads).await,
        What::Idle => idle::memory(server, sizes.idle_sessions).await,
        What::Push => deliver::push(server, super::server::WAITER, sizes.pushes).await,
        What::Select => read::select(server, &prepare::filled(server)?, often).await,
        What::FetchFlags => read::flags(server, &prepare::filled(server)?, often).await,
        What::FetchEnvelopes => read::envelopes(server, prepare::MESSAGES, seldom).await,
        What::FetchBodies => read::bodies(server, &prepare::filled(server)?, seldom).await,
        What::FetchOneByOne => read::bodies_one_by_one(server).await,
        What::StoreOne => change::store_one(server, &prepare::filled(server)?, often * 3).await,
        What::StoreAll => change::store_all(server, &prepare::filled(server)?, seldom * 2).await,
        What::Copy => change::copy(server, &prepare::filled(server)?, seldom).await,
        What::Expunge => change::expunge(server, &prepare::filled(server)?, seldom).await,
        What::AppendOne => append::one(server, often * 3).await,
        What::AppendRate => append::rate(server, sizes.appends).await,
        What::SearchHit => find::text_hit(server, &prepare::filled(server)?, seldom).await,
        What::SearchMiss => find::text_miss(server, &prepare::filled(server)?, seldom).await,
        What::SearchNew => find::text_new(server, &prepare::filled(server)?, often).await,
        What::SearchJapanese => find::text_japanese(server, &prepare::filled(server)?, seldom).await,
        What::Sort => find::sort(server, &prepare::filled(server)?, seldom).await,
        What::SortDate => find::sort_date(server, &prepare::filled(server)?, often).await,
        What::Thread => find::thread(server, &prepare::filled(server)?, seldom).await,
        What::BigSelect => read::select(server, &big::mailbox(server).await?, seldom * 2).await,
        What::BigFetchFlags => read::flags(server, &big::mailbox(server).await?, seldom).await,
        What::BigFetchEnvelopes => read::envelopes(server, BIG_ENVELOPES, seldom).await,
        What::BigFetchBodies => read::bodies(server, &prepare::bulk_filled(server)?, seldom).await,
        What::BigStoreOne => change::store_one(server, &big::mailbox(server).await?, often).await,
        What::BigSearch => {
            let mailbox = big::searched(server).await?;
            find::big(server, &mailbox, seldom).await
        }
        What::BigDeliver => big::deliver(server, sizes.deliveries[1] / 4).await,
        What::BigIdle => idle::big(server, sizes.big_idle_sessions).await,
        What::BigPush => deliver::push(server, super::server::HOARDER, sizes.pushes).await,
    }
}

impl Measured {
    fn one(value: f64) -> Result<Self> {
        Ok(Self::Values(vec![value]))
    }
}
