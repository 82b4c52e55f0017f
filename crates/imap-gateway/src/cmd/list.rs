//! LIST and LSUB (RFC 9051 §6.3.9, RFC 3501 §6.3.9, RFC 5258, RFC 5819, RFC 6154), both from one call to storage.

use std::collections::BTreeMap;

use imap_wire::{
    List, ListLine, ListReturn, Lsub, MailboxAttribute, MetadataOptions, StatusItem, Writer, list_match,
};
use mail_rpc::pb;
use mail_types::{AccountId, HIERARCHY_SEPARATOR, MailboxName, Rights, SpecialUse};

use super::metadata;
use super::status::{StatusLine, deleted_bytes};
use crate::error::{CmdError, CmdResult, Done};
use crate::limits::FLUSH_BYTES;
use crate::others::{Target, Whose, shared_name};
use crate::session::Session;

pub(crate) async fn list(session: &mut Session, list: &List) -> CmdResult {
    if !list.extended && list.patterns.iter().all(String::is_empty) {
        // RFC 9051 §6.3.9: asks for the separator.
        let attributes = &[MailboxAttribute::NoSelect];
        session.writer().list(&ListLine { attributes, name: "", ..ListLine::default() });
        return Done::plain();
    }
    let tree = load(session).await?;
    let patterns: Vec<String> =
        list.patterns.iter().map(|pattern| format!("{}{pattern}", list.reference)).collect();
    let metadata = Metadata::load(session, &tree, list).await?;
    for (name, node) in &tree.nodes {
        if !patterns.iter().any(|pattern| list_match(pattern, name)) {
            continue;
        }
        let Some(line) = tree.line(name, node, list) else { continue };
        line.write(&mut session.writer(), name);
        let Some(state) = &node.state else { continue };
        if list.returns.my_rights && line.selected {
            // RFC 8440 §3
            session.writer().my_rights(name, &node.rights(state).to_string());
        }
        if let Some(items) = &list.returns.status {
            write_status(session, name, node, (state, items)).await?;
        }
        // Annotations are of one's own mailboxes.
        if let Some(metadata) = metadata.as_ref().filter(|_| node.shared.is_none()) {
            metadata.write(session, name, state.mailbox_id);
        }
        if session.connection.queued() >= FLUSH_BYTES {
            session.connection.flush().await?;
        }
    }
    Done::plain()
}

/// The line of the mailbox that was just selected (RFC 9051 §6.3.2), with the name that the client gave if that is another form
/// of it (§6.3.9.7).
pub(crate) async fn write_selected(session: &mut Session, mailbox: &MailboxName) -> Result<(), CmdError> {
    let tree = load(session).await?;
    let given = std::mem::take(&mut session.normalized);
    let old_name = given.iter().find(|(_, name)| name == mailbox).map(|(given, _)| given.as_str());
    // Deleted meanwhile: the next look at it says so.
    let Some(node) = tree.nodes.get(mailbox.as_str()) else { return Ok(()) };
    let asked = List { returns: ListReturn { subscribed: true, ..ListReturn::default() }, ..List::default() };
    if let Some(line) = tree.line(mailbox.as_str(), node, &asked) {
        let name = mailbox.as_str();
        session.writer().list(&ListLine { attributes: &line.attributes, name, child_info: &[], old_name });
    }
    Ok(())
}

/// RFC 9051 §6.3.9.7: which name the mailbox has that the client named in another form.
pub(crate) fn write_normalized(
    session: &mut Session,
    mailbox: &MailboxName,
    attributes: &[MailboxAttribute],
) {
    let given = std::mem::take(&mut session.normalized);
    if !session.enabled.rev2 {
        return;
    }
    for (given, name) in given.iter().filter(|(_, name)| name == mailbox) {
        let old_name = Some(given.as_str());
        session.writer().list(&ListLine { attributes, name: name.as_str(), child_info: &[], old_name });
    }
}

/// Is there a mailbox below this name?
pub(crate) async fn has_children(session: &mut Session, name: &MailboxName) -> Result<bool, CmdError> {
    let tree = load(session).await?;
    Ok(tree.nodes.get(name.as_str()).is_some_and(|node| node.has_children))
}

/// RFC 5819 §2: a mailbox whose state cannot be told is listed all the same.
async fn write_status(
    session: &mut Session,
    name: &str,
    node: &Node,
    (state, items): (&pb::MailboxState, &[StatusItem]),
) -> Result<(), CmdError> {
    let Some(shared) = &node.shared else {
        let whose = Whose::own(session.user()?.account);
        let deleted_bytes = deleted_bytes(session, whose, state, items).await?;
        let append_limit = session.gateway.settings.message_bytes_max;
        StatusLine { name, owner: 0, state, items, deleted_bytes, append_limit }.write(&mut session.writer());
        return Ok(());
    };
    if !node.rights(state).contains(Rights::READ) {
        return Ok(());
    }
    let target = shared.clone();
    match super::status::write_status(session, name, &target, items).await {
        Err(CmdError::No(..)) => Ok(()),
        other => other,
    }
}

