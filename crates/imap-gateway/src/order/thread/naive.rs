//! REFERENCES as RFC 5256 tells it, step by step over a tree of owned nodes: slow, recursive, and written apart from the real one.

use std::collections::{BTreeMap, HashMap};

use super::{Messages, Node};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Id {
    Known(u64),
    Unique(usize),
    Root,
    Merged(usize),
}

#[derive(Default)]
struct Tree {
    parent: BTreeMap<Id, Id>,
    message: BTreeMap<Id, usize>,
    all: Vec<Id>,
}

impl Tree {
    fn add(&mut self, id: &Id) {
        if !self.all.contains(id) {
            self.all.push(id.clone());
        }
    }
    fn is_descendant(&self, id: &Id, of: &Id) -> bool {
        id == of || self.parent.get(id).is_some_and(|parent| self.is_descendant(parent, of))
    }
    fn children(&self, of: &Id) -> Vec<Id> {
        self.all.iter().filter(|id| self.parent.get(*id) == Some(of)).cloned().collect()
    }
    fn is_dummy(&self, id: &Id) -> bool {
        !self.message.contains_key(id)
    }
    fn delete(&mut self, id: &Id) {
        self.parent.remove(id);
        self.all.retain(|other| other != id);
    }
}

pub(super) fn references(messages: &Messages<'_>) -> Vec<Node> {
    let mut tree = Tree::default();
    let mut ids = Vec::new();
    for (i, keys) in messages.keys.iter().enumerate() {
        let own = Id::Known(keys.id);
        let id = if keys.id == 0 || ids.contains(&own) { Id::Unique(i) } else { own };
        tree.add(&id);
        tree.message.insert(id.clone(), i);
        ids.push(id);
    }
    for (id, keys) in ids.iter().zip(&messages.keys) {
        let references: Vec<Id> = keys.references.iter().map(|id| Id::Known(*id)).collect();
        references.iter().for_each(|id| tree.add(id));
        for pair in references.windows(2) {
            let (a, b) = (&pair[0], &pair[1]);
            if !tree.parent.contains_key(b) && !tree.is_descendant(a, b) {
                tree.parent.insert(b.clone(), a.clone());
            }
        }
        tree.parent.remove(id);
        if let Some(last) = references.last().filter(|last| !tree.is_descendant(last, id)) {
            tree.parent.insert(id.clone(), last.clone());
        }
    }
    // Step 2
    for id in tree.all.clone() {
        tree.parent.entry(id).or_insert(Id::Root);
    }
    prune(&mut tree, &Id::Root);
    merge(&mut tree, messages);
    let mut nodes = Vec::new();
    emit(&tree, messages, &Id::Root, 0, &mut nodes);
    nodes
}

/// Step 3, the deepest first.
fn prune(tree: &mut Tree, at: &Id) {
    for child in tree.children(at) {
        prune(tree, &child);
        if !tree.is_dummy(&child) {
            continue;
        }
        let below = tree.children(&child);
        if below.is_empty() || *at != Id::Root || below.len() == 1 {
            for promoted in below {
                tree.parent.insert(promoted, at.clone());
            }
            tree.delete(&child);
        }
    }
}

fn sorted(tree: &Tree, messages: &Messages<'_>, of: &Id) -> Vec<Id> {
    let mut children = tree.children(of);
    children.sort_by_key(|id| {
        let face = face(tree, messages, id);
        (messages.sent[face], face)
    });
    children
}

fn face(tree: &Tree, messages: &Messages<'_>, id: &Id) -> usize {
    match tree.message.get(id) {
        Some(message) => *message,
        None => tree.message[&sorted(tree, messages, id)[0]],
    }
}

/// Steps 4 and 5.
fn merge(tree: &mut Tree, messages: &Messages<'_>) {
    let reply = |tree: &Tree, id: &Id| tree.message.get(id).is_some_and(|i| messages.keys[*i].is_reply);
    let roots = sorted(tree, messages, &Id::Root);
    let subjects: HashMap<Id, Option<u64>> = roots
        .iter()
        .map(|id| {
            let face = face(tree, messages, id);
            (id.clone(), (!messages.no_subject[face]).then(|| messages.subjects[face]))
        })
        .collect();
    let mut table: HashMap<u64, Id> = HashMap::new();
    for id in &roots {
        let Some(subject) = subjects[id] else { continue };
        match table.get(&subject) {
            None => {
                table.insert(subject, id.clone());
            }
            Some(held) if !tree.is_dummy(held) => {
                if tree.is_dummy(id) || (reply(tree, held) && !reply(tree, id)) {
                    table.insert(subject, id.clone());
                }
            }
            Some(_) => {}
        }
    }
    for id in &roots {
        let Some(subject) = subjects[id] else { continue };
        let held = table[&subject].clone();
        if held == *id || tree.parent.get(id) != Some(&Id::Root) {
            continue;
        }
        match (tree.is_dummy(&held), tree.is_dummy(id)) {
            (true, true) => {
                for child in tree.children(id) {
                    tree.parent.insert(child, held.clone());
                }
                tree.delete(id);
            }
            (true, false) => {
                tree.parent.insert(id.clone(), held);
            }
            (false, _) if reply(tree, id) && !reply(tree, &held) => {
                tree.parent.insert(id.clone(), held);
            }
            (false, _) => {
                let dummy = Id::Merged(tree.all.len());
                tree.add(&dummy);
                tree.parent.insert(dummy.clone(), Id::Root);
                tree.parent.insert(id.clone(), dummy.clone());
                tree.parent.insert(held, dummy.clone());
                table.insert(subject, dummy);
            }
        }
    }
}

/// Step 6, in reading order.
fn emit(tree: &Tree, messages: &Messages<'_>, at: &Id, depth: u32, nodes: &mut Vec<Node>) {
    for child in sorted(tree, messages, at) {
        nodes.push(Node { depth, place: tree.message.get(&child).map(|message| *message as u32) });
        emit(tree, messages, &child, depth + 1, nodes);
    }
}
