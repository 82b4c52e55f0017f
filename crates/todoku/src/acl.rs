//! `todoku acl …`: who may use whose mailboxes (RFC 4314), for operators. It goes the way of SETACL: who is connected hears of it by Redis,
//! where there is one; rights are asked at every command.

use anyhow::{Context, Result, bail, ensure};
use mail_rpc::pb::set_acl_request::How;
use mail_rpc::{Refusal, Right, pb};
use mail_types::Rights;
use mailbox_hints::Hints;
use service_runtime::Config;

use crate::cli::Acl;
use crate::local::Local;
use crate::wiring;

/// RFC 4314 §2: everybody who can log in.
const ANYONE: &str = "anyone";

/// Does one command.
///
/// # Errors
/// What is wrong with it, and what to do.
pub(crate) async fn run(config: &Config, command: Acl) -> Result<()> {
    let local = Local::open(config, wiring::hints(config, Hints::none())?).await?;
    let result = dispatch(&local, command).await;
    local.close().await;
    for line in result? {
        println!("{line}");
    }
    Ok(())
}

/// The lines to show.
async fn dispatch(local: &Local, command: Acl) -> Result<Vec<String>> {
    match command {
        Acl::List { address, mailbox: Some(mailbox) } => {
            let owner = Owner::find(local, &address).await?;
            let acl = owner.acl(&mailbox).await?;
            Ok(if acl.is_empty() {
                vec![format!("{mailbox} is not shared")]
            } else {
                table(&[(mailbox, acl)])
            })
        }
        Acl::List { address, mailbox: None } => {
            let owner = Owner::find(local, &address).await?;
            let mut shared = Vec::new();
            for mailbox in owner.mailboxes().await? {
                let acl = owner.acl(&mailbox).await?;
                shared.extend((!acl.is_empty()).then_some((mailbox, acl)));
            }
            Ok(if shared.is_empty() { vec![format!("{address} shares no mailbox")] } else { table(&shared) })
        }
        Acl::Set { address, mailbox, who, rights } => {
            let (how, letters) = change(&rights);
            let letters = Rights::parse(letters)?;
            ensure!(letters != Rights::NONE, "say which rights; `todoku acl remove` takes all of them away");
            let owner = Owner::find(local, &address).await?;
            let entry = pb::AclEntry { rights: letters.bits(), ..entry(local, &who).await? };
            owner.set(&mailbox, how, entry).await?;
            let now = owner.acl(&mailbox).await?;
            Ok(if now.is_empty() {
                vec![format!("{mailbox} is not shared")]
            } else {
                table(&[(mailbox, now)])
            })
        }
        Acl::Remove { address, mailbox, who } => {
            let owner = Owner::find(local, &address).await?;
            let acl = owner.acl(&mailbox).await?;
            let Some(held) = acl.into_iter().find(|entry| shown(entry).eq_ignore_ascii_case(&who)) else {
                bail!(
                    "nothing is set for {who} in {mailbox}; `todoku acl list {address} {mailbox}` shows what is"
                );
            };
            owner.set(&mailbox, How::Replace, pb::AclEntry { rights: 0, ..held }).await?;
            Ok(vec![format!("{who} has no entry in {mailbox} any more")])
        }
    }
}

/// What becomes of the rights that are there, and the letters.
fn change(rights: &str) -> (How, &str) {
    match (rights.strip_prefix('+'), rights.strip_prefix('-')) {
        (Some(letters), _) => (How::Add, letters),
        (_, Some(letters)) => (How::Remove, letters),
        _ => (How::Replace, rights),
    }
}

/// Whom somebody means, without rights.
async fn entry(local: &Local, who: &str) -> Result<pb::AclEntry> {
    let (negative, name) = who.strip_prefix('-').map_or((false, who), |name| (true, name));
    if name == ANYONE {
        return Ok(pb::AclEntry { negative, ..Default::default() });
    }
    let account = local.auth.admin().find(name).await?;
    Ok(pb::AclEntry { grantee: account.id.get(), negative, address: account.address, rights: 0 })
}

/// As one names whom an entry is about.
fn shown(entry: &pb::AclEntry) -> String {
    let sign = if entry.negative { "-" } else { "" };
    let who = if entry.grantee == 0 { ANYONE } else { &entry.address };
    format!("{sign}{who}")
}

fn table(shared: &[(String, Vec<pb::AclEntry>)]) -> Vec<String> {
    let entries = shared.iter().flat_map(|(mailbox, acl)| acl.iter().map(move |entry| (mailbox, entry)));
    let lines = entries.map(|(mailbox, entry)| {
        format!("{mailbox:<30} {:<40} {}", shown(entry), Rights::from_bits(entry.rights))
    });
    std::iter::once(format!("{:<30} {:<40} rights", "mailbox", "who")).chain(lines).collect()
}

