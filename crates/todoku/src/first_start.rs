//! What a newcomer meets: an account, a welcome mail, and how to read it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use mail_rpc::pb::{self, append_request::Step};
use mail_rpc::{Refusal, Right};
use service_runtime::Config;

use crate::all::Addresses;
use crate::local::Local;
use crate::welcome;

/// Local part of the first account.
const LOCAL_PART: &str = "me";

/// The account made at the first start.
pub(crate) struct FirstAccount {
    address: String,
    password: String,
}

/// Makes an account with a welcome mail if there is none at all.
pub(crate) async fn account(config: &Config, local: &Local) -> Result<Option<FirstAccount>> {
    let admin = local.auth.admin();
    if !admin.account_list().await?.is_empty() {
        return Ok(None);
    }
    let domain = config.domains.local.first().map_or("localhost", String::as_str);
    let address = format!("{LOCAL_PART}@{domain}");
    let password = auth::generate_password();
    let limit = config.quota.default_bytes.as_u64();
    let account =
        local.account_add(&address, &password, limit).await.context("cannot make the first account")?;
    let message = welcome::message(&address, jiff::Timestamp::now());
    let start = pb::AppendStart {
        owner: 0,
        grant: local.grant(account, Right::Own),
        mailbox: "INBOX".to_owned(),
        ..pb::AppendStart::default()
    };
    let header = pb::AppendMessage { size: message.len() as u64, ..pb::AppendMessage::default() };
    let steps =
        [Step::Start(start), Step::Message(header), Step::Chunk(message.into()), Step::Finish(pb::Finish {})];
    let steps = steps.map(|step| pb::AppendRequest { step: Some(step) });
    local
        .mailbox
        .append(tokio_stream::iter(steps))
        .await
        .map_err(Refusal::from)
        .context("cannot deliver the welcome mail")?;
    Ok(Some(FirstAccount { address, password }))
}

/// Says where everything is, and at the first start how to read the first mail.
pub(crate) fn print(config: &Config, addresses: &Addresses, first: Option<&FirstAccount>) {
    println!("\nTodoku is ready. / Todoku の準備ができました。\n");
    if let Some(first) = first {
        println!("  Address    {}", first.address);
        println!(
            "  Password   {}   (shown only this once; `todoku account passwd` makes a new one)\n",
            first.password
        );
    }
    let line = |name: &str, clear: Option<SocketAddr>, how: &str, tls: Option<SocketAddr>| {
        let clear = clear.map(|address| format!("{address} ({how})"));
        let tls = tls.map(|address| format!("{address} (TLS)"));
        let listeners: Vec<String> = clear.into_iter().chain(tls).collect();
        if !listeners.is_empty() {
            println!("  {name:<5} {}", listeners.join("   "));
        }
    };
    line("IMAP", addresses.imap, "STARTTLS", addresses.imaps);
    line("POP3", addresses.pop3, "STLS", addresses.pop3s);
    line("LMTP", addresses.lmtp, "from your MTA", None);
    line("SMTP", addresses.smtp, "inbound mail", None);
    if let Some(http) = addresses.http {
        println!("  HTTP  http://{http}/healthz  /readyz  /metrics");
    }
    println!("  data  {}\n", config.data.dir.display());
    if let (Some(first), Some(imaps)) = (first, addresses.imaps) {
        println!("  Read your first mail: / 最初のメールを読む:");
        println!("  curl -k 'imaps://{imaps}/INBOX;MAILINDEX=1' -u '{}:{}'\n", first.address, first.password);
    }
    println!("  Ctrl-C stops the server.\n");
}