pub(crate) async fn lsub(session: &mut Session, lsub: &Lsub) -> CmdResult {
    let pattern = format!("{}{}", lsub.reference, lsub.pattern);
    if lsub.pattern.is_empty() {
        session.writer().lsub(&[MailboxAttribute::NoSelect], "");
        return Done::plain();
    }
    let tree = load(session).await?;
    // RFC 3501 §6.3.9: what % leaves out above a subscribed name is named, and marked.
    let above = pattern.contains('%');
    let mut writer = session.writer();
    for (name, node) in tree.nodes.iter().filter(|(name, _)| list_match(&pattern, name)) {
        if node.subscribed {
            let attributes: &[MailboxAttribute] =
                if node.state.is_none() { &[MailboxAttribute::NoSelect] } else { &[] };
            writer.lsub(attributes, name);
        } else if above && tree.any_below(name, |below| below.subscribed) {
            writer.lsub(&[MailboxAttribute::NoSelect], name);
        }
    }
    Done::plain()
}

/// All names that can be listed, in order.
pub(crate) struct Tree {
    nodes: BTreeMap<String, Node>,
}

#[derive(Default)]
struct Node {
    /// `None`: there is no such mailbox, but there are some below it, or it is subscribed to.
    state: Option<pb::MailboxState>,
    subscribed: bool,
    /// A mailbox below it exists.
    has_children: bool,
    /// Whose it is, if it is not the user's own.
    shared: Option<Target>,
}

impl Node {
    /// RFC 4314 §3.5; an owner has all rights.
    fn rights(&self, state: &pb::MailboxState) -> Rights {
        if self.shared.is_some() { Rights::from_bits(state.rights) } else { Rights::ALL }
    }
}

/// RFC 9590 §3: annotations that LIST tells, by mailbox.
struct Metadata {
    entries: Vec<String>,
    options: MetadataOptions,
    values: BTreeMap<u64, metadata::Values>,
}

impl Metadata {
    async fn load(session: &Session, tree: &Tree, list: &List) -> Result<Option<Self>, CmdError> {
        let Some((options, entries)) = &list.returns.metadata else { return Ok(None) };
        let entries: Vec<String> = entries.iter().map(|entry| entry.to_ascii_lowercase()).collect();
        entries.iter().try_for_each(|entry| metadata::demand_scope(entry))?;
        let states: Vec<&pb::MailboxState> = tree
            .nodes
            .values()
            .filter(|node| node.shared.is_none())
            .filter_map(|node| node.state.as_ref())
            .collect();
        let values = metadata::of_all(session, &states, &entries).await?;
        Ok(Some(Self { entries, options: *options, values }))
    }

    fn write(&self, session: &mut Session, name: &str, mailbox: u64) {
        let nothing = metadata::Values::new();
        let values = self.values.get(&mailbox).unwrap_or(&nothing);
        metadata::write(session, name, values, (self.options, &self.entries));
    }
}

struct Line {
    attributes: Vec<MailboxAttribute>,
    /// The name itself is what was asked for, not only something below it.
    selected: bool,
    child_info: &'static [&'static str],
}

impl Line {
    fn write(&self, writer: &mut Writer<'_>, name: &str) {
        let child_info = self.child_info;
        writer.list(&ListLine { attributes: &self.attributes, name, child_info, old_name: None });
    }
}

async fn load(session: &mut Session) -> Result<Tree, CmdError> {
    let request = pb::ListRequest { grant: session.grant()? };
    let reply = session.gateway.backends.mailbox.list(request).await?;
    Ok(Tree::new(session.user()?.account, reply))
}

impl Tree {
    pub(crate) fn new(account: AccountId, reply: pb::ListReply) -> Self {
        let mut tree = Self { nodes: BTreeMap::new() };
        for state in reply.mailboxes {
            for parent in parents(&state.name) {
                tree.node(parent).has_children = true;
            }
            let node = tree.node(&state.name);
            node.subscribed = state.subscribed;
            node.state = Some(state);
        }
        for shared in reply.shared {
            let Some(state) = shared.state else { continue };
            // Where an owner's address cannot be part of a name, its mailboxes have none.
            let Some(name) = shared_name(&shared.owner_address, &state.name) else { continue };
            for parent in parents(&name) {
                tree.node(parent).has_children = true;
            }
            let node = tree.node(&name);
            node.shared = Some(Target {
                whose: Whose::of(account, AccountId::new(shared.owner)),
                owner_address: shared.owner_address,
                name: state.name.clone(),
            });
            node.state = Some(state);
        }
        for name in reply.ghost_subscriptions {
            for parent in parents(&name) {
                tree.node(parent);
            }
            tree.node(&name).subscribed = true;
        }
        tree
    }

    fn node(&mut self, name: &str) -> &mut Node {
        self.nodes.entry(name.to_owned()).or_default()
    }

