//! `todoku import ADDRESS mbox|maildir PATH`: mail of another server or program, with folders, flags and dates.
//!
//! **Invariant:** every mail has a key made of what it is and where it comes from, which storage never forgets. So an import that
//! was cut off goes on where it stopped, and one that is run again adds nothing twice.

mod maildir;
mod mbox;

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use mail_rpc::pb;
use mail_rpc::{MailboxClient, Refusal};
use mail_types::{FlagBits, MailboxName};

/// Octets of one step of the append stream: bounds what is copied at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// How often progress is shown on a terminal, and to a log file.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
const PROGRESS_EVERY_IN_A_LOG: Duration = Duration::from_secs(10);

/// What the mail is kept in now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One file a folder, mails separated by `From ` lines; a directory of such files (Thunderbird, Mutt, Apple Mail).
    Mbox,
    /// One file a mail, in `cur` and `new`; folders as `.Name` (Maildir++, Dovecot) or as directories.
    Maildir,
}

/// One mail of the source.
pub(crate) struct SourceMail {
    pub(crate) octets: Vec<u8>,
    pub(crate) flags: FlagBits,
    pub(crate) keywords: Vec<String>,
    /// Seconds since 1970 UTC; `None`: the source does not say.
    pub(crate) received_at: Option<i64>,
}

/// One folder of the source.
pub(crate) struct SourceFolder {
    pub(crate) mailbox: MailboxName,
    pub(crate) path: PathBuf,
}

/// What an import did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Mails read.
    pub(crate) read: u64,
    /// Of them, those that were not there yet.
    pub(crate) added: u64,
    /// Octets read.
    pub(crate) bytes: u64,
    /// Mails that could not be taken; each was named.
    pub(crate) failed: u64,
}

/// Imports everything below `path` into the account of `grant`, which makes fresh grants: an import may take hours.
///
/// # Errors
/// When the source cannot be read or storage is away. What was imported until then stays, and is not imported again.
pub(crate) async fn run(
    mailbox: &MailboxClient,
    grant: impl Fn() -> Bytes,
    format: Format,
    path: &Path,
) -> Result<Summary> {
    let folders = match format {
        Format::Mbox => mbox::folders(path)?,
        Format::Maildir => maildir::folders(path)?,
    };
    if folders.is_empty() {
        bail!("{}: no mail found there; is it really {format:?}?", path.display());
    }
    let mut summary = Summary::default();
    let count = folders.len();
    for (index, folder) in folders.into_iter().enumerate() {
        create(mailbox, &grant(), &folder.mailbox).await?;
        let mut progress = Progress::new(format!("[{}/{count}] {}", index + 1, folder.mailbox));
        let before = uid_next(mailbox, &grant(), &folder.mailbox).await?;
        let mut import =
            FolderImport { mailbox, grant: &grant, folder: &folder.mailbox, seen: HashMap::new(), before };
        match format {
            Format::Mbox => {
                for mail in mbox::Mails::open(&folder.path)? {
                    import.take(mail, &mut summary, &mut progress).await?;
                }
            }
            Format::Maildir => {
                for mail in maildir::mails(&folder.path)? {
                    import.take(mail, &mut summary, &mut progress).await?;
                }
            }
        }
        progress.finish();
    }
    Ok(summary)
}

struct FolderImport<'a> {
    mailbox: &'a MailboxClient,
    grant: &'a dyn Fn() -> Bytes,
    folder: &'a MailboxName,
    /// How often the same octets were seen in this folder: two equal mails in the source are two mails here.
    seen: HashMap<blake3::Hash, u32>,
    /// UIDNEXT when this folder began: a UID below it was there already.
    before: u32,
}

