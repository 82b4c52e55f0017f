//! A database of PostgreSQL that goes away with the test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

/// What to do when the servers are missing.
const ADVICE: &str = "run `cargo xtask test`";

/// Tests may share a process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The value of an environment variable that `cargo xtask test` sets.
pub(crate) fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set: {ADVICE}"))
}

pub(crate) struct Database {
    pub(crate) url: String,
    superuser: String,
    name: String,
}

impl Database {
    pub(crate) fn create() -> Result<Self> {
        let superuser = variable("TODOKU_TEST_POSTGRES")?;
        let name = format!("crash_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (server, _) = superuser.rsplit_once('/').context("TODOKU_TEST_POSTGRES names no database")?;
        let url = format!("{server}/{name}");
        let database = Self { url, superuser, name };
        database.execute(&format!("CREATE DATABASE {}", database.name))?;
        Ok(database)
    }

    /// Cuts every connection to it, whatever is under way: between COMMIT and its answer too.
    pub(crate) fn cut_connections(&self) -> Result<()> {
        self.execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ))
    }

    fn execute(&self, sql: &str) -> Result<()> {
        let mut psql = Command::new(psql());
        let output = psql
            .args([&self.superuser, "-qXc", sql])
            .output()
            .with_context(|| format!("no psql: {ADVICE}"))?;
        ensure!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Err(error) = self.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)) {
            println!("{error:#}");
        }
    }
}

/// Debian keeps the newest one's programs beside the server; elsewhere it is found by name.
fn psql() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let found = versions.map(|version| version.path().join("bin/psql")).find(|path| path.exists());
    found.unwrap_or_else(|| PathBuf::from("psql"))
}
