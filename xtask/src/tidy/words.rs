//! What may not stand in the tree: unfinished code, tests that don't run, crates that don't say what they are.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::source::SourceFile;

/// Each with what to do instead.
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!(", "write it, or leave it out"),
    ("unimplemented!(", "write it, or leave it out"),
    ("#[ignore", "a test that cannot run here asks for what it needs and says so; a slow one is made fast"),
];

/// Unfinished code in `file`.
pub(super) fn unfinished(file: &SourceFile) -> Vec<String> {
    let lines = file.code.lines().enumerate();
    let found = lines.flat_map(|(index, line)| {
        let words = UNFINISHED.iter().filter(move |(word, _)| line.contains(word));
        words.map(move |(word, advice)| format!("{}:{}: `{word}`: {advice}", file.path, index + 1))
    });
    found.collect()
}

/// A complaint when the crate whose root file is `krate` has no `//!` documentation.
pub(super) fn missing_crate_doc(root: &Path, krate: &Path) -> Result<Option<String>> {
    let text = std::fs::read_to_string(krate).with_context(|| format!("{}", krate.display()))?;
    let short = krate.strip_prefix(root).unwrap_or(krate);
    let missing = !text.lines().any(|line| line.starts_with("//!"));
    Ok(missing.then(|| format!("{}: no `//!` that says what this crate is for", short.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_code_is_found_where_it_is_code() {
        let text = "// todo!( in a comment\nlet a = \"todo!(\";\n    todo!()\n#[ignore = \"slow\"]\nfn a() { unimplemented!() }\n";
        let found = unfinished(&SourceFile::new("a.rs".into(), text));
        let places: Vec<_> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["a.rs:3", "a.rs:4", "a.rs:5"]);
    }

    #[test]
    fn a_crate_says_what_it_is_for() {
        let dir = tempfile::tempdir().unwrap();
        let krate = dir.path().join("lib.rs");
        std::fs::write(&krate, "#![deny(x)]\n//! Mail.\n").unwrap();
        assert_eq!(missing_crate_doc(dir.path(), &krate).unwrap(), None);
        std::fs::write(&krate, "// Mail.\nfn a() {}\n").unwrap();
        assert!(missing_crate_doc(dir.path(), &krate).unwrap().unwrap().starts_with("lib.rs:"));
    }
}
