//! Many scripts: found, run side by side, and told about.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::parse::Script;
use super::run::{Account, Outcome, Subject, run};

/// No script takes longer: one that waits three times in vain is ended by its first failure.
const SCRIPT_LIMIT: Duration = Duration::from_secs(120);

/// Who the scripts are about.
pub const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// A script and what became of it.
#[derive(Debug)]
pub struct Verdict {
    /// Its path below the scripts' folder.
    pub name: String,
    /// How it ended; an error tells line, expectation and dialogue.
    pub result: Result<Outcome>,
}

/// The `.test` files below `folder` whose path contains `filter`, in order of their names.
///
/// # Errors
/// When a folder cannot be read.
pub fn find(folder: &Path, filter: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| format!("cannot read {}", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "test")
                && path.to_string_lossy().contains(filter)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Runs one script of a file.
///
/// # Errors
/// What is wrong with it: line, expectation and dialogue.
pub async fn run_file(path: &Path, subject: &Subject, accounts: &[Account]) -> Result<Outcome> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let script = Script::parse(&text).with_context(|| format!("{}", path.display()))?;
    timeout(SCRIPT_LIMIT, run(&script, subject, accounts))
        .await
        .unwrap_or_else(|_| Err(anyhow::anyhow!("not finished after {SCRIPT_LIMIT:?}")))
        .map_err(|error| anyhow::anyhow!("{}: {error:#}", path.display()))
}

/// Runs the scripts, at most `at_once` of them side by side. `accounts` makes those of the n-th script.
///
/// # Errors
/// Only when a script's task itself broke; failures of scripts are verdicts.
pub async fn run_files(
    files: &[PathBuf],
    subject: &Subject,
    at_once: usize,
    accounts: impl Fn(usize) -> Vec<Account>,
) -> Result<Vec<Verdict>> {
    let turns = Arc::new(Semaphore::new(at_once));
    let mut running = JoinSet::new();
    for (index, path) in files.iter().enumerate() {
        let (path, subject, accounts) = (path.clone(), subject.clone(), accounts(index));
        let turns = Arc::clone(&turns);
        running.spawn(async move {
            let _turn = turns.acquire_owned().await;
            let result = run_file(&path, &subject, &accounts).await;
            Verdict { name: path.display().to_string(), result }
        });
    }
    let mut verdicts = Vec::with_capacity(files.len());
    while let Some(verdict) = running.join_next().await {
        verdicts.push(verdict.context("a script's task broke")?);
    }
    verdicts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(verdicts)
}
