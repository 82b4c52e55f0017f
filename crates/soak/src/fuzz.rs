//! Fuzzing on the stable compiler: inputs are mutated with a dictionary, and those that make a parser do something new, by the shape
//! of its result, are mutated further. No instrumentation is needed, since our parsers' results tell where they went.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

mod change;
mod targets;

pub use targets::TARGETS;

/// Something that takes octets and must neither panic nor be slow.
pub struct Target {
    /// On the command line, and the corpus' folder.
    pub name: &'static str,
    /// What inputs begin with.
    pub seeds: &'static [&'static [u8]],
    /// What is spliced in.
    pub words: &'static [&'static [u8]],
    /// Runs it; panics if something is wrong. The text's shape is what is new or not.
    pub run: fn(&[u8]) -> String,
}

/// Longest input.
const INPUT_MAX: usize = 4096;
/// One input may take this long, on a machine that does other things too.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Inputs kept for mutation.
const POOL_MAX: usize = 4000;

/// What a run brought.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Inputs tried.
    pub runs: u64,
    /// Different shapes of results.
    pub shapes: usize,
    /// An input that something is wrong with, and what.
    pub failure: Option<(Vec<u8>, String)>,
}

/// Fuzzes `target` for a while. `corpus`: files that are tried first.
pub fn fuzz(target: &Target, corpus: &[Vec<u8>], time: Duration, seed: u64) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut outcome = Outcome::default();
    let mut shapes = HashSet::new();
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut open: Vec<Vec<u8>> =
        target.seeds.iter().map(|seed| seed.to_vec()).chain(corpus.to_vec()).collect();
    let end = Instant::now() + time;
    loop {
        let input = match open.pop() {
            Some(input) => input,
            None if Instant::now() >= end => break,
            None => change::changed(&mut rng, &pool, target.words, INPUT_MAX),
        };
        outcome.runs += 1;
        match attempt(target, &input) {
            Ok(shape) => {
                if shapes.insert(shape) && pool.len() < POOL_MAX {
                    pool.push(input);
                }
            }
            Err(what) => {
                outcome.failure = Some((shrunk(target, input), what));
                break;
            }
        }
    }
    outcome.shapes = shapes.len();
    outcome
}

fn attempt(target: &Target, input: &[u8]) -> Result<u64, String> {
    let begun = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let text = result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?;
    if begun.elapsed() > TIME_MAX {
        return Err(format!("took {:?}", begun.elapsed()));
    }
    Ok(shape_of(&text))
}

/// Numbers, words and strings are all alike; what is left is which variants and how they are nested.
fn shape_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let (mut last, mut quoted) = (' ', false);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
                continue;
            }
            '"' => quoted = !quoted,
            _ if quoted && letter.is_ascii_alphanumeric() => continue,
            _ => {}
        }
        let kind = match letter {
            '0'..='9' => '0',
            'a'..='z' => 'a',
            other if other.is_ascii() => other,
            _ => 'u',
        };
        if kind != last || kind.is_ascii_uppercase() {
            kind.hash(&mut hasher);
        }
        last = kind;
    }
    hasher.finish()
}

/// Leaves out what the failure does not need.
fn shrunk(target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(5);
    let mut piece = input.len() / 2;
    while piece > 0 && Instant::now() < end {
        let mut at = 0;
        while at + piece <= input.len() && Instant::now() < end {
            let shorter = [&input[..at], &input[at + piece..]].concat();
            if attempt(target, &shorter).is_err() {
                input = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    input
}

/// Where inputs that once failed are kept.
pub fn corpus_dir(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

/// What is kept there.
///
/// # Errors
/// When a file cannot be read.
pub fn corpus(target: &str) -> std::io::Result<Vec<Vec<u8>>> {
    let dir = corpus_dir(target);
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    files.iter().map(fs::read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three conditions deep, none of which is in the seeds: what a blind search does not find in this time.
    fn planted(input: &[u8]) -> String {
        let text = String::from_utf8_lossy(input);
        let Some((_, rest)) = text.split_once("(UNCHANGEDSINCE ") else { return "Plain".into() };
        let Some((number, rest)) = rest.split_once(')') else { return "Open".into() };
        let Ok(number) = number.parse::<u64>() else { return "Number(Bad)".into() };
        if number <= u64::from(u32::MAX) {
            return "Number(Small)".into();
        }
        assert!(!rest.contains(".SILENT"), "planted");
        "Number(Large)".into()
    }

    #[test]
    fn a_planted_fault_is_found_and_shrunk() {
        let target = Target {
            name: "planted",
            seeds: &[b"a STORE 1 +FLAGS (\\Seen)\r\n"],
            words: &[b"(UNCHANGEDSINCE ", b")", b"4294967296", b".SILENT", b"1", b" "],
            run: planted,
        };
        let outcome = fuzz(&target, &[], Duration::from_secs(20), 1);
        let (input, what) = outcome.failure.unwrap();
        assert_eq!(what, "planted");
        assert!(input.len() <= 40, "{:?}", String::from_utf8_lossy(&input));
    }

    #[test]
    fn what_failed_once_does_not_fail_again() {
        for target in TARGETS {
            for input in corpus(target.name).unwrap() {
                assert!(attempt(target, &input).is_ok(), "{}: {input:?}", target.name);
            }
        }
    }
}
