//! What CREATE, DELETE, RENAME and SUBSCRIBE do to an account's mailboxes: pure decisions, applied by the database in the
//! transaction in which the tree was read.

use std::collections::HashMap;

use mail_rpc::Refusal;
use mail_types::{AccountId, HIERARCHY_SEPARATOR, MailboxId, MailboxName, Rights, SpecialUse};

use crate::db::MailboxRow;
use crate::sharing::{AclRow, rights_in};

/// Most mailboxes, and most subscriptions to names without a mailbox, of one account: LIST walks them all.
pub(crate) const MAILBOXES_MAX: usize = 10_000;
/// UIDVALIDITY has 32 bits; the counter stops here rather than wrap.
const UIDVALIDITY_MAX: i64 = u32::MAX as i64;

/// All mailboxes of an account.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    pub(crate) next_mailbox_id: i64,
    pub(crate) next_uidvalidity: i64,
    pub(crate) annotation_version: i64,
    /// Ordered by name.
    pub(crate) mailboxes: Vec<MailboxRow>,
    /// Subscribed to, but not there.
    pub(crate) ghosts: Vec<String>,
    /// Names that were in use before, with the largest UIDVALIDITY they had.
    pub(crate) vacated: HashMap<String, i64>,
    /// What others may do; read for changes only.
    pub(crate) acl: Vec<AclRow>,
}

/// Who changes the tree.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    Owner,
    /// Somebody whose rights are looked up.
    Reader(AccountId),
}

/// One step; they are applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TreeChange {
    Create {
        id: MailboxId,
        name: String,
        uidvalidity: i64,
        special_use: i64,
        subscribed: bool,
        keywords: String,
    },
    /// With its messages.
    Delete {
        id: MailboxId,
    },
    Rename {
        id: MailboxId,
        name: String,
        uidvalidity: i64,
        subscribed: bool,
    },
    Subscribe {
        id: MailboxId,
        subscribed: bool,
    },
    Ghost {
        name: String,
        subscribed: bool,
    },
    /// This name was in use under this UIDVALIDITY.
    Vacated {
        name: String,
        uidvalidity: i64,
    },
    /// A new mailbox gets the rights of another.
    Inherit {
        from: MailboxId,
        to: MailboxId,
    },
    /// Moves every message.
    MoveAll {
        from: MailboxId,
        to: MailboxId,
    },
    /// The counters after all that.
    Counters {
        next_mailbox_id: i64,
        next_uidvalidity: i64,
    },
}

/// Mailboxes that every account has, beside INBOX (RFC 6154).
const PROVISIONED: [(&str, SpecialUse); 5] = [
    ("Archive", SpecialUse::Archive),
    ("Drafts", SpecialUse::Drafts),
    ("Junk", SpecialUse::Junk),
    ("Sent", SpecialUse::Sent),
    ("Trash", SpecialUse::Trash),
];

/// The mailboxes that every account has, if it has no INBOX yet.
pub(crate) fn provision(tree: &Tree) -> Result<Vec<TreeChange>, Refusal> {
    if tree.find("INBOX").is_some() {
        return Ok(Vec::new());
    }
    let mut plan = Plan::new(tree);
    plan.make("INBOX", 0, true, String::new())?;
    for (name, special_use) in PROVISIONED {
        plan.make(name, special_use as i64, true, String::new())?;
    }
    plan.finish()
}

/// CREATE, missing parents included (RFC 9051 §6.3.4).
pub(crate) fn create(
    tree: &Tree,
    by: By,
    name: &MailboxName,
    special_use: u32,
) -> Result<Vec<TreeChange>, Refusal> {
    demand_parent(tree, by, name)?;
    if special_use != 0 && SpecialUse::from_number(special_use).is_none() {
        return Err(Refusal::Invalid("unknown special use".into()));
    }
    vacant(tree, by, name)?;
    let mut plan = Plan::new(tree);
    plan.make_parents(name)?;
    plan.make(name.as_str(), i64::from(special_use), false, String::new())?;
    plan.finish()
}

