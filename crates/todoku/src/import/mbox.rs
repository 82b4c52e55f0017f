//! mbox files: mails separated by `From ` lines, `>From ` quoting undone (mboxrd), flags in Status and X-Status fields.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mail_types::{FlagBits, MailboxName};

use super::{SourceFolder, SourceMail};

/// How Thunderbird names the directory of the folders below one.
const THUNDERBIRD_SUBFOLDERS: &str = ".sbd";

/// The folders of a source: one file, or every mbox file of a directory and of those below it.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn folders(path: &Path) -> Result<Vec<SourceFolder>> {
    let meta = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if meta.is_file() {
        return Ok(vec![SourceFolder { mailbox: MailboxName::inbox(), path: path.to_owned() }]);
    }
    let mut found = Vec::new();
    walk(path, "", &mut found)?;
    found.sort_by(|a, b| a.mailbox.cmp(&b.mailbox));
    Ok(found)
}

fn walk(dir: &Path, above: &str, found: &mut Vec<SourceFolder>) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
        if path.is_dir() {
            let name = name.strip_suffix(THUNDERBIRD_SUBFOLDERS).unwrap_or(&name).to_owned();
            walk(&path, &join(above, &name), found)?;
        } else if is_mbox(&path)? {
            let stem = name.strip_suffix(".mbox").unwrap_or(&name);
            let mailbox = MailboxName::try_from(join(above, stem).as_str())
                .with_context(|| format!("{}: cannot be a mailbox name; rename the file", path.display()))?;
            found.push(SourceFolder { mailbox, path });
        }
    }
    Ok(())
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

/// An mbox file begins with `From `; index files beside it do not. Empty files are empty folders.
fn is_mbox(path: &PathBuf) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 5), &mut start)?;
    Ok(start == b"From ")
}

/// The mails of one file, read one after the other: a file of gigabytes is never in memory.
pub(super) struct Mails {
    lines: BufReader<File>,
    path: PathBuf,
    /// The `From ` line of the next mail.
    separator: Option<Vec<u8>>,
}

impl Mails {
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = BufReader::with_capacity(1 << 20, file);
        let mut first = Vec::new();
        lines.read_until(b'\n', &mut first)?;
        let separator = first.starts_with(b"From ").then_some(first);
        Ok(Self { lines, path: path.to_owned(), separator })
    }

    fn read_mail(&mut self, separator: &[u8]) -> std::io::Result<SourceMail> {
        let mut octets = Vec::new();
        let mut line = Vec::new();
        let mut after_empty = false;
        loop {
            line.clear();
            if self.lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            // Only after an empty line: a sentence that begins with "From " in an unquoted file stays in its mail.
            if after_empty && is_separator(&line) {
                self.separator = Some(std::mem::take(&mut line));
                drop_last_line_end(&mut octets);
                break;
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            after_empty = text.is_empty();
            let unquoted = text.iter().position(|b| *b != b'>').unwrap_or(0);
            let text = if unquoted > 0 && text[unquoted..].starts_with(b"From ") { &text[1..] } else { text };
            octets.extend_from_slice(text);
            octets.extend_from_slice(b"\r\n");
        }
        let received_at = separator_date(separator);
        let flags = take_status(&mut octets);
        Ok(SourceMail { octets, flags, keywords: Vec::new(), received_at })
    }
}

impl Iterator for Mails {
    type Item = Result<SourceMail>;

    fn next(&mut self) -> Option<Self::Item> {
        let separator = self.separator.take()?;
        Some(self.read_mail(&separator).with_context(|| format!("cannot read {}", self.path.display())))
    }
}

/// `From sender Thu Jan  1 00:00:00 1970`: "From ", and a time of day somewhere behind it.
fn is_separator(line: &[u8]) -> bool {
    line.starts_with(b"From ") && separator_date(line).is_some()
}

/// The empty line before a separator belongs to the separator.
fn drop_last_line_end(octets: &mut Vec<u8>) {
    if octets.ends_with(b"\r\n\r\n") || octets == b"\r\n" {
        octets.truncate(octets.len() - 2);
    }
}

/// The date of a `From ` line: asctime (`Jan  1 00:00:00 1970`, taken as UTC; a zone behind the time is honoured), or as in a Date
/// field (`1 Jan 1970 00:00:00 +0900`), which some programs write.
fn separator_date(line: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(line).ok()?.trim_end();
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let time =
        words.iter().rposition(|word| word.split(':').count() >= 2 && word.as_bytes()[0].is_ascii_digit())?;
    let is_year = |word: &&&str| word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit());
    let rest = &words[time + 1..];
    let (day, month, year) = match words.get(time.checked_sub(1)?).filter(is_year) {
        Some(year) => (words.get(time.checked_sub(3)?)?, words.get(time - 2)?, year),
        None => (words.get(time - 1)?, words.get(time.checked_sub(2)?)?, rest.iter().find(is_year)?),
    };
    let zone =
        rest.iter().find(|word| word.len() == 5 && word.starts_with(['+', '-'])).copied().unwrap_or("+0000");
    let clock = words[time];
    let seconds = if clock.split(':').count() == 2 { ":00" } else { "" };
    let text = format!("{day} {month} {year} {clock}{seconds} {zone}");
    jiff::fmt::rfc2822::parse(&text).ok().map(|zoned| zoned.timestamp().as_second())
}

