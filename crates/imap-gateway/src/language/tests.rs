use std::path::{Path, PathBuf};

use super::*;

/// Where texts for people are made, and how a line that makes one is known.
const SOURCES: [(&str, Makes); 6] = [
    ("imap-gateway/src", Makes::Sentences),
    ("imap-wire/src/parse", Makes::Errors),
    ("imap-wire/src/step.rs", Makes::Errors),
    ("mail-types/src", Makes::Errors),
    ("mailbox-storage/src", Makes::Refusals),
    ("auth/src/service", Makes::Refusals),
];

#[derive(Clone, Copy)]
enum Makes {
    /// All that begins like a sentence.
    Sentences,
    /// `#[error("...")]`
    Errors,
    /// `Refusal::Limit("..."`, as far as it is shown.
    Refusals,
}

/// Begins like a sentence and is none, or is never shown to a client of IMAP.
const NO_TEXTS: &[&str] = &[
    // The beginning of names.
    "Other users/",
    "Todoku",
    "To",
    "Subject",
    "From",
    "Cc",
    "Bcc",
    "Date",
    "Message-ID",
    "References",
    "In-Reply-To",
    "Content-Type",
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
    "MailboxMetadataChange",
    "ServerMetadataChange",
    // Of sets, ids and SASL, which clients are told of in other words.
    "not a set of numbers",
    "zero is not a message number",
    "a PLAIN message has three parts with a NUL between",
    "a PLAIN message is UTF-8",
    "user name and password must not be empty",
    "the user name or the password is too long",
    "{} out of range: {}",
    "{}",
];

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_file() {
        let name = path.to_string_lossy();
        if name.ends_with(".rs") && !name.contains("tests") && !name.contains("/language/") {
            found.push(path.to_owned());
        }
        return;
    }
    for entry in std::fs::read_dir(path).unwrap() {
        files(&entry.unwrap().path(), found);
    }
}

/// The string literals of a line, with `{}` for what is put into them.
fn literals(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once('"') {
        let mut text = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                '"' => {
                    end = at + 1;
                    break;
                }
                '{' => {
                    text.push_str("{}");
                    chars.by_ref().find(|(_, c)| *c == '}');
                }
                c => text.push(c),
            }
        }
        found.push(text);
        rest = &after[end..];
    }
    found
}

fn texts_of(line: &str, makes: Makes) -> Vec<String> {
    let code = line.trim_start();
    if code.starts_with("//")
        || ["tracing::", "expect(", "assert", "panic!", "reason ="].iter().any(|it| code.contains(it))
    {
        return Vec::new();
    }
    let wanted = match makes {
        Makes::Sentences => true,
        Makes::Errors => code.starts_with("#[error(\""),
        Makes::Refusals => ["AlreadyExists(", "Invalid(", "Declined(", "Exhausted(", "Limit(", "Forbidden("]
            .iter()
            .any(|kind| code.contains(&format!("Refusal::{kind}"))),
    };
    let mut found = if wanted { literals(code) } else { Vec::new() };
    if let Makes::Sentences = makes {
        found.retain(|text| {
            let mut chars = text.chars();
            chars.next().is_some_and(|c| c.is_ascii_uppercase())
                && chars.next().is_some_and(|c| c.is_ascii_lowercase() || c == ' ')
        });
    }
    found
}

#[test]
fn every_text_is_in_every_table() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut missing, mut count) = (Vec::new(), 0);
    for (path, makes) in SOURCES {
        let mut found = Vec::new();
        files(&crates.join(path), &mut found);
        for file in found {
            let source = std::fs::read_to_string(&file).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap();
            // A call to `tracing` may go on for lines.
            let mut in_tracing = false;
            for line in code.lines() {
                in_tracing |= line.contains("tracing::");
                let texts = if in_tracing { Vec::new() } else { texts_of(line, makes) };
                in_tracing &= !line.trim_end().ends_with(';') && !line.trim_end().ends_with("),");
                for text in texts.into_iter().filter(|text| !NO_TEXTS.contains(&text.as_str())) {
                    count += 1;
                    if !ja::TEXTS.iter().any(|(english, _)| *english == text) {
                        missing.push(format!("{}: {text:?}", file.display()));
                    }
                }
            }
        }
    }
    assert!(missing.is_empty(), "no Japanese in language/ja.rs for\n{}", missing.join("\n"));
    assert!(count > 80, "only {count} texts were found");
}

#[test]
fn tables_are_well_formed() {
    for (at, (english, japanese)) in ja::TEXTS.iter().enumerate() {
        assert!(english.is_ascii(), "{english}");
        assert!(!japanese.is_ascii() && !japanese.starts_with('['), "{english}");
        assert_eq!(english.matches("{}").count(), japanese.matches("{}").count(), "{english}");
        assert!(english.matches("{}").count() <= 1, "{english}");
        assert!(ja::TEXTS[..at].iter().all(|(other, _)| other != english), "{english} stands twice");
    }
}

#[test]
fn values_go_into_their_places() {
    let japanese = Language::Japanese.translate().unwrap();
    assert_eq!(japanese("Completed").unwrap(), "完了しました");
    assert_eq!(japanese("Syntax error: expected a space").unwrap(), "構文エラー: a space が必要です");
    assert_eq!(japanese("Work exists already").unwrap(), "Work はすでにあります");
    assert_eq!(japanese("What nobody says"), None);
}

#[test]
fn ranges_are_looked_up() {
    let tag = |range| Language::of_range(range).map(Language::tag);
    assert_eq!(tag("ja"), Some("ja"));
    assert_eq!(tag("JA-jp"), Some("ja"));
    assert_eq!(tag("en-Latn-CA"), Some("en"));
    assert_eq!(tag("i-default"), Some("i-default"));
    assert_eq!(tag("default"), Some("en"));
    assert_eq!(tag("*"), Some("en"));
    assert_eq!(tag("jav"), None);
    assert_eq!(tag("MUL"), None);
}
