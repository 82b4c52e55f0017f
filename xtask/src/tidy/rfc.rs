//! Pointers such as `RFC 9051 §6.3.4` in comments: each must name a section that the RFC has.
//!
//! The sections are read from the RFC texts where those lie beside the repository, else from the committed index
//! `xtask/rfc-sections.txt`, which holds nothing but section numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::Report;
use super::source::SourceFile;

/// Relative to the workspace: a folder with `rfc9051.txt` and the like, not part of the repository.
const TEXTS: &str = "../shared/rfc";

/// Relative to the workspace.
const INDEX: &str = "xtask/rfc-sections.txt";

/// The sections of each RFC, by its number.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Index(BTreeMap<u32, BTreeSet<String>>);

impl Index {
    /// Reads the committed index and, over it, the RFC texts if they are there.
    pub(super) fn load(root: &Path, notes: &mut Vec<String>) -> Result<Self> {
        let mut index = Self::parse(&std::fs::read_to_string(root.join(INDEX)).context(INDEX)?)?;
        let texts = Self::read_texts(&root.join(TEXTS))?;
        if texts.0.iter().any(|(number, sections)| index.0.get(number) != Some(sections)) {
            notes.push(format!("{INDEX} is older than the RFC texts: cargo xtask tidy --write-rfc-index"));
        }
        index.0.extend(texts.0);
        Ok(index)
    }

    /// The sections in all texts of `folder`; empty when there is no such folder.
    fn read_texts(folder: &Path) -> Result<Self> {
        let mut index = Self::default();
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path: PathBuf = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let number = name.strip_prefix("rfc").and_then(|rest| rest.strip_suffix(".txt"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                let text = std::fs::read(&path)?; // old RFCs are not all UTF-8
                index.0.insert(number, sections(&String::from_utf8_lossy(&text)));
            }
        }
        Ok(index)
    }

    /// Reads lines such as `rfc9051 6.3.4`.
    fn parse(text: &str) -> Result<Self> {
        let mut index = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let entry = line.strip_prefix("rfc").and_then(|rest| rest.split_once(' '));
            let Some((number, section)) = entry else { bail!("{INDEX}: not an entry: {line}") };
            let number = number.parse().with_context(|| format!("{INDEX}: {line}"))?;
            index.0.entry(number).or_default().insert(section.to_owned());
        }
        Ok(index)
    }

    fn to_text(&self) -> String {
        let mut text =
            String::from("# Made by `cargo xtask tidy --write-rfc-index`: the sections of each RFC.\n");
        for (number, sections) in &self.0 {
            for section in sections {
                text.push_str(&format!("rfc{number} {section}\n"));
            }
        }
        text
    }
}

/// Writes the committed index from the RFC texts.
pub(super) fn write_index(root: &Path) -> Result<()> {
    let index = Index::read_texts(&root.join(TEXTS))?;
    if index.0.is_empty() {
        bail!("no RFC texts in {TEXTS}");
    }
    std::fs::write(root.join(INDEX), index.to_text()).context(INDEX)
}

/// Looks up every pointer in the comments of `files`.
pub(super) fn check(files: &[SourceFile], index: &Index, report: &mut Report) {
    let mut unknown = BTreeSet::new();
    for file in files {
        for (line, comment) in file.comments.lines().enumerate() {
            for (number, section) in pointers(comment) {
                match index.0.get(&number) {
                    None => {
                        unknown.insert(number);
                    }
                    Some(sections) if sections.contains(&section) => {}
                    Some(_) => report.faults.push(format!(
                        "{}:{}: RFC {number} has no section {section}",
                        file.path,
                        line + 1
                    )),
                }
            }
        }
    }
    if !unknown.is_empty() {
        let numbers: Vec<_> = unknown.iter().map(u32::to_string).collect();
        report.notes.push(format!("pointers not checked, the index lacks RFC {}", numbers.join(", ")));
    }
}

/// The pointers in one line of comment; `RFC 9051 §6.3.4, §7.1 and §7.2` are three.
fn pointers(comment: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for after in comment.split("RFC").skip(1) {
        let after = after.trim_start_matches([' ', '-']);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let Ok(number) = after[..digits].parse() else { continue };
        let mut rest = &after[digits..];
        while let Some(section) = section_after(&mut rest) {
            found.push((number, section));
        }
    }
    found
}