/// DELETE. Inferiors stay, and the name becomes one without a mailbox (RFC 9051 §6.3.5); so does a subscription.
pub(crate) fn delete(tree: &Tree, by: By, name: &MailboxName) -> Result<Vec<TreeChange>, Refusal> {
    demand(tree, by, name)?;
    if name.is_inbox() {
        return Err(Refusal::Declined("INBOX cannot be deleted".into()));
    }
    let row = existing(tree, name)?;
    let mut plan = Plan::new(tree);
    plan.vacate(row);
    plan.changes.push(TreeChange::Delete { id: row.id });
    plan.finish()
}

/// RENAME, inferiors included; of INBOX: its messages move and it stays (RFC 9051 §6.3.6).
pub(crate) fn rename(
    tree: &Tree,
    by: By,
    from: &MailboxName,
    to: &MailboxName,
) -> Result<Vec<TreeChange>, Refusal> {
    demand(tree, by, from)?;
    let row = existing(tree, from)?;
    demand_parent(tree, by, to)?;
    vacant(tree, by, to)?;
    if from.is_inbox() && matches!(by, By::Reader(_)) {
        return Err(Refusal::Declined("only its owner can rename an INBOX".into()));
    }
    let mut plan = Plan::new(tree);
    if from.is_inbox() {
        plan.make_parents(to)?;
        let id = plan.make(to.as_str(), 0, false, row.keywords.clone())?;
        plan.changes.push(TreeChange::MoveAll { from: row.id, to: id });
        return plan.finish();
    }
    if to.is_below(from) {
        return Err(Refusal::Declined("a mailbox cannot be renamed to a name below itself".into()));
    }
    // A parent is never one of those that move, because `to` is not below `from`.
    plan.make_parents(to)?;
    for row in &tree.mailboxes {
        let Ok(name) = MailboxName::try_from(row.name.as_str()) else { continue };
        if name == *from || name.is_below(from) {
            let new = format!("{to}{}", &row.name[from.as_str().len()..]);
            let new =
                MailboxName::try_from(new.as_str()).map_err(|error| Refusal::Limit(error.to_string()))?;
            let taken = tree.find(new.as_str()).is_some_and(|other| {
                MailboxName::try_from(other.name.as_str())
                    .is_ok_and(|other| other != *from && !other.is_below(from))
            });
            if taken {
                return Err(Refusal::AlreadyExists(format!("{new} exists already")));
            }
            plan.rename(row, &new)?;
        }
    }
    plan.finish()
}

/// SUBSCRIBE and UNSUBSCRIBE, of a mailbox or of a name without one (RFC 9051 §6.3.7).
pub(crate) fn subscribe(
    tree: &Tree,
    name: &MailboxName,
    subscribed: bool,
) -> Result<Vec<TreeChange>, Refusal> {
    let ghost = tree.ghosts.iter().any(|ghost| ghost == name.as_str());
    match tree.find(name.as_str()) {
        Some(row) if row.subscribed == subscribed => Ok(Vec::new()),
        Some(row) => Ok(vec![TreeChange::Subscribe { id: row.id, subscribed }]),
        None if ghost == subscribed => Ok(Vec::new()),
        None if subscribed && tree.ghosts.len() >= MAILBOXES_MAX => {
            Err(Refusal::Limit(format!("more than {MAILBOXES_MAX} subscriptions to names without a mailbox")))
        }
        None => Ok(vec![TreeChange::Ghost { name: name.as_str().to_owned(), subscribed }]),
    }
}

/// Names that are not in the form in which they are looked up get it: until then nobody can open them. One whose name is taken
/// in that form gets a number, and those below it go along.
pub(crate) fn normalize(tree: &Tree) -> Result<Vec<TreeChange>, Refusal> {
    let mut plan = Plan::new(tree);
    let mut taken: HashMap<String, &MailboxRow> =
        tree.mailboxes.iter().map(|row| (row.name.clone(), row)).collect();
    let mut moved: HashMap<&str, String> = HashMap::new();
    // Ordered by name: what is above others comes before them.
    for row in &tree.mailboxes {
        let Some(name) = other_form(&row.name) else { continue };
        let above = row.name.rmatch_indices(HIERARCHY_SEPARATOR).find_map(|(at, _)| {
            moved.get(&row.name[..at]).map(|to| format!("{to}{}", mail_types::normalize(&row.name[at..])))
        });
        let to = free(&above.unwrap_or_else(|| name.as_str().to_owned()), &taken)?;
        plan.rename(row, &to)?;
        plan.changes.push(TreeChange::Ghost { name: row.name.clone(), subscribed: false });
        taken.insert(to.as_str().to_owned(), row);
        moved.insert(&row.name, to.as_str().to_owned());
    }
    for ghost in &tree.ghosts {
        let Some(name) = other_form(ghost) else { continue };
        plan.changes.push(TreeChange::Ghost { name: ghost.clone(), subscribed: false });
        plan.changes.push(match taken.get(name.as_str()) {
            Some(row) => TreeChange::Subscribe { id: row.id, subscribed: true },
            None => TreeChange::Ghost { name: name.as_str().to_owned(), subscribed: true },
        });
    }
    if plan.changes.is_empty() { Ok(Vec::new()) } else { plan.finish() }
}

