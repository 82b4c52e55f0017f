//! LIST and LSUB.

use super::cursor::{Cursor, Parsed};
use super::mailbox;
use crate::{List, ListReturn, ListSelection, Lsub, MetadataOptions};

/// Most patterns of one LIST: each is compared to every mailbox of the account.
const PATTERNS_MAX: usize = 64;

/// RFC 9051 §9: `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`
pub(super) fn list(cursor: &mut Cursor<'_>) -> Parsed<List> {
    let mut list = List::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.selection = selection(cursor)?;
        cursor.space()?;
    }
    list.reference = reference(cursor)?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = cursor.list(Cursor::list_mailbox)?;
        if list.patterns.len() > PATTERNS_MAX {
            return cursor.expected("fewer patterns");
        }
    } else {
        list.patterns = vec![cursor.list_mailbox()?];
    }
    if !cursor.is_end() {
        list.extended = true;
        cursor.space()?;
        if !cursor.take_word("RETURN") {
            return cursor.expected("RETURN");
        }
        cursor.space()?;
        list.returns = returns(cursor)?;
    }
    Ok(list)
}

fn selection(cursor: &mut Cursor<'_>) -> Parsed<ListSelection> {
    let mut selection = ListSelection::default();
    cursor.list_or_empty(|cursor| {
        match cursor.word().as_str() {
            "SUBSCRIBED" => selection.subscribed = true,
            "REMOTE" => selection.remote = true,
            "RECURSIVEMATCH" => selection.recursive_match = true,
            "SPECIAL-USE" => selection.special_use = true,
            _ => return cursor.expected("a selection option"),
        }
        Ok(())
    })?;
    // RFC 5258 §3: RECURSIVEMATCH alone, or with REMOTE only, is BAD.
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return cursor.expected("another option beside RECURSIVEMATCH");
    }
    Ok(selection)
}

fn returns(cursor: &mut Cursor<'_>) -> Parsed<ListReturn> {
    let mut returns = ListReturn::default();
    cursor.list_or_empty(|cursor| {
        match cursor.word().as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "MYRIGHTS" => returns.my_rights = true,
            "STATUS" => {
                cursor.space()?;
                returns.status = Some(mailbox::status_items(cursor)?);
            }
            "METADATA" => {
                cursor.space()?;
                let entries = cursor.list(mailbox::metadata_entry)?;
                returns.metadata = Some((MetadataOptions::default(), entries));
            }
            _ => return cursor.expected("a return option"),
        }
        Ok(())
    })?;
    Ok(returns)
}

pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<Lsub> {
    cursor.space()?;
    let reference = reference(cursor)?;
    cursor.space()?;
    Ok(Lsub { reference, pattern: cursor.list_mailbox()? })
}

/// It is joined to the patterns, and so may hold wildcards like them.
fn reference(cursor: &mut Cursor<'_>) -> Parsed<String> {
    Ok(crate::pattern::shorten(&mail_types::normalize(&cursor.mailbox_text()?)))
}
