//! Ratchets: no file outgrows a sitting and no function a screen, except those listed with a reason.

use super::Report;
use super::source::SourceFile;

/// Lines of a file, not counting its `#[cfg(test)]` modules.
const FILE_LIMIT: usize = 450;

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LIMIT: usize = 80;

/// Something longer than its limit that may stay as it is, and may not grow.
pub(super) struct Grandfathered {
    /// `crates/x/src/y.rs` for a file, `crates/x/src/y.rs::name` for a function.
    pub(super) what: &'static str,
    /// How long it may be.
    pub(super) lines: usize,
    /// Why it is better long than divided.
    pub(super) reason: &'static str,
}

/// The list only shrinks: divide what is new instead of adding it here, unless there is a reason to write down.
pub(super) const GRANDFATHERED: &[Grandfathered] = &[];

/// Compares every file and function with its limit.
pub(super) fn check(files: &[SourceFile], list: &[Grandfathered], report: &mut Report) {
    let mut too_long = Vec::new();
    for file in files {
        let lines = file.lines_without_tests();
        if lines > FILE_LIMIT {
            too_long.push((file.path.clone(), lines, FILE_LIMIT));
        }
        // A test is as long as its table of cases.
        let is_test = file.path.contains("/tests/") || file.path.ends_with("/tests.rs");
        for function in file.functions().iter().filter(|function| !is_test && function.lines > FUNCTION_LIMIT)
        {
            let what = format!("{}::{}", file.path, function.name);
            too_long.push((what, function.lines, FUNCTION_LIMIT));
        }
    }
    for (what, lines, limit) in &too_long {
        match list.iter().find(|entry| entry.what == what) {
            Some(entry) if *lines <= entry.lines => {
                report.notes.push(format!("{what}: {lines} lines, allowed: {}", entry.reason));
            }
            Some(entry) => report.faults.push(format!("{what}: grew to {lines} lines from {}", entry.lines)),
            None => report.faults.push(format!("{what}: {lines} lines, the limit is {limit}")),
        }
    }
    for entry in list.iter().filter(|entry| !too_long.iter().any(|(what, ..)| what == entry.what)) {
        report.notes.push(format!("{}: no longer too long; take it off the list in sizes.rs", entry.what));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function_of(lines: usize) -> SourceFile {
        let body = "    x();\n".repeat(lines - 2);
        SourceFile::new("a.rs".into(), &format!("fn long() {{\n{body}}}\n"))
    }

    fn check_one(file: SourceFile, list: &[Grandfathered]) -> Report {
        let mut report = Report::default();
        check(&[file], list, &mut report);
        report
    }

    #[test]
    fn the_limits_are_exact() {
        assert!(check_one(function_of(FUNCTION_LIMIT), &[]).faults.is_empty());
        assert_eq!(check_one(function_of(FUNCTION_LIMIT + 1), &[]).faults.len(), 1);
        let file = |lines| SourceFile::new("a.rs".into(), &"x\n".repeat(lines));
        assert!(check_one(file(FILE_LIMIT), &[]).faults.is_empty());
        assert_eq!(check_one(file(FILE_LIMIT + 1), &[]).faults.len(), 1);
    }

    #[test]
    fn what_is_listed_may_stay_and_not_grow() {
        let list = [Grandfathered { what: "a.rs::long", lines: 90, reason: "a table" }];
        let stays = check_one(function_of(90), &list);
        assert!(stays.faults.is_empty() && stays.notes[0].contains("a table"));
        assert_eq!(check_one(function_of(91), &list).faults.len(), 1);
        let shrunk = check_one(function_of(20), &list);
        assert!(shrunk.faults.is_empty() && shrunk.notes[0].contains("off the list"));
    }
}
