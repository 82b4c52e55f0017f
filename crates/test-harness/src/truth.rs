//! What the database says, read and falsified behind the server's back, for tests that compare it with what clients are told.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use mail_rpc::GrantKey;
use mailbox_hints::Hints;
use mailbox_storage::{Storage, StorageConfig, SweepPolicy};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::system::System;

/// A row of `mailbox` with its messages.
#[derive(Debug, Clone, Default)]
pub struct MailboxTruth {
    /// In UTF-8.
    pub name: String,
    /// UIDVALIDITY
    pub uidvalidity: u32,
    /// UIDNEXT
    pub uidnext: u32,
    /// HIGHESTMODSEQ
    pub highest: u64,
    /// Messages, ascending.
    pub rows: Vec<RowTruth>,
}

/// A row of `mailbox_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowTruth {
    /// UID
    pub uid: u32,
    /// Mod-sequence
    pub modseq: u64,
    /// In lower case.
    pub flags: BTreeSet<String>,
    /// Octets.
    pub size: u64,
}

impl System {
    /// The mailboxes of an account. Nobody may write meanwhile: this reads more than once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn truth(&self, address: &str) -> Result<Vec<MailboxTruth>> {
        let of = format!("account_id = (SELECT account_id FROM address WHERE address = '{address}')");
        let columns = ["id", "name", "uidvalidity", "uidnext", "highest_modseq", "keywords"];
        let mut mailboxes = Vec::new();
        for row in self.rows(&columns, &format!("mailbox WHERE {of} ORDER BY mailbox.id")).await? {
            let table = format!(
                "mailbox_message WHERE {of} AND mailbox_id = {} ORDER BY mailbox_message.uid",
                row[0]
            );
            let messages = self.rows(&["uid", "modseq", "flags", "size"], &table).await?;
            mailboxes.push(MailboxTruth {
                name: row[1].clone(),
                uidvalidity: row[2].parse()?,
                uidnext: row[3].parse()?,
                highest: row[4].parse()?,
                rows: messages.iter().map(|message| row_truth(message, &row[5])).collect::<Result<_>>()?,
            });
        }
        Ok(mailboxes)
    }

    /// Changes the database behind the server's back. How many rows that were.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn falsify(&self, sql: &str) -> Result<u64> {
        let (url, sql) = (self.config.database.url.expose(), AssertSqlSafe(sql.to_owned()));
        Ok(if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.context("cannot open the database")?;
            sqlx::query(sql).execute(&mut connection).await?.rows_affected()
        } else {
            let mut connection = PgConnection::connect(url).await.context("cannot reach the database")?;
            sqlx::query(sql).execute(&mut connection).await?.rows_affected()
        })
    }

    /// What `todoku fsck` finds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fsck(&self) -> Result<Vec<String>> {
        let storage = self.storage().await?;
        let report = storage.fsck(None).await?;
        storage.close().await;
        Ok(report.findings.into_iter().map(|finding| finding.what).collect())
    }

    /// Sweeps as the server does every few minutes, keeping `tombstones` of each mailbox. How many are gone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sweep(&self, tombstones: i64) -> Result<u64> {
        let storage = self.storage().await?;
        let swept = storage.sweep(&SweepPolicy { tombstones, ..SweepPolicy::default() }).await?;
        storage.close().await;
        Ok(swept.tombstones)
    }

    /// A storage of our own on the server's database: nobody asks it for mail, so its key opens nothing.
    async fn storage(&self) -> Result<Storage> {
        let url = self.config.database.url.expose().to_owned();
        let key = GrantKey::from_secret(&[7; 32]);
        Ok(Storage::open(StorageConfig::new(url, key, Hints::none())).await?)
    }

    /// Columns as text, so that both databases are read by the same lines.
    async fn rows(&self, columns: &[&str], from: &str) -> Result<Vec<Vec<String>>> {
        let list: Vec<String> = columns.iter().map(|column| format!("CAST({column} AS text)")).collect();
        let sql = AssertSqlSafe(format!("SELECT {} FROM {from}", list.join(", ")));
        let url = self.config.database.url.expose();
        let count = 0..columns.len();
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.context("cannot open the database")?;
            let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
            rows.iter().map(|row| count.clone().map(|index| Ok(row.try_get(index)?)).collect()).collect()
        } else {
            let mut connection = PgConnection::connect(url).await.context("cannot reach the database")?;
            let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
            rows.iter().map(|row| count.clone().map(|index| Ok(row.try_get(index)?)).collect()).collect()
        }
    }
}

fn row_truth(row: &[String], keywords: &str) -> Result<RowTruth> {
    Ok(RowTruth {
        uid: row[0].parse()?,
        modseq: row[1].parse()?,
        flags: flags(row[2].parse()?, keywords),
        size: row[3].parse()?,
    })
}

/// The stored bits, read without `mail-types`.
fn flags(bits: i64, keywords: &str) -> BTreeSet<String> {
    const SYSTEM: [&str; 5] = ["\\seen", "\\answered", "\\flagged", "\\deleted", "\\draft"];
    let is_set = |bit: usize| bits >> bit & 1 == 1;
    let system =
        SYSTEM.iter().enumerate().filter(|(bit, _)| is_set(*bit)).map(|(_, name)| (*name).to_owned());
    let keywords = keywords.split(' ').enumerate().filter(|(index, _)| is_set(index + 8));
    system.chain(keywords.map(|(_, name)| name.to_ascii_lowercase())).collect()
}
