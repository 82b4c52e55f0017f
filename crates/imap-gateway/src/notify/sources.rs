//! What wakes a session with NOTIFY: hints of its own account, of rights given to everybody, and of the accounts that share
//! mailboxes with it. A hint of another account tells its client nothing: it only brings a look, and what that shows is decided
//! by rights.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, select_all};
use mail_types::{AccountId, MailboxId};
use mailbox_hints::{Hints, Subscription, Wake};

use crate::limits::NOTIFY_OWNERS_MAX;
use crate::watch::Watch;

/// Whose mailbox (0: the user's own), and which.
pub(super) type Key = (u64, u64);

/// Hints.
pub(super) struct Sources {
    own: Subscription,
    /// Rights that are given to anyone.
    anyone: Option<Subscription>,
    owners: Vec<(u64, Subscription)>,
}

impl Sources {
    /// `shared`: mailboxes of others are of interest.
    pub(super) async fn new(hints: &Hints, account: AccountId, shared: bool) -> Self {
        let anyone = match shared {
            true => Some(hints.subscribe(AccountId::new(0)).await),
            false => None,
        };
        Self { own: hints.subscribe(account).await, anyone, owners: Vec::new() }
    }

    /// Hears of these accounts from now on, and of no others. True: of some only now, so that what is known must be read again.
    /// Beyond a limit the re-check brings what hints do not.
    pub(super) async fn follow(&mut self, hints: &Hints, owners: &BTreeSet<u64>) -> bool {
        self.owners.retain(|(owner, _)| owners.contains(owner));
        let mut more = false;
        for owner in owners.iter().take(NOTIFY_OWNERS_MAX) {
            if self.owners.iter().all(|(known, _)| known != owner) {
                self.owners.push((*owner, hints.subscribe(AccountId::new(*owner)).await));
                more = true;
            }
        }
        more
    }

    /// The next hint, and of whose mail it is. Cancel-safe.
    pub(super) async fn next(&mut self) -> (u64, Wake) {
        let (own, anyone) = (std::iter::once((0, &mut self.own)), self.anyone.iter_mut().map(|one| (0, one)));
        let owners = self.owners.iter_mut().map(|(owner, subscription)| (*owner, subscription));
        let waiting = own.chain(anyone).chain(owners).map(|(owner, subscription)| {
            let hint: BoxFuture<'_, (u64, Wake)> =
                Box::pin(async move { (owner, subscription.changed().await) });
            hint
        });
        select_all(waiting).await.0
    }
}

/// The re-check, which heals lost hints.
#[derive(Default)]
pub(super) struct Watches {
    /// Of all mailboxes.
    pub(super) account: Option<Watch>,
    /// Of the selected one.
    pub(super) selected: Option<(u64, MailboxId, Watch)>,
}

impl Watches {
    /// Cancel-safe.
    pub(super) async fn woken(&self) {
        let account = async {
            match &self.account {
                Some(watch) => watch.woken().await,
                None => std::future::pending().await,
            }
        };
        let selected = async {
            match &self.selected {
                Some((_, _, watch)) => watch.woken().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = account => {}
            () = selected => {}
        }
    }

    pub(super) fn selected(&self) -> Option<Key> {
        self.selected.as_ref().map(|(owner, mailbox, _)| (*owner, mailbox.get()))
    }
}
