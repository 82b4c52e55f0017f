//! `cargo xtask differential`: the same mails in Todoku and in a Dovecot, and everything that both say of them compared.
//!
//! A difference is a failure unless [`known::KNOWN`] lists it with the sentence of the standard that decides it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;

use crate::bench::Lent;
use crate::conformance::dovecot::Dovecot;
use crate::process::Stop;

mod client;
mod corpus;
mod known;
mod questions;
mod value;

use client::Client;
use corpus::Mail;
use value::Value;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The program to compare; built in release mode if not given
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Only mails whose name contains this
    #[arg(long, default_value = "")]
    mail: String,
    /// Show the differences that are known, too
    #[arg(long)]
    all: bool,
}

/// The two answers to one question about one mail, or about all of them.
struct Difference {
    mail: String,
    question: String,
    ours: Option<Value>,
    theirs: Option<Value>,
}

/// `cargo xtask differential`
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let dovecot = Dovecot::start(&stop)?;
    let todoku = Lent::start(args.binary.as_deref(), &stop)?;
    let mails: Vec<Mail> =
        corpus::mails().into_iter().filter(|mail| mail.name.contains(&args.mail)).collect();

    let connect = |name, address, (user, password): (String, String)| -> Result<Client> {
        let login = || Client::login(address, &user, &password).context(name);
        login()?.fill(&mails).context(name)?;
        let mut client = login()?;
        client.select()?;
        Ok(client)
    };
    let mut theirs = connect("Dovecot", dovecot.imap(), dovecot.account(0))?;
    let mut ours = connect("Todoku", todoku.imap(), todoku.account(0))?;
    let mut differences = Vec::new();
    let mut asked = 0;
    for (number, mail) in mails.iter().enumerate() {
        stop.check()?;
        let number = number as u32 + 1;
        let structure = ours.fetch(number, "BODYSTRUCTURE")?;
        for item in questions::items(&structure) {
            asked += 1;
            let (a, b) = (ours.fetch(number, &item)?, theirs.fetch(number, &item)?);
            compare(&mut differences, mail.name, &item, a, b);
        }
    }
    for command in questions::commands() {
        stop.check()?;
        asked += 1;
        let (a, b) = (ours.ask(&command)?, theirs.ask(&command)?);
        compare(&mut differences, "*", &command, a, b);
    }
    Ok(report(&differences, mails.len(), asked, args))
}

fn compare(out: &mut Vec<Difference>, mail: &str, question: &str, a: Option<Value>, b: Option<Value>) {
    // RFC 9051 §9, date-day-fixed: a day below ten has a blank or a zero before it.
    let fixed = |value: &Option<Value>| match value {
        Some(Value::Text(date)) if question == "INTERNALDATE" => {
            Some(Value::Text(date.strip_prefix(b"0").or(date.strip_prefix(b" ")).unwrap_or(date).to_vec()))
        }
        other => other.clone(),
    };
    if fixed(&a) != fixed(&b) {
        out.push(Difference { mail: mail.to_owned(), question: question.to_owned(), ours: a, theirs: b });
    }
}

fn report(differences: &[Difference], mails: usize, asked: usize, args: &Args) -> ExitCode {
    let mut unknown = 0;
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for difference in differences {
        let reason = known::reason(difference);
        match reason {
            Some(reason) => *used.entry(reason).or_default() += 1,
            None => unknown += 1,
        }
        if reason.is_none() || args.all {
            println!("--- {}: {}", difference.mail, difference.question);
            println!("    Todoku:  {}", shown(difference.ours.as_ref()));
            println!("    Dovecot: {}", shown(difference.theirs.as_ref()));
            if let Some(reason) = reason {
                println!("    decided: {reason}");
            }
        }
    }
    println!("{mails} mails, {asked} questions, {} different answers:", differences.len());
    for (reason, count) in &used {
        println!("{count:6}  {reason}");
    }
    println!("{unknown:6}  not explained");
    // A part of the corpus cannot show every difference.
    if args.mail.is_empty() {
        for known in known::KNOWN.iter().filter(|known| !used.contains_key(known.decided_by)) {
            println!("        no longer seen: {}", known.decided_by);
        }
    }
    if unknown == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn shown(value: Option<&Value>) -> String {
    const SHOWN: usize = 600;
    let Some(value) = value else { return "(no answer)".to_owned() };
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ... ({} characters)", &text[..end], text.len()),
        None => text,
    }
}