impl FolderImport<'_> {
    async fn take(
        &mut self,
        mail: Result<SourceMail>,
        summary: &mut Summary,
        progress: &mut Progress,
    ) -> Result<()> {
        let mail = mail?;
        let size = mail.octets.len() as u64;
        let content = blake3::hash(&mail.octets);
        let occurrence = self.seen.entry(content).or_insert(0);
        let key = import_key(self.folder, &content, *occurrence);
        *occurrence += 1;
        let reply = self.mailbox.append(tokio_stream::iter(self.steps(mail, key))).await;
        summary.read += 1;
        summary.bytes += size;
        match reply {
            Ok(reply) => {
                summary.added += u64::from(reply.uids.first().is_some_and(|uid| *uid >= self.before))
            }
            Err(status) => match Refusal::from(status) {
                Refusal::Limit(why) | Refusal::Invalid(why) => {
                    summary.failed += 1;
                    eprintln!("\n{}: mail {} was not taken: {why}", self.folder, summary.read);
                }
                Refusal::Exhausted(why) => {
                    bail!("{why}; raise the quota with `todoku account quota` and run the import again")
                }
                other => bail!("{other}; run the import again, it goes on where it stopped"),
            },
        }
        progress.show(summary);
        Ok(())
    }

    fn steps(&self, mail: SourceMail, key: [u8; 32]) -> Vec<pb::AppendRequest> {
        use pb::append_request::Step;
        let octets = Bytes::from(mail.octets);
        let start = pb::AppendStart {
            owner: 0,
            grant: (self.grant)(),
            mailbox: self.folder.as_str().to_owned(),
            idempotency_key: Bytes::copy_from_slice(&key),
            keep_key: true,
            replaced: None,
        };
        let header = pb::AppendMessage {
            flags: Some(pb::FlagSet { system: mail.flags.bits() as u32, keywords: mail.keywords }),
            received_at: mail.received_at,
            size: octets.len() as u64,
            at_most: false,
        };
        let chunks = (0..octets.len())
            .step_by(CHUNK_BYTES)
            .map(|at| Step::Chunk(octets.slice(at..octets.len().min(at + CHUNK_BYTES))));
        [Step::Start(start), Step::Message(header)]
            .into_iter()
            .chain(chunks)
            .chain([Step::Finish(pb::Finish {})])
            .map(|step| pb::AppendRequest { step: Some(step) })
            .collect()
    }
}

fn import_key(folder: &MailboxName, content: &blake3::Hash, occurrence: u32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("todoku import v1");
    hasher.update(folder.as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(content.as_bytes());
    hasher.update(&occurrence.to_be_bytes());
    *hasher.finalize().as_bytes()
}

async fn create(mailbox: &MailboxClient, grant: &Bytes, name: &MailboxName) -> Result<()> {
    let request =
        pb::CreateRequest { owner: 0, grant: grant.clone(), name: name.as_str().to_owned(), special_use: 0 };
    match mailbox.create(request).await.map_err(Refusal::from) {
        Ok(_) => {
            let request = pb::SubscribeRequest {
                grant: grant.clone(),
                name: name.as_str().to_owned(),
                subscribed: true,
            };
            mailbox.subscribe(request).await.map_err(Refusal::from)?;
            Ok(())
        }
        Err(Refusal::AlreadyExists(_)) => Ok(()),
        Err(other) => Err(other).with_context(|| format!("cannot make the mailbox {name}")),
    }
}

async fn uid_next(mailbox: &MailboxClient, grant: &Bytes, name: &MailboxName) -> Result<u32> {
    let request = pb::StatusRequest { owner: 0, grant: grant.clone(), name: name.as_str().to_owned() };
    Ok(mailbox.status(request).await.map_err(Refusal::from)?.uid_next)
}

/// Shows how far the import is: one line that is written over on a terminal, now and then a line in a log.
struct Progress {
    label: String,
    terminal: bool,
    shown: Instant,
    count: u64,
}

impl Progress {
    fn new(label: String) -> Self {
        Self { label, terminal: std::io::stderr().is_terminal(), shown: Instant::now(), count: 0 }
    }

    fn show(&mut self, summary: &Summary) {
        self.count += 1;
        let every = if self.terminal { PROGRESS_EVERY } else { PROGRESS_EVERY_IN_A_LOG };
        if self.shown.elapsed() >= every {
            self.shown = Instant::now();
            self.print(summary.bytes);
        }
    }

    fn print(&self, bytes: u64) {
        let end = if self.terminal { "\r" } else { "\n" };
        eprint!("{}: {} mails, {} MiB in all{end}", self.label, self.count, bytes >> 20);
        let _ = std::io::stderr().flush();
    }

    fn finish(&self) {
        eprintln!("{}: {} mails                    ", self.label, self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_mails_in_one_folder_have_different_keys() {
        let inbox = MailboxName::inbox();
        let content = blake3::hash(b"x");
        assert_ne!(import_key(&inbox, &content, 0), import_key(&inbox, &content, 1));
        assert_eq!(import_key(&inbox, &content, 1), import_key(&inbox, &content, 1));
    }
}
