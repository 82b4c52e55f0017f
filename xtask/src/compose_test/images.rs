//! Images without a registry.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use super::{report, run_quietly};
use crate::process::{self, Stop};

/// Debian 12 as small as debootstrap makes it; in the place of `debian:bookworm-slim`.
const DEBIAN: &str = "todoku-test/debian";

/// In the place of `rust:1.95-bookworm`.
const RUST: &str = "todoku-test/rust";

/// Built by the project's Dockerfile.
pub(super) const TODOKU: &str = "todoku-test/todoku";

/// Stages of deploy/stand-ins/Dockerfile.
const SERVERS: [&str; 4] = ["postgres", "redis", "haproxy", "prometheus"];

/// On everything made here, so that what nothing names any more can be told from other people's images.
const LABEL: &str = "todoku-test";

/// Makes what is missing, and the image of `program` in any case. Docker keeps what it has built.
pub(super) fn make(program: &Path, stop: &Stop) -> Result<()> {
    if !exists(DEBIAN)? {
        let begun = std::time::Instant::now();
        debian(stop)?;
        report("debootstrap is done", begun);
    }
    let stand_ins = process::workspace_root().join("deploy/stand-ins");
    for stage in SERVERS {
        run_quietly(build(&format!("todoku-test/{stage}")).args(["--target", stage]).arg(&stand_ins), stop)?;
    }
    todoku(&stand_ins.join("rust"), program, stop)?;
    describe()?;
    run_quietly(
        Command::new("docker").args(["image", "prune", "--force", "--filter"]).arg(format!("label={LABEL}")),
        stop,
    )
}

fn exists(image: &str) -> Result<bool> {
    let output = Command::new("docker").args(["image", "inspect", image]).output()?;
    if output.status.success() {
        return Ok(true);
    }
    let fault = String::from_utf8_lossy(&output.stderr).to_lowercase();
    if !fault.contains("no such image") {
        bail!("Docker does not answer: {}", fault.trim());
    }
    Ok(false)
}

/// `docker build -t IMAGE`, behind the same proxies as this program.
fn build(image: &str) -> Command {
    let mut command = Command::new("docker");
    command.args(["build", "--quiet", "--tag", image]);
    for proxy in ["http_proxy", "https_proxy", "no_proxy"] {
        if std::env::var_os(proxy).is_some() {
            command.args(["--build-arg", proxy]);
        }
    }
    command
}

fn debian(stop: &Stop) -> Result<()> {
    if !process::is_root() {
        bail!("the first run makes a Debian image with debootstrap, which only root can");
    }
    eprintln!("xtask: debootstrap (once; `docker rmi --force {DEBIAN}` has it made anew)");
    let dir = TempDir::new().context("no temporary folder")?;
    let root = dir.path().join("root");
    run_quietly(
        Command::new("debootstrap")
            .args(["--variant=minbase", "--include=ca-certificates", "bookworm"])
            .arg(&root),
        stop,
    )?;
    let archive = dir.path().join("root.tar");
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(&archive).arg("--directory").arg(&root);
    for left_out in
        ["./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/man", "./proc", "./sys"]
    {
        tar.arg(format!("--exclude={left_out}/*"));
    }
    process::run_checked(tar.arg("."), stop)?;
    let mut import = Command::new("docker");
    import.args(["import", "--change", "CMD [\"bash\"]", "--change", &format!("LABEL {LABEL}=yes")]);
    run_quietly(import.arg(&archive).arg(DEBIAN), stop)
}

/// deploy/Dockerfile, with a build stage that hands `program` over instead of compiling it.
fn todoku(stand_in: &Path, program: &Path, stop: &Stop) -> Result<()> {
    let context = TempDir::new().context("no temporary folder")?;
    for file in ["Dockerfile", "cargo"] {
        std::fs::copy(stand_in.join(file), context.path().join(file))?;
    }
    std::fs::copy(program, context.path().join("todoku")).context("cannot copy the program")?;
    run_quietly(build(RUST).arg(context.path()), stop)?;
    let root = process::workspace_root();
    let mut command = build(TODOKU);
    command.args([
        "--build-arg",
        &format!("BUILD_IMAGE={RUST}"),
        "--build-arg",
        &format!("RUN_IMAGE={DEBIAN}"),
    ]);
    run_quietly(command.arg("--file").arg(root.join("deploy/Dockerfile")).arg(&root), stop)
}

/// Prints the size of todoku's image, and whose processes it starts.
fn describe() -> Result<()> {
    let inspect = |image: &str| -> Result<serde_json::Value> {
        let output = Command::new("docker").args(["image", "inspect", image]).output()?;
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(found[0].clone())
    };
    let mebibytes = |image: &serde_json::Value| image["Size"].as_u64().unwrap_or(0) >> 20;
    let (own, base) = (inspect(TODOKU)?, inspect(DEBIAN)?);
    let user = own["Config"]["User"].as_str().unwrap_or_default();
    eprintln!(
        "xtask: image of todoku: {} MiB on a base of {} MiB; it runs as user {user}",
        mebibytes(&own) - mebibytes(&base),
        mebibytes(&base)
    );
    if user.is_empty() || user.starts_with("0") || user.starts_with("root") {
        bail!("the image of todoku runs as root");
    }
    Ok(())
}