/// The form in which a name is looked up, if it is another. `None` too for what can be no name.
pub(crate) fn other_form(name: &str) -> Option<MailboxName> {
    MailboxName::try_from(name).ok().filter(|normal| normal.as_str() != name)
}

fn free(name: &str, taken: &HashMap<String, &MailboxRow>) -> Result<MailboxName, Refusal> {
    let numbered = (2..).map(|number| format!("{name} {number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains_key(name));
    MailboxName::try_from(free.as_deref().unwrap_or_default())
        .map_err(|error| Refusal::Limit(error.to_string()))
}

impl Tree {
    /// The mailbox of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&MailboxRow> {
        self.mailboxes.iter().find(|row| row.name == name)
    }

    /// The nearest mailbox above a name that exists.
    fn nearest_above(&self, name: &str) -> Option<&MailboxRow> {
        name.rmatch_indices(HIERARCHY_SEPARATOR).find_map(|(at, _)| self.find(&name[..at]))
    }
}

fn existing<'a>(tree: &'a Tree, name: &MailboxName) -> Result<&'a MailboxRow, Refusal> {
    tree.find(name.as_str()).ok_or_else(|| missing(name))
}

/// RFC 4314 §4: the right `x` on a mailbox that is to go. Without any right there is no such mailbox.
fn demand(tree: &Tree, by: By, name: &MailboxName) -> Result<(), Refusal> {
    let By::Reader(reader) = by else { return Ok(()) };
    let rights = existing(tree, name).map(|row| rights_in(&tree.acl, row.id, reader));
    let rights = rights.ok().filter(|rights| rights.has_any(Rights::KNOWING));
    let rights = rights.ok_or_else(|| missing(name))?;
    if rights.contains(Rights::DELETE_MAILBOX) { Ok(()) } else { Err(forbidden()) }
}

/// RFC 4314 §4: the right `k` on the nearest mailbox above a new one.
fn demand_parent(tree: &Tree, by: By, name: &MailboxName) -> Result<(), Refusal> {
    let By::Reader(reader) = by else { return Ok(()) };
    let parent = tree.nearest_above(name.as_str()).map(|row| rights_in(&tree.acl, row.id, reader));
    if parent.is_some_and(|rights| rights.contains(Rights::CREATE)) { Ok(()) } else { Err(forbidden()) }
}

fn forbidden() -> Refusal {
    Refusal::Forbidden("you lack the right to do this".into())
}

fn missing(name: &MailboxName) -> Refusal {
    Refusal::NotFound(format!("there is no mailbox {name}"))
}

fn vacant(tree: &Tree, by: By, name: &MailboxName) -> Result<(), Refusal> {
    match tree.find(name.as_str()) {
        // Of a mailbox that a reader may not know of, nothing is said.
        Some(row)
            if matches!(by, By::Reader(reader)
            if !rights_in(&tree.acl, row.id, reader).has_any(Rights::KNOWING)) =>
        {
            Err(forbidden())
        }
        Some(_) => Err(Refusal::AlreadyExists(format!("{name} exists already"))),
        None => Ok(()),
    }
}

/// Changes in the making.
struct Plan<'a> {
    tree: &'a Tree,
    made: Vec<(String, MailboxId)>,
    next_mailbox_id: i64,
    next_uidvalidity: i64,
    changes: Vec<TreeChange>,
}

impl<'a> Plan<'a> {
    fn new(tree: &'a Tree) -> Self {
        Self {
            tree,
            made: Vec::new(),
            next_mailbox_id: tree.next_mailbox_id,
            next_uidvalidity: tree.next_uidvalidity,
            changes: Vec::new(),
        }
    }

