//! Who may depend on whom, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process;

/// Libraries that belong to a few crates. A library's name stands for those that begin with it and a dash, too.
const RESERVED: &[(&str, &[&str])] =
    &[("sqlx", &["mailbox-storage", "auth", "test-harness"]), ("redis", &["mailbox-hints"])];

/// The stateless protocol front ends: they know each other and the owners of data only by gRPC.
const GATEWAYS: &[&str] = &["imap-gateway", "pop3-gateway", "delivery-gateway"];

/// The owners of data.
const OWNERS: &[&str] = &["mailbox-storage", "auth"];

/// Crates without I/O, and what would bring it in.
const PURE: &[&str] = &["mail-types", "mail-message", "imap-wire"];
const IMPURE: &[&str] = &["tokio", "async-std", "smol", "mio"];

/// Only tests may use it, and the testers that are programs: it holds the whole system.
const TEST_ONLY: &str = "test-harness";
const TESTERS: &[&str] = &["soak"];

/// Names that say nothing; a crate with one becomes everybody's drawer.
const EMPTY_NAMES: &[&str] = &["common", "core", "util", "utils", "shared", "helper", "helpers", "misc"];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Also a build dependency.
    Normal,
    Dev,
}

/// The members of the workspace and everything they depend on, by name.
#[derive(Default)]
pub(super) struct Workspace {
    members: BTreeSet<String>,
    uses: BTreeMap<String, Vec<(String, Kind)>>,
    roots: Vec<PathBuf>,
}

impl Workspace {
    /// Asks cargo.
    pub(super) fn read() -> Result<Self> {
        let output = process::cargo()
            .args(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .stderr(std::process::Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed");
        }
        Self::from_metadata(&serde_json::from_slice(&output.stdout)?)
            .context("cargo metadata has changed its form")
    }

    fn from_metadata(data: &Value) -> Option<Self> {
        let mut workspace = Self::default();
        let members = data["workspace_members"].as_array()?;
        let mut names = BTreeMap::new();
        for package in data["packages"].as_array()? {
            let name = package["name"].as_str()?;
            names.insert(package["id"].as_str()?, name);
            if members.contains(&package["id"]) {
                workspace.members.insert(name.to_owned());
                workspace.roots.extend(crate_root(package));
            }
        }
        for node in data["resolve"]["nodes"].as_array()? {
            let user = names.get(node["id"].as_str()?)?;
            let uses = workspace.uses.entry((*user).to_owned()).or_default();
            for used in node["deps"].as_array()? {
                let name = names.get(used["pkg"].as_str()?)?;
                let kinds = used["dep_kinds"].as_array()?;
                let only_dev = kinds.iter().all(|kind| kind["kind"] == "dev");
                uses.push(((*name).to_owned(), if only_dev { Kind::Dev } else { Kind::Normal }));
            }
        }
        Some(workspace)
    }

    /// The root file of each member's library, or of its program when it has none.
    pub(super) fn crate_roots(&self) -> Vec<PathBuf> {
        self.roots.clone()
    }

    /// What breaks a rule.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for member in &self.members {
            faults.extend(self.name_fault(member));
            faults.extend(self.reserved_faults(member));
            faults.extend(self.reach_faults(member));
            if self.reaches(member, Kind::Dev).contains(member.as_str()) {
                faults.push(format!("{member} depends on itself by way of its (test) dependencies"));
            }
        }
        faults
    }

    fn name_fault(&self, member: &str) -> Option<String> {
        let empty = member.split(['-', '_']).find(|part| EMPTY_NAMES.contains(part))?;
        Some(format!("{member}: a crate is not called `{empty}`; name what it is about"))
    }

    fn reserved_faults(&self, member: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (used, kind) in self.uses_of(member) {
            for (library, users) in RESERVED {
                let is_it =
                    used.strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
                if is_it && !users.contains(&member) {
                    faults.push(format!("{member} must not use {used}; only {} may", users.join(", ")));
                }
            }
            if used == TEST_ONLY && *kind != Kind::Dev && !TESTERS.contains(&member) {
                faults.push(format!("{member}: {TEST_ONLY} may only be a dev-dependency"));
            }
        }
        faults
    }

    fn reach_faults(&self, member: &str) -> Vec<String> {
        let reached = self.reaches(member, Kind::Normal);
        let mut with_tests = reached.clone();
        with_tests.extend(self.uses_of(member).iter().map(|(name, _)| name.as_str()));
        let mut found: Vec<&&str> = Vec::new();
        if GATEWAYS.contains(&member) {
            found.extend(GATEWAYS.iter().filter(|name| **name != member && with_tests.contains(*name)));
            // A gateway's tests may run against the real services.
            found.extend(OWNERS.iter().filter(|name| reached.contains(*name)));
        } else if PURE.contains(&member) {
            found.extend(IMPURE.iter().filter(|name| with_tests.contains(*name)));
        }
        found
            .into_iter()
            .map(|name| format!("{member} must not depend on {name}, directly or by way of others"))
            .collect()
    }

    fn uses_of(&self, name: &str) -> &[(String, Kind)] {
        self.uses.get(name).map_or(&[], Vec::as_slice)
    }

    /// Everything that `from` depends on, by way of others as well.
    /// With [`Kind::Dev`], what the tests of the workspace's members need is followed, too.
    fn reaches(&self, from: &str, follow: Kind) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&str> = vec![from];
        while let Some(user) = open.pop() {
            for (used, kind) in self.uses_of(user) {
                if (*kind == Kind::Normal || *kind == follow) && found.insert(used.as_str()) {
                    // Foreign crates' tests are not ours.
                    if follow == Kind::Normal || self.members.contains(used) {
                        open.push(used);
                    }
                }
            }
        }
        found
    }
}

