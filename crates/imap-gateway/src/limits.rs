//! Every limit of this crate: its unit, its reason, and what happens at it.

use std::time::Duration;

/// Commands in a row that are not understood before the session ends with BYE: whatever speaks there, it does not speak IMAP.
pub(crate) const BAD_COMMANDS_MAX: u32 = 20;
/// The same before login, where port scanners and HTTP clients come by.
pub(crate) const BAD_COMMANDS_UNAUTHENTICATED_MAX: u32 = 5;
/// Wrong passwords before the session ends with BYE. Auth limits guessing over sessions.
pub(crate) const LOGIN_FAILURES_MAX: u32 = 5;
/// What a wrong password costs in time, beside the hashing.
pub(crate) const LOGIN_FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Octets of one base64 line of AUTHENTICATE; PLAIN needs three short strings.
pub(crate) const USER_NAME_BYTES_MAX: usize = 1024;

/// Queued reply octets at which they are sent before more is made.
pub(crate) const FLUSH_BYTES: usize = 64 * 1024;
/// Messages that FETCH looks up, asks storage for and writes at once: bounds what one command holds in memory, twice. As many as
/// storage reads in one query.
pub(crate) const FETCH_PAGE_MESSAGES: usize = 256;
/// Commands that are looked at before the one in front of them is answered (RFC 9051 §5.5): the calls to storage that they make at once.
pub(crate) const COMMANDS_AHEAD_MAX: usize = 32;
/// Octets of messages that are brought into the cache for such commands: as many small messages, and no more of the others' share.
pub(crate) const AHEAD_BYTES_MAX: u64 = (COMMANDS_AHEAD_MAX as u64 + 1) * SMALL_CONTENT_BYTES;
/// Least messages of a batch of UIDBATCHES (RFC 10022 §3.1.3: the server takes 500 at least). Smaller ones would only be sequence numbers
/// in another form.
pub(crate) const BATCH_MESSAGES_MIN: u32 = 500;
/// Searches of one session that are kept up to date (RFC 5267 §4.3.1); those beyond are answered once, and say so.
pub(crate) const CONTEXTS_MAX: usize = 16;
/// Results of all of them: four octets each.
pub(crate) const CONTEXT_RESULTS_MAX: usize = 250_000;
/// Mailboxes that one ESEARCH looks into (RFC 7377 §2.4); more are refused.
pub(crate) const SEARCHED_MAILBOXES_MAX: usize = 1000;
/// Messages that one call looks into for FUZZY: every text is read, and a call has a deadline.
pub(crate) const FUZZY_MESSAGES: usize = 5000;
/// Messages whose sort keys are asked for in one call: a few megabytes.
pub(crate) const SORT_KEYS_MESSAGES: usize = 50_000;
/// Largest message that is kept whole in memory and in the cache, in octets: nearly all mail without attachments.
pub(crate) const SMALL_CONTENT_BYTES: u64 = 64 * 1024;
/// Largest header that HEADER.FIELDS is picked from, in octets. A larger one is served as far as this.
pub(crate) const HEADER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Largest part that is decoded for BINARY, in octets as stored.
pub(crate) const BINARY_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Octets of one chunk of an APPEND on its way to storage.
pub(crate) const APPEND_CHUNK_BYTES: usize = 64 * 1024;
/// Such chunks in flight, per APPEND.
pub(crate) const APPEND_CHUNKS_IN_FLIGHT: usize = 4;
/// Messages of one MULTIAPPEND.
pub(crate) const APPEND_MESSAGES_MAX: usize = 1000;

/// A selected mailbox that was not looked at for so long is looked at before a command is concluded, hint or not: clients may
/// poll with UID FETCH alone (RFC 9051 §5.2).
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(5);
/// Time between two re-checks of everything that idles while hints work, and while they do not.
pub(crate) const RECHECK_EVERY: Duration = Duration::from_secs(20);
pub(crate) const RECHECK_EVERY_WITHOUT_HINTS: Duration = Duration::from_secs(5);
/// Mailboxes asked about in one call of the re-check.
pub(crate) const RECHECK_BATCH: usize = 500;
/// How often an idling client hears something, unless the operator says otherwise: routers forget connections after 2 minutes.
pub(crate) const IDLE_NOTIFY: Duration = Duration::from_secs(110);
/// How often a client hears of a command that takes long (RFC 9585 §4: every 10 to 15 seconds), plus up to half of it.
pub(crate) const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Mailboxes that one NOTIFY may name (RFC 5465 §3.1).
pub(crate) const NOTIFY_NAMES_MAX: usize = 1000;
/// Lines about other mailboxes that NOTIFY brings at once; beyond it comes NOTIFICATIONOVERFLOW (RFC 5465 §5.8).
pub(crate) const NOTIFY_LINES_MAX: usize = 500;
/// Accounts with shared mailboxes that one session with NOTIFY hears of at once; of those beyond, with the re-check.
pub(crate) const NOTIFY_OWNERS_MAX: usize = 100;
/// Shortest time between two looks at the mailboxes of an account for one session with NOTIFY.
pub(crate) const NOTIFY_PAUSE: Duration = Duration::from_millis(200);
/// A grant with less left than this is renewed before it is used, in seconds.
pub(crate) const GRANT_MARGIN_SECONDS: i64 = 5 * 60;
