//! Which annotations others have changed, for clients that want to be told (RFC 5464 §4.4, RFC 5465 §5.6).

use std::collections::BTreeMap;

use mail_rpc::pb::get_metadata_request::Of;

use crate::cmd::metadata;
use crate::error::CmdError;
use crate::session::Session;

/// What the client has been told.
#[derive(Debug)]
pub(crate) struct Told {
    /// Everything up to this version.
    since: u64,
    /// Versions that are its own doing.
    own: Vec<u64>,
}

impl Told {
    pub(crate) fn new(since: u64) -> Self {
        Self { since, own: Vec::new() }
    }

    pub(crate) fn note_own(&mut self, version: u64) {
        self.own.push(version);
    }

    /// Names of entries by mailbox; 0 is the server.
    ///
    /// # Errors
    /// As storage says; nothing counts as told then.
    pub(crate) async fn news(&mut self, session: &Session) -> Result<BTreeMap<u64, Vec<String>>, CmdError> {
        let all = metadata::load(session, Of::Everything(true), "", Some(self.since)).await?;
        let mut news: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for annotation in all.into_values().flatten() {
            self.since = self.since.max(annotation.version);
            if !self.own.contains(&annotation.version) {
                news.entry(annotation.mailbox_id).or_default().push(annotation.entry);
            }
        }
        self.own.clear();
        Ok(news)
    }
}

impl Session {
    /// The client itself has set annotations.
    pub(crate) fn note_own_annotations(&mut self, version: u64) {
        if let Some(told) = &mut self.annotations {
            told.note_own(version);
        }
        if let Some(notifier) = &mut self.notify {
            notifier.note_own_annotations(version);
        }
    }

    /// RFC 5464 §4.4: after ENABLE METADATA.
    pub(crate) async fn tell_annotations(&mut self) -> Result<(), CmdError> {
        let Some(mut told) = self.annotations.take() else { return Ok(()) };
        let news = told.news(self).await;
        self.annotations = Some(told);
        let news = news?;
        if news.is_empty() {
            return Ok(());
        }
        let list = crate::notify::load(self).await?;
        self.write_annotations(&list, &news);
        Ok(())
    }

    /// RFC 5464 §4.4.2
    pub(crate) fn write_annotations(
        &mut self,
        list: &mail_rpc::pb::ListReply,
        news: &BTreeMap<u64, Vec<String>>,
    ) {
        for (mailbox, entries) in news {
            let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
            let state = list.mailboxes.iter().find(|state| state.mailbox_id == *mailbox);
            match state.map(|state| state.name.as_str()) {
                Some(name) => self.writer().metadata_names(name, &entries),
                None if *mailbox == 0 => self.writer().metadata_names("", &entries),
                None => {}
            }
        }
    }
}