fn crate_root(package: &Value) -> Option<PathBuf> {
    let targets = package["targets"].as_array()?;
    let of_kind = |kind: &str| {
        let mut found = targets
            .iter()
            .filter(|target| target["kind"].as_array().is_some_and(|k| k.contains(&kind.into())));
        found.next()
    };
    let target = of_kind("lib").or_else(|| of_kind("bin"))?;
    target["src_path"].as_str().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a -> b` is a dependency, `a ~> b` one of its tests; names that stand on the left are members.
    fn workspace(lines: &[&str]) -> Workspace {
        let mut workspace = Workspace::default();
        for line in lines {
            let (kind, arrow) =
                if line.contains("~>") { (Kind::Dev, " ~> ") } else { (Kind::Normal, " -> ") };
            let (user, used) = line.split_once(arrow).unwrap_or((line, ""));
            workspace.members.insert(user.to_owned());
            if !used.is_empty() {
                workspace.uses.entry(user.to_owned()).or_default().push((used.to_owned(), kind));
            }
        }
        workspace
    }

    fn faults(lines: &[&str]) -> usize {
        workspace(lines).faults().len()
    }

    #[test]
    fn databases_belong_to_their_owners() {
        assert_eq!(faults(&["mailbox-storage -> sqlx", "auth -> sqlx", "mailbox-hints -> redis"]), 0);
        assert_eq!(faults(&["pop3-gateway -> sqlx"]), 1);
        assert_eq!(faults(&["todoku ~> sqlx-core"]), 1);
        assert_eq!(faults(&["mailbox-storage -> redis"]), 1);
        assert_eq!(faults(&["todoku -> redis_like"]), 0);
    }

    #[test]
    fn gateways_know_nobody_behind_the_rpc() {
        assert_eq!(faults(&["imap-gateway -> mail-rpc", "mail-rpc -> tonic"]), 0);
        assert_eq!(faults(&["imap-gateway -> pop3-gateway"]), 1);
        assert_eq!(faults(&["imap-gateway -> line-server", "line-server -> auth"]), 1);
        assert_eq!(faults(&["delivery-gateway -> mailbox-storage"]), 1);
        assert_eq!(faults(&["delivery-gateway ~> mailbox-storage"]), 0);
        assert_eq!(faults(&["delivery-gateway ~> imap-gateway"]), 1);
    }

    #[test]
    fn pure_crates_do_no_io() {
        assert_eq!(faults(&["imap-wire -> bytes", "line-server -> tokio"]), 0);
        assert_eq!(faults(&["imap-wire -> mail-types", "mail-types -> tokio"]), 2);
    }

    #[test]
    fn no_crate_leads_back_to_itself() {
        assert_eq!(faults(&["auth -> mail-rpc", "test-harness -> auth", "todoku ~> test-harness"]), 0);
        assert_eq!(faults(&["auth ~> test-harness", "test-harness -> auth"]), 2);
    }

    #[test]
    fn the_harness_is_for_tests() {
        assert_eq!(faults(&["todoku -> test-harness"]), 1);
        assert_eq!(faults(&["soak -> test-harness"]), 0);
    }

    #[test]
    fn names_say_something() {
        assert_eq!(faults(&["mail-common"]), 1);
        assert_eq!(faults(&["utils"]), 1);
        assert_eq!(faults(&["corelib", "mail-types"]), 0);
    }

    #[test]
    fn this_workspace_is_read() {
        let workspace = Workspace::read().unwrap();
        assert!(workspace.members.contains("xtask") && workspace.members.contains("imap-wire"));
        assert!(workspace.uses_of("xtask").contains(&("clap".to_owned(), Kind::Normal)));
        assert_eq!(workspace.roots.len(), workspace.members.len());
    }
}
