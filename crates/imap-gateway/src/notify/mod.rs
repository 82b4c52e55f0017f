//! NOTIFY (RFC 5465): a client that hears of its mailboxes while no command is in progress.
//!
//! Hints say that something happened, never what: of the selected mailbox `sync` tells, of all others the difference between
//! two looks at LIST's data. So a lost or doubled hint changes nothing but the time, and the batched re-check heals it.
//!
//! Mailboxes of others are told of as far as LIST shows them, at each look anew: what rights are withdrawn from is not looked at.

mod changes;
mod lines;
mod sources;
mod spec;

use std::collections::{BTreeMap, BTreeSet};

use imap_wire::{Code, Notify, Status};
use mail_rpc::{Refusal, pb};
use mail_types::{MailboxId, ModSeq, Uid};
use mailbox_hints::Wake;
use tokio::time::{Instant, sleep_until};

use crate::annotations::Told;
use crate::cmd::{context, fetch};
use crate::error::{CmdError, CmdResult, Done};
use crate::fetch::Missing;
use crate::limits::{NOTIFY_LINES_MAX, NOTIFY_PAUSE};
use crate::session::{End, Session};
use crate::state::State;
use crate::sync::Expunges;
use crate::view::Message;
use changes::Known;
use lines::{look_at, write, write_status, write_without_access};
use sources::{Key, Sources, Watches};
pub(crate) use spec::peeking;
use spec::{EVENTS, Refused, Spec};

/// What a session keeps after NOTIFY.
pub(crate) struct Notifier {
    spec: Spec,
    /// `None` when nothing is wanted.
    sources: Option<Sources>,
    known: Known,
    /// A look at the mailboxes is due then.
    look_at: Option<Instant>,
    looked_at: Instant,
    /// Heals lost hints: of the account, and of the selected mailbox.
    watches: Watches,
    /// Messages of the selected mailbox from this UID on have been counted, but not told of with FETCH.
    fresh_from: Option<Uid>,
    /// Among those, the client's own.
    own_messages: BTreeSet<u32>,
    /// Annotations, if they are wanted.
    annotations: Option<Told>,
    /// Names that the client itself has changed since the last look.
    own_names: Vec<String>,
}

/// Why a waiting session goes on.
pub(crate) enum Event {
    Input,
    /// Of whose mail: 0 is the user's own.
    Hint(u64, Wake),
    /// The re-check found something in the selected mailbox or elsewhere.
    Recheck,
    /// It is time for a look.
    Look,
    Shutdown,
}

/// RFC 5465 §3.1
pub(crate) async fn notify(session: &mut Session, notify: Notify) -> CmdResult {
    let (status, groups) = match notify {
        Notify::None => (false, Vec::new()),
        Notify::Set { status, groups } => (status, groups),
    };
    let spec = Spec::new(groups).map_err(|refused| match refused {
        Refused::Bad(text) => CmdError::bad(text),
        Refused::BadEvent => CmdError::no(Code::BadEvent(EVENTS), "An event that is not known here"),
        Refused::TooMuch => CmdError::no(Code::NotificationOverflow, "Too many mailboxes are named"),
    })?;
    // Whatever was wanted until now, the client starts from what is.
    session.notify = None;
    session.enabled.watches = Default::default();
    let wants_nothing = spec.selected.is_none() && !spec.wants_others();
    // Subscribed before the database is read, so that nothing falls between the two.
    let sources = match wants_nothing {
        true => None,
        false => {
            let account = session.user()?.account;
            Some(Sources::new(&session.gateway.backends.hints, account, spec.wants_shared()).await)
        }
    };
    session.sync(Expunges::Announce).await?;
    let mut notifier = Box::new(Notifier {
        spec,
        sources,
        known: Known::default(),
        look_at: None,
        looked_at: Instant::now(),
        watches: Watches::default(),
        fresh_from: None,
        own_messages: BTreeSet::new(),
        annotations: None,
        own_names: Vec::new(),
    });
    if notifier.spec.wants_others() {
        let mut list = load(session).await?;
        if notifier.follow(session, &Known::new(&list)).await {
            list = load(session).await?;
        }
        notifier.known = Known::new(&list);
        write_without_access(session, &list, &notifier);
        notifier.annotations = notifier.spec.wants_annotations().then(|| Told::new(list.metadata_version));
        notifier.watch_account(session, list.fingerprint);
        if status {
            let lines = notifier.known.status(&notifier.spec, selected(session));
            write_status(session, &list, &lines);
        }
    }
    let wanted = notifier.spec.selected.as_ref();
    session.enabled.watches.uid = wanted.is_some();
    session.enabled.watches.hide_flags = wanted.is_none_or(|wanted| !wanted.flags);
    session.enabled.condstore |=
        wanted.and_then(|wanted| wanted.fetch.as_ref()).is_some_and(|plan| plan.tells_mod_seq());
    notifier.watch_selected(session);
    session.notify = Some(notifier);
    Done::plain()
}

