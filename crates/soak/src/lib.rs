//! The model-based tester: many sessions do random things to shared mailboxes over several gateways, and every reply is compared
//! with what that session had been told and with what all sessions together know. When all are quiet, every view, STATUS, the
//! POP3 listing and the tables must say the same.
//!
//! Which check stands for which invariant (`tests/soak.rs` proves that each of these bites, by falsified replies):
//!
//! | Invariant | Where |
//! |---|---|
//! | 1 UIDs ascend | [`view::View::fetched`] |
//! | 2 no late UID | [`ledger::Ledger::announced`]: UIDs of messages that EXISTS adds are at least the UIDNEXT known when the view was last in step |
//! | 3 UIDNEXT never decreases | `session/select.rs`, `session/read.rs` |
//! | 4 no UID twice | [`ledger::Ledger::born`] |
//! | 5 content never changes | [`ledger::Ledger::unchanging`] |
//! | 6 UIDVALIDITY grows | [`ledger::Ledger::name_seen`] |
//! | 9 neighbours untouched | [`ledger::Ledger::gone`]: nothing goes that nobody asked to; sets with UIDs that do not exist |
//! | 11 numbers stay | `Session::take`, by the phase of the command |
//! | 12, 13, 14, 15, 18 untagged replies are a legal history | [`view::View`], `Session::check_fetched` |
//! | 16 UID and MODSEQ are told | `Session::take_fetch`, `session/select.rs` |
//! | 17 each tag once, in order | `Session::answer`, `session/pipeline.rs` |
//! | 19 no lost update | [`ledger::Message::observed`]: keywords of one owner, and flags that nobody removed |
//! | 20 \Recent for one selection | `Session::take_fetch` |
//! | 21 keywords are announced | `Session::take_fetch`, `session/select.rs` |
//! | 22 .SILENT | `session/store.rs`; that others' changes are told: quiescence |
//! | 23 BODY[] sets \Seen, nothing else does | [`ledger::Message::observed`], `session/read.rs` |
//! | 24 STATUS equals SELECT; SEARCH | `session/read.rs` while others write, exactly in `quiet.rs` |
//! | 25 read your writes over gateways | `Session::synced` |
//! | 26 a deleted mailbox ends its sessions, no other BYE | `Session::take` |
//! | 27 TRYCREATE | `session/write.rs` |
//! | 28 order of mod-sequences is order of visibility | [`view::View::fetched`], [`ledger::Message::observed`] |
//! | 29, 30 mod-sequences never go back | [`view::View::fetched`], `session/select.rs` |
//! | 31, 32, 35, 36 resynchronisation | `session/select.rs`, `session/read.rs`; from every mod-sequence and below the floor: `tests/replay.rs` |
//! | 34 conditional STORE | `session/store.rs` |
//! | 37, 39 COPYUID, APPENDUID, MOVE | `session/write.rs`; nothing without origin: `quiet.rs` |
//! | 40 no lost wake-up, 42 IDLE ends by DONE | `session/idle.rs` |
//! | 43, 44 counters, quota | `quiet.rs`: exact STATUS, fsck |
//! | 45, 46 POP3, octets | `pop3.rs`, [`ledger::Ledger::unchanging`] |
//! | 47 after ENABLE UIDONLY nothing has a number | `Session::take`; UIDs for numbers: [`view::View::number_of`] |
//!
//! Not here: 7 (a rename's target keeps UIDs: conformance scripts), 8 (the last UID: storage's tests), 10 (`n:*`: conformance
//! scripts), 33 (`tests/replay.rs`), 38 (restore: fault tests), 41 (false hints: the gateway's tests).

pub mod fault;
pub mod fuzz;
pub mod ledger;
pub mod mutate;
pub mod pick;
pub mod reply;
pub mod run;
pub mod session;
pub mod view;
pub mod wire;

mod lmtp;
mod pop3;
mod quiet;
mod stage;

pub use stage::{Shape, Stage};