/// An account whose mailboxes are shared.
struct Owner<'a> {
    local: &'a Local,
    account: auth::Account,
}

impl<'a> Owner<'a> {
    async fn find(local: &'a Local, address: &str) -> Result<Self> {
        Ok(Self { local, account: local.auth.admin().find(address).await? })
    }

    async fn mailboxes(&self) -> Result<Vec<String>> {
        let request = pb::ListRequest { grant: self.local.grant(self.account.id, Right::Own) };
        let list = self.local.mailbox.list(request).await.map_err(Refusal::from)?;
        Ok(list.mailboxes.into_iter().map(|state| state.name).collect())
    }

    async fn acl(&self, mailbox: &str) -> Result<Vec<pb::AclEntry>> {
        let grant = self.local.grant(self.account.id, Right::Own);
        let request = pb::GetAclRequest { grant, owner: 0, name: mailbox.to_owned() };
        let acl = self.local.mailbox.get_acl(request).await.map_err(Refusal::from);
        Ok(acl.with_context(|| format!("{}: {mailbox}", self.account.address))?.entries)
    }

    async fn set(&self, mailbox: &str, how: How, entry: pb::AclEntry) -> Result<()> {
        let request = pb::SetAclRequest {
            grant: self.local.grant(self.account.id, Right::Own),
            owner: 0,
            name: mailbox.to_owned(),
            how: how.into(),
            entry: Some(entry),
            owner_address: self.account.address.clone(),
        };
        let done = self.local.mailbox.set_acl(request).await.map_err(Refusal::from);
        done.with_context(|| format!("{}: {mailbox}", self.account.address))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    async fn acl(local: &Local, line: &str) -> Result<Vec<String>> {
        let cli = Cli::try_parse_from(["todoku", "acl"].into_iter().chain(line.split(' ')))?;
        match cli.command {
            Some(Command::Acl(command)) => dispatch(local, command).await,
            other => bail!("{other:?}"),
        }
    }

    async fn try_all(local: &Local) {
        for name in ["ann", "bob"] {
            local.account_add(&format!("{name}@example.org"), "a long password", 0).await.unwrap();
        }
        let ok = async |line: &str| acl(local, line).await.unwrap();
        let lines = async |line: &str| ok(line).await.split_off(1).join("\n");
        let row = |mailbox: &str, who: &str, rights: &str| format!("{mailbox:<30} {who:<40} {rights}");
        assert_eq!(ok("list ann@example.org").await, ["ann@example.org shares no mailbox"]);
        assert_eq!(
            lines("set ann@example.org INBOX bob@example.org lrs").await,
            row("INBOX", "bob@example.org", "lrs")
        );
        assert_eq!(
            lines("set ann@example.org inbox bob@example.org +wi").await,
            row("inbox", "bob@example.org", "lrswi")
        );
        assert_eq!(
            lines("set ann@example.org INBOX bob@example.org -si").await,
            row("INBOX", "bob@example.org", "lrw")
        );
        ok("set ann@example.org Archive anyone l").await;
        ok("set ann@example.org Archive -bob@example.org r").await;
        let all = lines("list ann@example.org").await;
        assert_eq!(
            all.lines().collect::<Vec<_>>(),
            [
                row("Archive", "anyone", "l"),
                row("Archive", "-bob@example.org", "r"),
                row("INBOX", "bob@example.org", "lrw"),
            ]
        );
        ok("remove ann@example.org Archive -bob@example.org").await;
        ok("remove ann@example.org Archive anyone").await;
        assert_eq!(ok("list ann@example.org Archive").await, ["Archive is not shared"]);
        for wrong in [
            "set ann@example.org INBOX carol@example.org lrs",
            "set carol@example.org INBOX bob@example.org lrs",
            "set ann@example.org Nowhere bob@example.org lrs",
            "set ann@example.org INBOX bob@example.org lrz",
            "set ann@example.org INBOX bob@example.org +",
            "set ann@example.org INBOX ann@example.org lrs",
            "remove ann@example.org INBOX anyone",
            "list ann@example.org Nowhere",
        ] {
            assert!(acl(local, wrong).await.is_err(), "{wrong}");
        }
        assert_eq!(lines("list ann@example.org").await, row("INBOX", "bob@example.org", "lrw"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rights_are_set_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.dir = dir.path().to_owned();
        config.database.url = format!("sqlite:{}", dir.path().join("todoku.db").display()).into();
        config.domains.local = vec!["example.org".to_owned()];
        let local = Local::open(&config, Hints::none()).await.unwrap();
        try_all(&local).await;
        local.close().await;
    }
}
