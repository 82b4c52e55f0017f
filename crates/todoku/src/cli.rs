//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use service_runtime::ByteSize;

use crate::import::Format;

/// Todoku: a receiving mail server. Mail arrives by LMTP or SMTP, is kept, and is read by IMAP4 or POP3.
///
/// Without a command, everything runs in this process on a SQLite database in ./data.
#[derive(Debug, Parser)]
#[command(name = "todoku", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file (TOML). Every key can also be set in the environment, as TODOKU__SECTION__KEY.
    #[arg(long, global = true, value_name = "FILE", env = "TODOKU_CONFIG")]
    pub config: Option<PathBuf>,
    /// Directory of the database, the certificate and what else is kept; instead of [data] dir.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// What to do; `all` if left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in this process: IMAP, POP3, LMTP, SMTP, storage and auth (the default)
    All,
    /// Run an IMAP gateway
    Imap,
    /// Run a POP3 gateway
    Pop3,
    /// Run a delivery gateway: LMTP and inbound SMTP
    Delivery,
    /// Run the mailbox-storage service
    Storage,
    /// Run the auth service
    Auth,
    /// Bring the database to this version's tables; safe while the previous version still serves
    Migrate,
    /// Print the configuration in force, and where each value comes from
    Config,
    /// Make what services prove themselves with: an authority, a certificate each, the grant key
    Certs {
        /// Where the files go; existing ones are kept
        #[arg(long, value_name = "DIR", default_value = "./secrets")]
        dir: PathBuf,
    },
    /// Check the mail store: counters, numbers and contents of one account or of all
    Fsck {
        /// The account; all of them if left out
        address: Option<String>,
        /// Before that, rename mailboxes that nobody finds by their names, which are not in Unicode Normalization Form C
        #[arg(long)]
        repair: bool,
    },
    /// After the database was restored to an earlier moment: raise all numbers that mail programs may have been told since
    ///
    /// To be run while no other process uses the database, and before the first one does again.
    Restored {
        /// Go on after this account, the last one that an interrupted run has told of
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: u64,
    },
    /// Ask the running process on this host whether it is ready; exit status 0 if so
    Health,
    /// Manage accounts, while the server runs or while it does not
    #[command(subcommand)]
    Account(Account),
    /// Show and change who may use the mailboxes of others (RFC 4314), while the server runs or while it does not
    ///
    /// Rights are letters: l see it in the list, r read it, s keep what one has read, w change flags, i add messages,
    /// t mark them as deleted, e expunge them, k make mailboxes below it, x delete or rename it, a change this list, p nothing here.
    /// Good sets are lrs for reading and lrswite for working together. What is set counts at once.
    #[command(subcommand)]
    Acl(Acl),
    /// Import mail of another server or program; safe to interrupt and to run again
    Import {
        /// The account that gets the mail
        address: String,
        /// What the mail is kept in
        format: Format,
        /// The file or directory
        path: PathBuf,
    },
}

/// Managing accounts.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Make an account with its mailboxes; prints a generated password unless one is given
    Add {
        /// The new account's address; its domain becomes one that mail is accepted for
        address: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        /// Most octets of mail, for example 1GiB; 0 for no limit
        #[arg(long, value_name = "SIZE")]
        quota: Option<ByteSize>,
    },
    /// List the accounts with their addresses and what they use
    List,
    /// Change a password; takes effect at once, in every process
    Passwd {
        /// The account
        address: String,
        /// Read the password from the first line of standard input; otherwise one is generated and printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// Show or change what an account may keep
    Quota {
        /// The account
        address: String,
        /// Most octets of mail, for example 1GiB; 0 for no limit. Shows the quota if left out
        size: Option<ByteSize>,
        /// Most messages; 0 for no limit
        #[arg(long, value_name = "N")]
        messages: Option<u64>,
    },
    /// Add or remove another address of an account
    Alias {
        /// The account
        address: String,
        /// The other address; @example.org catches all of a domain that has no other recipient. Lists them if left out
        alias: Option<String>,
        /// Remove it instead
        #[arg(long)]
        remove: bool,
    },
    /// Refuse logins and mail; nothing is deleted
    Disable {
        /// The account
        address: String,
    },
    /// Undo disable
    Enable {
        /// The account
        address: String,
    },
    /// Delete an account with all its mail
    Remove {
        /// The account
        address: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Who may use whose mailboxes.
#[derive(Debug, Subcommand)]
pub enum Acl {
    /// List who has which rights to an account's mailboxes; the owner has all of them and is not named
    List {
        /// The account that owns them
        address: String,
        /// One of its mailboxes; all that are shared if left out
        mailbox: Option<String>,
    },
    /// Give rights to a mailbox, or take some away
    Set {
        /// The account that owns the mailbox
        address: String,
        /// The mailbox, as its owner calls it
        mailbox: String,
        /// An account's address, or `anyone` for everybody who can log in; with `-` in front: rights that are taken away, whoever gave them
        #[arg(allow_hyphen_values = true)]
        who: String,
        /// The letters of the rights; with `+` or `-` in front they are added to those that are there, or removed from them
        #[arg(allow_hyphen_values = true)]
        rights: String,
    },
    /// Remove what is set for somebody
    Remove {
        /// The account that owns the mailbox
        address: String,
        /// The mailbox, as its owner calls it
        mailbox: String,
        /// Whose entry, as `todoku acl list` shows it
        #[arg(allow_hyphen_values = true)]
        who: String,
    },
}