/// Reads the flags of Status, X-Status and X-Mozilla-Status fields, and removes the first two: they are the file's, not the mail's.
fn take_status(octets: &mut Vec<u8>) -> FlagBits {
    let end = memchr::memmem::find(octets, b"\r\n\r\n").map_or(octets.len(), |at| at + 2);
    let mut flags = FlagBits::NONE;
    let mut kept = Vec::with_capacity(octets.len());
    for line in octets[..end].split_inclusive(|b| *b == b'\n') {
        let (name, value) = match line.iter().position(|b| *b == b':') {
            Some(colon) => (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii()),
            None => (Vec::new(), &line[..0]),
        };
        match name.as_slice() {
            b"status" | b"x-status" => flags = flags.with(letters(value)),
            b"x-mozilla-status" => {
                flags = flags.with(mozilla(value));
                kept.extend_from_slice(line);
            }
            _ => kept.extend_from_slice(line),
        }
    }
    kept.extend_from_slice(&octets[end..]);
    *octets = kept;
    flags
}

fn letters(value: &[u8]) -> FlagBits {
    value.iter().fold(FlagBits::NONE, |flags, letter| match letter {
        b'R' => flags.with(FlagBits::SEEN),
        b'A' => flags.with(FlagBits::ANSWERED),
        b'F' => flags.with(FlagBits::FLAGGED),
        b'T' => flags.with(FlagBits::DRAFT),
        b'D' => flags.with(FlagBits::DELETED),
        _ => flags,
    })
}

/// Thunderbird's bits, four hexadecimal digits.
fn mozilla(value: &[u8]) -> FlagBits {
    let bits =
        std::str::from_utf8(value).ok().and_then(|text| u16::from_str_radix(text, 16).ok()).unwrap_or(0);
    [(1, FlagBits::SEEN), (2, FlagBits::ANSWERED), (4, FlagBits::FLAGGED), (8, FlagBits::DELETED)]
        .into_iter()
        .filter(|(bit, _)| bits & bit != 0)
        .fold(FlagBits::NONE, |flags, (_, flag)| flags.with(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<SourceMail> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Mails::open(file.path()).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn mails_flags_and_dates() {
        let mails = read(
            "From a@b Thu Jan  1 00:01:00 1970\nSubject: one\nStatus: RO\nX-Status: AF\n\nFrom here on\n>From quoted\n>>From twice\n\n\
             From c@d Thu, 1 Jan 1970 09:00:00 +0900\nSubject: two\n\nbody\n",
        );
        assert_eq!(mails.len(), 2);
        assert_eq!(
            std::str::from_utf8(&mails[0].octets).unwrap(),
            "Subject: one\r\n\r\nFrom here on\r\nFrom quoted\r\n>From twice\r\n"
        );
        assert_eq!(mails[0].flags, FlagBits::SEEN.with(FlagBits::ANSWERED).with(FlagBits::FLAGGED));
        assert_eq!(mails[0].received_at, Some(60));
        assert_eq!(mails[1].octets, b"Subject: two\r\n\r\nbody\r\n");
    }

    #[test]
    fn a_sentence_after_an_empty_line_is_no_separator() {
        let mails = read("From a@b Thu Jan  1 00:01:00 1970\nSubject: one\n\nx\n\nFrom my point of view\n");
        assert_eq!(mails.len(), 1);
        assert!(mails[0].octets.ends_with(b"From my point of view\r\n"));
    }

    #[test]
    fn thunderbird_flags() {
        let mails = read("From - Thu Jan  1 00:01:00 1970\nX-Mozilla-Status: 0005\nSubject: one\n\nx\n");
        assert_eq!(mails[0].flags, FlagBits::SEEN.with(FlagBits::FLAGGED));
        assert!(mails[0].octets.starts_with(b"X-Mozilla-Status"));
    }

    #[test]
    fn folders_of_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mail = "From a@b Thu Jan  1 00:01:00 1970\n\nx\n";
        std::fs::write(dir.path().join("Inbox"), mail).unwrap();
        std::fs::write(dir.path().join("Inbox.msf"), "// index").unwrap();
        std::fs::create_dir(dir.path().join("Archives.sbd")).unwrap();
        std::fs::write(dir.path().join("Archives.sbd/2026.mbox"), mail).unwrap();
        let names: Vec<String> = folders(dir.path()).unwrap().iter().map(|f| f.mailbox.to_string()).collect();
        assert_eq!(names, ["Archives/2026", "INBOX"]);
    }

    #[test]
    fn an_empty_file_has_no_mail() {
        assert!(read("").is_empty());
        assert!(read("not an mbox\n").is_empty());
    }
}