    fn make_parents(&mut self, name: &MailboxName) -> Result<(), Refusal> {
        for (at, _) in name.as_str().match_indices(HIERARCHY_SEPARATOR) {
            let parent = &name.as_str()[..at];
            if self.tree.find(parent).is_none() {
                self.make(parent, 0, false, String::new())?;
            }
        }
        Ok(())
    }

    fn make(
        &mut self,
        name: &str,
        special_use: i64,
        subscribed: bool,
        keywords: String,
    ) -> Result<MailboxId, Refusal> {
        if self.tree.mailboxes.len() + self.made.len() >= MAILBOXES_MAX {
            return Err(Refusal::Exhausted(format!("more than {MAILBOXES_MAX} mailboxes")));
        }
        let id = MailboxId::new(self.next_mailbox_id.unsigned_abs());
        self.next_mailbox_id += 1;
        let ghost = self.settle_ghost(name);
        let uidvalidity = self.uidvalidity()?;
        self.changes.push(TreeChange::Create {
            id,
            name: name.to_owned(),
            uidvalidity,
            special_use,
            subscribed: subscribed || ghost,
            keywords,
        });
        self.inherit(name, id);
        self.made.push((name.to_owned(), id));
        Ok(id)
    }

    /// RFC 4314 §4: a new mailbox inherits the list of the one above it.
    fn inherit(&mut self, name: &str, to: MailboxId) {
        if self.tree.acl.is_empty() {
            return;
        }
        let made = |above: &str| self.made.iter().find(|(name, _)| name == above).map(|(_, id)| *id);
        let from = name.rmatch_indices(HIERARCHY_SEPARATOR).find_map(|(at, _)| {
            let above = &name[..at];
            self.tree.find(above).map(|row| row.id).or_else(|| made(above))
        });
        self.changes.extend(from.map(|from| TreeChange::Inherit { from, to }));
    }

    fn rename(&mut self, row: &MailboxRow, to: &MailboxName) -> Result<(), Refusal> {
        self.vacate(row);
        let ghost = self.settle_ghost(to.as_str());
        // RFC 9051 §2.3.1.1: a name's UIDVALIDITY only grows. The mailbox keeps its own unless the name had a later one.
        let uidvalidity = match self.tree.vacated.get(to.as_str()) {
            Some(before) if *before >= row.uidvalidity => self.uidvalidity()?,
            _ => row.uidvalidity,
        };
        self.changes.push(TreeChange::Rename {
            id: row.id,
            name: to.as_str().to_owned(),
            uidvalidity,
            subscribed: row.subscribed || ghost,
        });
        Ok(())
    }

    /// The name loses its mailbox. RFC 9051 §6.3.9: a subscription to it must stay.
    fn vacate(&mut self, row: &MailboxRow) {
        self.changes.push(TreeChange::Vacated { name: row.name.clone(), uidvalidity: row.uidvalidity });
        if row.subscribed && self.tree.ghosts.len() < MAILBOXES_MAX {
            self.changes.push(TreeChange::Ghost { name: row.name.clone(), subscribed: true });
        }
    }

    /// The name gets a mailbox, which takes over the subscription.
    fn settle_ghost(&mut self, name: &str) -> bool {
        let ghost = self.tree.ghosts.iter().any(|ghost| ghost == name)
            || self.changes.iter().any(
                |change| matches!(change, TreeChange::Ghost { name: ghost, subscribed: true } if ghost == name),
            );
        if ghost {
            self.changes.push(TreeChange::Ghost { name: name.to_owned(), subscribed: false });
        }
        ghost
    }

    fn uidvalidity(&mut self) -> Result<i64, Refusal> {
        if self.next_uidvalidity >= UIDVALIDITY_MAX {
            return Err(Refusal::Limit("no UIDVALIDITY is left in this account".into()));
        }
        self.next_uidvalidity += 1;
        Ok(self.next_uidvalidity - 1)
    }

    fn finish(mut self) -> Result<Vec<TreeChange>, Refusal> {
        self.changes.push(TreeChange::Counters {
            next_mailbox_id: self.next_mailbox_id,
            next_uidvalidity: self.next_uidvalidity,
        });
        Ok(self.changes)
    }
}
