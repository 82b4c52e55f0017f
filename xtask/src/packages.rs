//! Programs of the system that the tests use: found, or installed where that is ours to do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, Stop};

/// A program and the Debian package that brings it.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    /// The program as it is called.
    pub(crate) program: &'static str,
    /// Its package in Debian and Ubuntu.
    pub(crate) debian: &'static str,
}

const POSTGRES: Package = Package { program: "initdb", debian: "postgresql" };
const REDIS: Package = Package { program: "redis-server", debian: "redis-server" };

/// Mail clients and tools of the real world that journeys are run with.
///
/// A test that needs one which is not there says so and is skipped.
pub(crate) const CLIENTS: &[Package] = &[
    Package { program: "curl", debian: "curl" },
    Package { program: "python3", debian: "python3" },
    Package { program: "mutt", debian: "mutt" },
    Package { program: "mbsync", debian: "isync" },
    Package { program: "fetchmail", debian: "fetchmail" },
    Package { program: "swaks", debian: "swaks" },
    Package { program: "offlineimap", debian: "offlineimap3" },
    Package { program: "getmail", debian: "getmail6" },
    Package { program: "neomutt", debian: "neomutt" },
    Package { program: "postfix", debian: "postfix" },
];

/// Where the servers' programs are.
pub(crate) struct Servers {
    /// The folder of PostgreSQL's `initdb` and `postgres`.
    pub(crate) postgres_bin: PathBuf,
    /// The program `redis-server`.
    pub(crate) redis: PathBuf,
}

/// Finds PostgreSQL and Redis, and installs what is missing when this is a Debian-like system and we are root.
pub(crate) fn ensure_servers(stop: &Stop) -> Result<Servers> {
    let mut missing = Vec::new();
    if find_postgres().is_none() {
        missing.push(POSTGRES);
    }
    if process::find_program(REDIS.program).is_none() {
        missing.push(REDIS);
    }
    if !missing.is_empty() {
        let names = debian_names(&missing);
        if !can_install() {
            bail!(
                "the tests need {} and do not find it; on Debian or Ubuntu: sudo apt-get install {}",
                names.join(" and "),
                names.join(" ")
            );
        }
        update(stop)?;
        install(&names, stop)?;
    }
    match (find_postgres(), process::find_program(REDIS.program)) {
        (Some(postgres_bin), Some(redis)) => Ok(Servers { postgres_bin, redis }),
        _ => bail!("PostgreSQL or Redis was installed and its programs are still not found"),
    }
}

/// Finds these programs, and installs what is missing when this is a Debian-like system and we are root.
pub(crate) fn ensure(packages: &[Package], stop: &Stop) -> Result<()> {
    let missing = || {
        packages.iter().copied().filter(|package| process::find_program(package.program).is_none()).collect()
    };
    let mut lacking: Vec<Package> = missing();
    if !lacking.is_empty() && can_install() {
        update(stop)?;
        install(&debian_names(&lacking), stop)?;
        lacking = missing();
    }
    if lacking.is_empty() {
        return Ok(());
    }
    bail!(
        "something is missing; on Debian or Ubuntu: sudo apt-get install {}",
        debian_names(&lacking).join(" ")
    )
}

/// Finds or installs the clients, and says which of them are not to be had.
pub(crate) fn ensure_clients(stop: &Stop) -> Result<()> {
    let mut missing = missing_clients();
    if !missing.is_empty() && can_install() {
        update(stop)?;
        if install(&debian_names(&missing), stop).is_err() {
            // One that is not in this distribution must not keep the others away.
            for client in missing_clients() {
                let _ = install(&[client.debian], stop);
            }
        }
        stop.check()?;
        missing = missing_clients();
    }
    if !missing.is_empty() {
        let programs: Vec<_> = missing.iter().map(|client| client.program).collect();
        eprintln!("xtask: NOT INSTALLED: {}; tests that need them are skipped", programs.join(", "));
        eprintln!("xtask: on Debian or Ubuntu: sudo apt-get install {}", debian_names(&missing).join(" "));
    }
    Ok(())
}

fn missing_clients() -> Vec<Package> {
    CLIENTS.iter().copied().filter(|client| process::find_program(client.program).is_none()).collect()
}

fn debian_names(packages: &[Package]) -> Vec<&'static str> {
    packages.iter().map(|package| package.debian).collect()
}

fn can_install() -> bool {
    process::is_root()
        && Path::new("/etc/debian_version").exists()
        && process::find_program("apt-get").is_some()
}

fn update(stop: &Stop) -> Result<()> {
    eprintln!("xtask: apt-get update");
    process::run_checked(Command::new("apt-get").args(["update", "-qq"]), stop)
}

fn install(names: &[&str], stop: &Stop) -> Result<()> {
    eprintln!("xtask: apt-get install {}", names.join(" "));
    let mut command = Command::new("apt-get");
    command.args(["install", "-y", "-qq", "-o", "Dpkg::Use-Pty=0", "--no-install-recommends"]).args(names);
    command.env("DEBIAN_FRONTEND", "noninteractive");
    // The packages' own servers are not wanted: in the "runlevel" of maintenance none is started.
    command.env("RUNLEVEL", "1");
    process::run_checked(&mut command, stop)
}

/// The folder of the newest PostgreSQL's programs: Debian's and Red Hat's folders by version, else `PATH`.
fn find_postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    let mut folders: Vec<_> = debian.filter(|(_, bin)| has_postgres(bin)).collect();
    folders.sort();
    folders.pop().map(|(_, bin)| bin).or_else(|| {
        let initdb = process::find_program(POSTGRES.program)?.canonicalize().ok()?;
        initdb.parent().filter(|bin| has_postgres(bin)).map(Path::to_path_buf)
    })
}

fn has_postgres(bin: &Path) -> bool {
    ["initdb", "postgres"].iter().all(|program| process::is_executable(&bin.join(program)))
}
