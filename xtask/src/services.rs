//! A private PostgreSQL and Redis: on free ports, in a temporary folder, gone when dropped.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;
use tempfile::TempDir;

use crate::packages;
use crate::process::{self, POLL, Stop};

mod postgres;
mod redis;
pub(crate) mod server;

/// Names a superuser's URL of a PostgreSQL in which each test makes a database of its own.
pub(crate) const POSTGRES_VARIABLE: &str = "TODOKU_TEST_POSTGRES";

/// Names the URL of a Redis that tests may fill and empty.
pub(crate) const REDIS_VARIABLE: &str = "TODOKU_TEST_REDIS";

/// How often another port is tried when somebody took the one found free.
const PORT_TRIES: u32 = 3;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// What to run with the services; without it they run until Ctrl-C
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// `cargo xtask services`
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let services = Services::start(&stop)?;
    for (name, url) in services.variables() {
        println!("export {name}={url}");
    }
    let Some((program, rest)) = args.command.split_first() else {
        eprintln!("xtask: running until Ctrl-C");
        while stop.signal().is_none() {
            sleep(POLL);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = Command::new(program);
    process::clean_environment(&mut command);
    command.args(rest).envs(services.variables());
    Ok(process::exit_code(process::run(&mut command, &stop)?))
}

/// The two running servers. Dropping it stops them and removes their files.
pub(crate) struct Services {
    // The order matters: the servers are dropped, which stops them, before their folder is.
    postgres: postgres::Postgres,
    redis: redis::Redis,
    _dir: TempDir,
}

impl Services {
    /// Installs what is missing and starts both servers; returns when both answer.
    pub(crate) fn start(stop: &Stop) -> Result<Self> {
        let programs = packages::ensure_servers(stop)?;
        let begun = Instant::now();
        let dir = tempfile::Builder::new().prefix("todoku-").tempdir().context("no temporary folder")?;
        let owner = Owner::choose()?;
        owner.open_to_all(dir.path())?;
        let mut redis = redis::Redis::start(&programs.redis, dir.path(), &owner)?;
        let postgres = postgres::Postgres::start(&programs.postgres_bin, dir.path(), &owner, stop)?;
        redis.wait_ready(stop)?;
        eprintln!(
            "xtask: PostgreSQL on port {}, Redis on port {} ({:.1} s)",
            postgres.port(),
            redis.port(),
            begun.elapsed().as_secs_f32()
        );
        Ok(Self { postgres, redis, _dir: dir })
    }

    /// The numbers of both processes.
    pub(crate) fn process_ids(&self) -> [u32; 2] {
        [self.postgres.process_id(), self.redis.process_id()]
    }

    /// The environment variables that tell tests where the servers are.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [(POSTGRES_VARIABLE, self.postgres.url()), (REDIS_VARIABLE, self.redis.url())]
    }
}

/// Whose processes the servers are: PostgreSQL refuses to be root's.
#[derive(Clone)]
pub(crate) struct Owner(Option<(u32, u32)>);

impl Owner {
    /// Ourselves; or, when we are root, `postgres` or else `nobody`.
    fn choose() -> Result<Self> {
        if !process::is_root() {
            return Ok(Self(None));
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        match ["postgres", "nobody"].iter().find_map(|name| ids_of(name, &passwd)) {
            Some(ids) => Ok(Self(Some(ids))),
            None => bail!("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`"),
        }
    }

    /// A command that runs `program` as this user, in `dir`; the signal named `death` ends it quickly.
    pub(crate) fn command(&self, program: &Path, dir: &Path, death: &str) -> Command {
        use std::os::unix::process::CommandExt as _;
        let mut command = match process::find_program("setpriv") {
            // Where there is `setpriv`, the kernel ends the server even when we are killed outright.
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", death]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(dir);
        // A group of its own keeps the terminal's Ctrl-C away: servers end after the tests, not with them.
        command.process_group(0);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes the folder `name` in `dir` that belongs to this user alone.
    pub(crate) fn folder(&self, dir: &Path, name: &str) -> Result<PathBuf> {
        use std::os::unix::fs::{DirBuilderExt as _, chown};
        let folder = dir.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&folder).context("cannot make a folder")?;
        if let Some((user, group)) = self.0 {
            chown(&folder, Some(user), Some(group)).context("cannot give a folder away")?;
        }
        Ok(folder)
    }

    /// Lets another user reach its own folder inside `dir`.
    fn open_to_all(&self, dir: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        if self.0.is_some() {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?;
        }
        Ok(())
    }
}

/// User and group number of `name` in the text of `/etc/passwd`.
pub(crate) fn ids_of(name: &str, passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// A TCP port of 127.0.0.1 that nobody listened on a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(socket.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_whole_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgresx:x:7:8::/:\npostgres:x:101:104:a,b:/var:/bin/sh\n";
        assert_eq!(ids_of("postgres", passwd), Some((101, 104)));
        assert_eq!(ids_of("nobody", passwd), None);
    }
}
