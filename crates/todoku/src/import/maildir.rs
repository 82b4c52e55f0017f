//! Maildir and Maildir++: a file a mail in `cur` and `new`, flags behind `:2,`, folders as `.A.B` beside them (Dovecot, Courier)
//! or as directories (offlineimap, mbsync).

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use mail_types::{FlagBits, MailboxName};

use super::{SourceFolder, SourceMail};

/// The folders below `path`, the one at its top as INBOX.
///
/// # Errors
/// When a directory cannot be read, or its name cannot be a mailbox's.
pub(super) fn folders(path: &Path) -> Result<Vec<SourceFolder>> {
    let mut found = Vec::new();
    walk(path, "", &mut found)?;
    found.sort_by(|a, b| a.mailbox.cmp(&b.mailbox));
    Ok(found)
}

fn walk(dir: &Path, name: &str, found: &mut Vec<SourceFolder>) -> Result<()> {
    if is_maildir(dir) {
        let name = if name.is_empty() { "INBOX" } else { name };
        let mailbox = MailboxName::try_from(name)
            .with_context(|| format!("{}: {name:?} cannot be a mailbox name; rename it", dir.display()))?;
        found.push(SourceFolder { mailbox, path: dir.to_owned() });
    }
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let Some(level) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if !path.is_dir() || ["cur", "new", "tmp"].contains(&level) {
            continue;
        }
        // Maildir++: dots separate levels, and names are in modified UTF-7.
        let level = match level.strip_prefix('.') {
            Some(dotted) => dotted.split('.').map(decode_level).collect::<Vec<_>>().join("/"),
            None => decode_level(level),
        };
        if level.is_empty() {
            continue;
        }
        let below = if name.is_empty() { level } else { format!("{name}/{level}") };
        walk(&path, &below, found)?;
    }
    Ok(())
}

fn is_maildir(dir: &Path) -> bool {
    dir.join("cur").is_dir() && dir.join("new").is_dir()
}

/// A name that is no modified UTF-7 is taken as it is.
fn decode_level(level: &str) -> String {
    imap_wire::utf7::decode(level.as_bytes()).unwrap_or_else(|_| level.to_owned())
}

/// The mails of one Maildir, oldest delivery first.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn mails(dir: &Path) -> Result<impl Iterator<Item = Result<SourceMail>>> {
    let mut files = Vec::new();
    for part in ["cur", "new"] {
        let part = dir.join(part);
        for entry in std::fs::read_dir(&part).with_context(|| format!("cannot read {}", part.display()))? {
            let path = entry?.path();
            if path.is_file() {
                files.push((received_at(&path), path));
            }
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(received_at, path)| read(&path, received_at)))
}

fn read(path: &Path, received_at: Option<i64>) -> Result<SourceMail> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(SourceMail { octets: with_crlf(text), flags: flags(name), keywords: Vec::new(), received_at })
}

/// Maildirs keep bare LF; the wire and we keep CRLF.
fn with_crlf(text: Vec<u8>) -> Vec<u8> {
    let bare = |at: usize| at == 0 || text[at - 1] != b'\r';
    let count = memchr::memchr_iter(b'\n', &text).filter(|at| bare(*at)).count();
    if count == 0 {
        return text;
    }
    let mut out = Vec::with_capacity(text.len() + count);
    let mut from = 0;
    for at in memchr::memchr_iter(b'\n', &text).filter(|at| bare(*at)) {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(b"\r\n");
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// Programs keep INTERNALDATE as the file's modification time; the name begins with the time of delivery.
fn received_at(path: &PathBuf) -> Option<i64> {
    let modified = std::fs::metadata(path).ok().and_then(|meta| meta.modified().ok());
    let modified =
        modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|time| time.as_secs() as i64);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    modified.or_else(|| name.split('.').next().and_then(|seconds| seconds.parse().ok()))
}

fn flags(name: &str) -> FlagBits {
    let letters = name.rsplit_once(":2,").map_or("", |(_, letters)| letters);
    letters.chars().fold(FlagBits::NONE, |flags, letter| match letter {
        'S' => flags.with(FlagBits::SEEN),
        'R' => flags.with(FlagBits::ANSWERED),
        'F' => flags.with(FlagBits::FLAGGED),
        'T' => flags.with(FlagBits::DELETED),
        'D' => flags.with(FlagBits::DRAFT),
        _ => flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_name() {
        assert_eq!(flags("1.2.host:2,FS"), FlagBits::FLAGGED.with(FlagBits::SEEN));
        assert_eq!(flags("1.2.host"), FlagBits::NONE);
    }

    #[test]
    fn line_ends_become_crlf_once() {
        assert_eq!(with_crlf(b"a\nb\r\n\n".to_vec()), b"a\r\nb\r\n\r\n");
        assert_eq!(with_crlf(b"a\r\n".to_vec()), b"a\r\n");
    }

    #[test]
    fn folders_of_maildir_plus_plus_and_of_directories() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["", ".Sent", ".Work.&U,BTFw-", "Lists/rust"] {
            for part in ["cur", "new", "tmp"] {
                std::fs::create_dir_all(dir.path().join(folder).join(part)).unwrap();
            }
        }
        let names: Vec<String> = folders(dir.path()).unwrap().iter().map(|f| f.mailbox.to_string()).collect();
        assert_eq!(names, ["INBOX", "Lists/rust", "Sent", "Work/台北"]);
    }
}