    /// RFC 9051 §6.3.9.1; `None`: not selected by the options.
    fn line(&self, name: &str, node: &Node, list: &List) -> Option<Line> {
        let selection = list.selection;
        let selected = |node: &Node| {
            (!selection.subscribed || node.subscribed)
                && (!selection.special_use || node.state.as_ref().is_some_and(|state| state.special_use != 0))
        };
        // What exists only as a name above others is listed as that, and what is subscribed only if that is asked.
        let listed = selected(node) && (selection.subscribed || node.state.is_some() || node.has_children);
        let info_below = selection.recursive_match && self.any_below(name, selected);
        if !listed && !info_below {
            return None;
        }
        let mut attributes = Vec::new();
        match &node.state {
            None => attributes.extend([MailboxAttribute::NonExistent, MailboxAttribute::NoSelect]),
            Some(state) => {
                attributes.extend(SpecialUse::from_number(state.special_use).map(MailboxAttribute::Use));
            }
        }
        attributes.push(match node.has_children {
            true => MailboxAttribute::HasChildren,
            false => MailboxAttribute::HasNoChildren,
        });
        if node.subscribed && (selection.subscribed || list.returns.subscribed) {
            attributes.push(MailboxAttribute::Subscribed);
        }
        let child_info: &[&str] = match (info_below, selection.subscribed) {
            (true, true) => &["SUBSCRIBED"],
            (true, false) => &["SPECIAL-USE"],
            (false, _) => &[],
        };
        Some(Line { attributes, selected: listed, child_info })
    }

    /// The line of a name that something happened to (RFC 5465 §5.4, §5.5).
    pub(crate) fn write_event(&self, writer: &mut Writer<'_>, name: &str, old_name: Option<&str>) {
        self.write_with(writer, name, old_name, Vec::new());
    }

    /// The line of a mailbox that can be listed, and no more (RFC 5465 §3.1).
    pub(crate) fn write_without_access(&self, writer: &mut Writer<'_>, name: &str) {
        self.write_with(writer, name, None, vec![MailboxAttribute::NoAccess]);
    }

    fn write_with(
        &self,
        writer: &mut Writer<'_>,
        name: &str,
        old_name: Option<&str>,
        mut attributes: Vec<MailboxAttribute>,
    ) {
        let nothing = Node::default();
        let node = self.nodes.get(name).unwrap_or(&nothing);
        match &node.state {
            None => attributes.push(MailboxAttribute::NonExistent),
            Some(state) => {
                attributes.extend(SpecialUse::from_number(state.special_use).map(MailboxAttribute::Use));
            }
        }
        attributes.push(match node.has_children {
            true => MailboxAttribute::HasChildren,
            false => MailboxAttribute::HasNoChildren,
        });
        if node.subscribed {
            attributes.push(MailboxAttribute::Subscribed);
        }
        writer.list(&ListLine { attributes: &attributes, name, child_info: &[], old_name });
    }

    fn any_below(&self, name: &str, is: impl Fn(&Node) -> bool) -> bool {
        let prefix = format!("{name}{HIERARCHY_SEPARATOR}");
        self.nodes
            .range(prefix.clone()..)
            .take_while(|(below, _)| below.starts_with(&prefix))
            .any(|(_, node)| is(node))
    }
}

/// The names above a name, from the top.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(HIERARCHY_SEPARATOR).map(|(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(names: &[(&str, bool)], ghosts: &[&str]) -> Tree {
        Tree::new(
            AccountId::new(1),
            pb::ListReply {
                mailboxes: names
                    .iter()
                    .map(|(name, subscribed)| pb::MailboxState {
                        name: (*name).to_owned(),
                        subscribed: *subscribed,
                        ..Default::default()
                    })
                    .collect(),
                ghost_subscriptions: ghosts.iter().map(|name| (*name).to_owned()).collect(),
                ..Default::default()
            },
        )
    }

    fn listed(tree: &Tree, list: &List) -> Vec<String> {
        let mut out = bytes::BytesMut::new();
        for (name, node) in &tree.nodes {
            if let Some(line) = tree.line(name, node, list) {
                line.write(&mut Writer::new(&mut out), name);
            }
        }
        String::from_utf8(out.to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn missing_parents_are_named() {
        let tree = tree(&[("INBOX", true), ("a/b/c", false)], &["gone/x"]);
        assert_eq!(
            listed(&tree, &List::default()),
            [
                "* LIST (\\HasNoChildren) \"/\" INBOX",
                "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" a",
                "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" a/b",
                "* LIST (\\HasNoChildren) \"/\" a/b/c",
            ]
        );
    }

    #[test]
    fn subscribed_names_need_no_mailbox() {
        let tree = tree(&[("INBOX", true), ("a", false), ("a/b", true)], &["gone/x"]);
        let mut list = List { extended: true, ..List::default() };
        list.selection.subscribed = true;
        assert_eq!(
            listed(&tree, &list),
            [
                "* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX",
                "* LIST (\\HasNoChildren \\Subscribed) \"/\" a/b",
                "* LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) \"/\" gone/x",
            ]
        );
        list.selection.recursive_match = true;
        let lines = listed(&tree, &list);
        assert!(
            lines.contains(&"* LIST (\\HasChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))".to_owned()),
            "{lines:?}"
        );
    }
}