/// Takes a separator, `§` and a section number from the front of `rest`.
fn section_after(rest: &mut &str) -> Option<String> {
    let mut text = rest.trim_start_matches([' ', ',', ';', '/', '(', '–', '-']);
    for word in ["and ", "or ", "to "] {
        text = text.strip_prefix(word).unwrap_or(text);
    }
    let text = text.strip_prefix('§')?.trim_start_matches(['§', ' ']);
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len());
    let section = text[..length].trim_end_matches('.');
    *rest = &text[section.len()..];
    (!section.is_empty()).then(|| section.to_owned())
}

/// The section numbers in the text of an RFC, with the sections that contain them.
fn sections(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for mut section in text.lines().filter_map(heading) {
        while let Some((parent, _)) = section.rsplit_once('.') {
            found.insert(section);
            section = parent;
        }
        found.insert(section);
    }
    found.into_iter().map(str::to_owned).collect()
}

/// The number of the heading that `line` is: `6.3.4.  DELETE Command`, `Appendix A.  …`, `B.1  …`.
fn heading(line: &str) -> Option<&str> {
    let appendix = line.strip_prefix("Appendix ").or_else(|| line.strip_prefix("APPENDIX "));
    let (number, title) = match appendix {
        Some(rest) => rest.split_at(rest.find([' ', ':', '.', '-']).unwrap_or(rest.len())),
        None => line.split_once([' ', '\t'])?,
    };
    let number = number.trim_end_matches('.');
    let mut parts = number.split('.');
    let first = parts.next()?;
    let is_small = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let is_letter = first.len() == 1 && first.bytes().all(|b| b.is_ascii_uppercase());
    let is_dotted = number.contains('.') || line[number.len()..].starts_with('.');
    let is_first = is_small(first) || (is_letter && (appendix.is_some() || is_dotted));
    let has_title = appendix.is_some() || !title.trim().is_empty();
    (is_first && parts.all(is_small) && has_title).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sections: &[&str]) -> BTreeSet<String> {
        sections.iter().map(|section| (*section).to_owned()).collect()
    }

    #[test]
    fn headings_of_old_and_new_rfcs_are_found() {
        let text = "1. Introduction\n   2. not a heading\n6.3.4.  DELETE Command\n220 ready\nA word\n\
                    Appendix A.  Known Limitations\nB.1.  More\n12   Old style\n3.1.\n9.9.9 Deep\n1999 Year\n";
        let expected = set(&["1", "6.3.4", "6.3", "6", "A", "B.1", "B", "12", "9.9.9", "9.9", "9"]);
        assert_eq!(sections(text), expected);
    }

    #[test]
    fn pointers_are_read_with_their_lists() {
        let read = |comment: &str| {
            let found = pointers(comment).into_iter();
            found.map(|(number, section)| format!("{number}/{section}")).collect::<Vec<_>>()
        };
        assert_eq!(read("/// RFC 9051 §6.3.4."), ["9051/6.3.4"]);
        assert_eq!(
            read("// RFC 9051 §6.3, §7.1 and §A.2; RFC2033 §4.2's"),
            ["9051/6.3", "9051/7.1", "9051/A.2", "2033/4.2"]
        );
        assert_eq!(read("// RFC 9051 says so, see DESIGN §3; RFCs are many"), [""; 0]);
    }

    #[test]
    fn a_pointer_to_nowhere_is_a_fault_and_an_unknown_rfc_a_note() {
        let index = Index::parse("# made\nrfc9051 6.3.4\nrfc9051 6.3\n").unwrap();
        let text = "// RFC 9051 §6.3.4\n// RFC 9051 §6.3.99\nlet a = \"RFC 9051 §9.9\"; // RFC 1 §1\n";
        let mut report = Report::default();
        check(&[SourceFile::new("a.rs".into(), text)], &index, &mut report);
        assert_eq!(report.faults, ["a.rs:2: RFC 9051 has no section 6.3.99"]);
        assert_eq!(report.notes, ["pointers not checked, the index lacks RFC 1"]);
    }

    #[test]
    fn the_index_reads_back_as_it_was_written() {
        let index = Index(BTreeMap::from([(9051, set(&["1", "6.3.4"])), (1939, set(&["5"]))]));
        assert!(Index::parse(&index.to_text()).unwrap() == index);
        assert!(Index::parse("9051 6.3").is_err());
    }
}