/// Waits for input or for news. Cancel-safe.
pub(crate) async fn event(session: &mut Session) -> Result<Event, End> {
    let Session { connection, notify, gateway, state, .. } = session;
    let Some(notifier) = notify else {
        connection.fill().await?;
        return Ok(Event::Input);
    };
    let Notifier { spec, sources, look_at, watches, .. } = &mut **notifier;
    let hint = async {
        match sources {
            Some(sources) => sources.next().await,
            None => std::future::pending().await,
        }
    };
    // Of one's own mailboxes `sources` hears.
    let selected = async {
        match state {
            State::Selected(_, selected) if selected.whose.is_shared() && spec.selected.is_some() => {
                (selected.whose.to_pb(), selected.subscription.changed().await)
            }
            _ => std::future::pending().await,
        }
    };
    let look = async {
        match look_at {
            Some(at) => sleep_until(*at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        filled = connection.fill() => { filled?; Ok(Event::Input) }
        (owner, wake) = hint => Ok(Event::Hint(owner, wake)),
        (owner, wake) = selected => Ok(Event::Hint(owner, wake)),
        () = watches.woken() => Ok(Event::Recheck),
        () = look => Ok(Event::Look),
        () = gateway.shutdown.wait() => Ok(Event::Shutdown),
    }
}

/// Brings the news. That storage is away is no reason to end: the re-check, or the next hint, comes back to it. `in_idle`: the
/// client has said that it can take expunges now.
pub(crate) async fn handle(session: &mut Session, event: Event, in_idle: bool) -> Result<(), End> {
    let done = match event {
        Event::Input => Ok(()),
        Event::Shutdown => return Err(End::shutdown()),
        Event::Hint(owner, wake) => hinted(session, (owner, wake), in_idle).await,
        Event::Recheck => {
            let done = push(session, in_idle).await;
            if let Some(notifier) = &mut session.notify {
                notifier.look_soon();
            }
            done
        }
        Event::Look => look(session).await,
    };
    match done {
        Ok(()) | Err(CmdError::No(..) | CmdError::BadUrl(_) | CmdError::Bad(..)) => Ok(()),
        Err(CmdError::Bye(code, text)) => Err(End::Bye(code, text.into_owned())),
        Err(CmdError::Disconnected(error)) => Err(error.into()),
    }
}

async fn hinted(session: &mut Session, (owner, wake): (u64, Wake), in_idle: bool) -> Result<(), CmdError> {
    let selected = selected(session);
    let is_news = session.selected().is_ok_and(|selected| {
        (wake == Wake::Resync || selected.whose.to_pb() == owner) && selected.is_news(&wake)
    });
    let Some(notifier) = &mut session.notify else { return Ok(()) };
    let others = match wake {
        Wake::Resync => true,
        Wake::Mailbox { mailbox, .. } => {
            let key = (owner, mailbox.get());
            Some(key) != selected && (mailbox.get() == 0 || notifier.known.is_watched(key, &notifier.spec))
        }
    };
    if others {
        notifier.look_soon();
    }
    if is_news { push(session, in_idle).await } else { Ok(()) }
}

/// News of the selected mailbox.
async fn push(session: &mut Session, in_idle: bool) -> Result<(), CmdError> {
    let Some(wanted) = session.notify.as_ref().and_then(|notifier| notifier.spec.selected.as_ref()) else {
        return Ok(());
    };
    // RFC 5465 §6.1.2
    let expunges = if wanted.delayed && !in_idle { Expunges::Keep } else { Expunges::Announce };
    session.renew_grant().await?;
    session.sync(expunges).await?;
    // RFC 5465 §5.2: what searches say of new messages comes before what they are.
    context::refresh(session).await?;
    session.tell_fresh().await?;
    if let Some(mut notifier) = session.notify.take() {
        notifier.watch_selected(session);
        session.notify = Some(notifier);
    }
    Ok(())
}

/// What has become of the other mailboxes.
async fn look(session: &mut Session) -> Result<(), CmdError> {
    session.renew_grant().await?;
    let (list, new) = match look_at(session).await {
        Ok(found) => found,
        Err(error) => {
            if let Some(notifier) = &mut session.notify {
                notifier.looked_at = Instant::now();
                notifier.look_soon();
            }
            return Err(error);
        }
    };
    let context = (selected(session), session.enabled.condstore);
    let Some(mut notifier) = session.notify.take() else { return Ok(()) };
    let annotations = match &mut notifier.annotations {
        Some(told) => told.news(session).await,
        None => Ok(BTreeMap::new()),
    };
    let own = std::mem::take(&mut notifier.own_names);
    let changes = notifier.known.changes(&new, &notifier.spec, (context.0, context.1, &own));
    if changes.len() > NOTIFY_LINES_MAX {
        // RFC 5465 §5.8
        let text = "Too much has changed, please look for yourself";
        session.writer().untagged(Status::Ok, Code::NotificationOverflow, text);
        notifier.stop();
        session.enabled.watches.hide_flags = true;
    } else {
        write(session, &list, &changes);
        (notifier.look_at, notifier.looked_at) = (None, Instant::now());
        match annotations {
            Ok(mut annotations) => {
                new.retain_wanted(&mut annotations, &notifier.spec);
                session.write_annotations(&list, &annotations);
            }
            Err(_) => notifier.look_soon(),
        }
        notifier.known = new;
        notifier.watch_account(session, list.fingerprint);
        let known = std::mem::take(&mut notifier.known);
        if notifier.follow(session, &known).await {
            notifier.look_soon();
        }
        notifier.known = known;
    }
    session.notify = Some(notifier);
    Ok(())
}

/// LIST's data.
pub(crate) async fn load(session: &Session) -> Result<pb::ListReply, CmdError> {
    let request = pb::ListRequest { grant: session.grant()? };
    Ok(session.gateway.backends.mailbox.list(request).await.map_err(Refusal::from)?)
}

fn selected(session: &Session) -> Option<Key> {
    let selected = session.selected().ok()?;
    Some((selected.whose.to_pb(), selected.mailbox().get()))
}

impl Notifier {
    /// Is there anything to wait for beside input?
    pub(crate) fn is_waiting(&self) -> bool {
        self.sources.is_some()
    }

    /// Messages of the selected mailbox are of no interest, whatever command is in progress (RFC 5465 §3.1).
    pub(crate) fn is_frozen(&self) -> bool {
        self.spec.selected.is_none()
    }

    pub(crate) fn note_own_annotations(&mut self, version: u64) {
        if let Some(told) = &mut self.annotations {
            told.note_own(version);
        }
    }

    /// A look, but no more often than the pause between two allows: hints come in crowds.
    fn look_soon(&mut self) {
        if self.spec.wants_others() {
            let earliest = self.looked_at + NOTIFY_PAUSE;
            self.look_at.get_or_insert_with(|| Instant::now().max(earliest));
        }
    }

    /// As after NOTIFY NONE.
    fn stop(&mut self) {
        self.spec = Spec::default();
        self.sources = None;
        self.known = Known::default();
        self.look_at = None;
        self.watches = Watches::default();
    }

    /// Hears of the accounts whose mailboxes may be wanted. True: of some only from now on.
    async fn follow(&mut self, session: &Session, known: &Known) -> bool {
        match &mut self.sources {
            Some(sources) if self.spec.wants_shared() => {
                sources.follow(&session.gateway.backends.hints, &known.owners()).await
            }
            _ => false,
        }
    }

    fn watch_account(&mut self, session: &Session, fingerprint: u64) {
        let Ok(grant) = session.grant() else { return };
        let watch = session.gateway.recheck.watch(grant, (0, MailboxId::new(0)), ModSeq::new(fingerprint));
        self.watches.account = Some(watch);
    }

    fn watch_selected(&mut self, session: &Session) {
        self.watches.selected = match (&session.state, &self.spec.selected) {
            (State::Selected(user, selected), Some(_)) => {
                let meta = selected.view.snapshot().meta();
                let place = (selected.whose.to_pb(), meta.mailbox);
                let watch = session.gateway.recheck.watch(user.grant.clone(), place, meta.modseq);
                Some((place.0, meta.mailbox, watch))
            }
            _ => None,
        };
    }
}

impl Session {
    /// What other sessions did to the selected mailbox, unless the client said that it does not want to know.
    pub(crate) async fn sync_news(&mut self, expunges: Expunges) -> Result<(), CmdError> {
        if self.wants_no_news() { Ok(()) } else { self.sync(expunges).await }
    }

    /// Has the client said that it does not want to hear of the selected mailbox?
    pub(crate) fn wants_no_news(&self) -> bool {
        self.notify.as_ref().is_some_and(|notifier| notifier.is_frozen())
    }

    /// The client was told with EXISTS of messages above this UID.
    pub(crate) fn note_fresh(&mut self, above: Option<Uid>) {
        let Some(notifier) = &mut self.notify else { return };
        if notifier.spec.selected.as_ref().is_some_and(|wanted| wanted.fetch.is_some()) {
            let first = Uid::new(above.map_or(1, |uid| uid.get().saturating_add(1)));
            notifier.fresh_from = notifier.fresh_from.or(first);
        }
    }

    /// The client made these itself, and asks if it wants to know more (RFC 5465 §5.2).
    pub(crate) fn note_own_messages(&mut self, uids: &[u32]) {
        if let Some(notifier) = self.notify.as_mut().filter(|notifier| notifier.fresh_from.is_some()) {
            notifier.own_messages.extend(uids);
        }
    }

    /// The client made, removed, renamed or subscribed to these itself (RFC 5465 §5).
    pub(crate) fn note_own_names(&mut self, names: &[&str]) {
        if let Some(notifier) = self.notify.as_mut().filter(|notifier| notifier.is_waiting()) {
            notifier.own_names.extend(names.iter().map(|name| (*name).to_owned()));
        }
    }

    /// Another mailbox is selected, or none.
    pub(crate) fn forget_fresh(&mut self) {
        if let Some(notifier) = &mut self.notify {
            notifier.fresh_from = None;
            notifier.own_messages.clear();
        }
    }

    /// After a command: another mailbox may be the selected one.
    pub(crate) fn watch_selected(&mut self) {
        let now = selected(self);
        let Some(mut notifier) = self.notify.take() else { return };
        if notifier.watches.selected() != now {
            notifier.watch_selected(self);
        }
        self.notify = Some(notifier);
    }

    /// FETCH lines of messages that came (RFC 5465 §5.2).
    pub(crate) async fn tell_fresh(&mut self) -> Result<(), CmdError> {
        let Some(notifier) = &mut self.notify else { return Ok(()) };
        let own = std::mem::take(&mut notifier.own_messages);
        let Some(first) = notifier.fresh_from.take() else { return Ok(()) };
        let plan = notifier.spec.selected.as_ref().and_then(|wanted| wanted.fetch.clone());
        let (Some(plan), Ok(selected)) = (plan, self.selected()) else { return Ok(()) };
        let selection = selected.view.select_uids([(first.get(), u32::MAX)]);
        let messages: Vec<Message> = selected
            .view
            .messages(&selection)
            .filter(|message| !own.contains(&message.entry.uid.get()))
            .collect();
        fetch::send(self, &plan, &messages, &mut Missing::default()).await
    }
}
