//! Which annotations others have changed, for clients that want to be told (RFC 5464 §4.4, RFC 5465 §5.6).

use std::collections::BTreeMap;

use mail_rpc::pb::get_metadata_request::Of;
use mail_types::{MailboxId, ModSeq};
use mailbox_hints::{Subscription, Wake};

use crate::cmd::metadata;
use crate::error::CmdError;
use crate::session::Session;
use crate::state::State;
use crate::watch::Watch;

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

/// How an idling session hears that annotations may have changed.
pub(crate) struct Hearing {
    /// `None`: the selected mailbox is the user's own, and its hints tell.
    own: Option<Subscription>,
    /// Heals lost hints.
    watch: Option<Watch>,
}

impl Hearing {
    /// After ENABLE METADATA; with NOTIFY the client has said otherwise what it wants to hear. Tells what has changed until now.
    ///
    /// # Errors
    /// As storage says.
    pub(crate) async fn start(session: &mut Session) -> Result<Option<Box<Self>>, CmdError> {
        if session.annotations.is_none() || session.notify.is_some() {
            return Ok(None);
        }
        let is_heard = matches!(&session.state, State::Selected(_, selected) if !selected.whose.is_shared());
        let own = match is_heard {
            true => None,
            false => Some(session.gateway.backends.hints.subscribe(session.user()?.account).await),
        };
        session.tell_annotations().await?;
        let mut hearing = Box::new(Self { own, watch: None });
        hearing.watch(session).await?;
        Ok(Some(hearing))
    }

    /// The re-check looks for what changes from now on.
    ///
    /// # Errors
    /// As storage says; the watch that there was goes on.
    pub(crate) async fn watch(&mut self, session: &Session) -> Result<(), CmdError> {
        let list = crate::notify::load(session).await?;
        let everything = (0, MailboxId::new(0));
        let fingerprint = ModSeq::new(list.fingerprint);
        self.watch = Some(session.gateway.recheck.watch(session.grant()?, everything, fingerprint));
        Ok(())
    }

    /// True: the re-check found it. Cancel-safe.
    pub(crate) async fn changed(&mut self) -> bool {
        let Self { own, watch } = self;
        let hint = async {
            match own {
                Some(own) => while !may_tell(&own.changed().await) {},
                None => std::future::pending().await,
            }
        };
        let recheck = async {
            match watch {
                Some(watch) => watch.woken().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = hint => false,
            () = recheck => true,
        }
    }
}

/// Is it a hint that annotations come with?
pub(crate) fn may_tell(wake: &Wake) -> bool {
    match wake {
        Wake::Resync => true,
        Wake::Mailbox { mailbox, .. } => mailbox.get() == 0,
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
