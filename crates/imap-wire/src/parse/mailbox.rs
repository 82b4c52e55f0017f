//! Commands on mailboxes and on messages by number, FETCH and the searches aside.

use mail_types::{MailboxName, ModSeq, SpecialUse, UidValidity};

use super::cursor::{Cursor, Fail, Parsed};
use crate::parse::ParseErrorKind;
use crate::{
    AclChange, CommandBody, FlagList, GetMetadata, MetadataDepth, MetadataOptions, Numbering, QResync,
    Select, SequenceSet, SetAcl, StatusItem, Store, StoreAction,
};

/// `SP mailbox`
pub(super) fn one(cursor: &mut Cursor<'_>) -> Parsed<MailboxName> {
    cursor.space()?;
    cursor.mailbox()
}

/// `SP mailbox SP identifier` (RFC 4314 §6)
pub(super) fn and_identifier(cursor: &mut Cursor<'_>) -> Parsed<(MailboxName, String)> {
    let mailbox = one(cursor)?;
    cursor.space()?;
    Ok((mailbox, cursor.astring_text()?))
}

/// `SP sequence-set SP mailbox`
pub(super) fn set_and_mailbox(cursor: &mut Cursor<'_>) -> Parsed<(SequenceSet, MailboxName)> {
    cursor.space()?;
    let set = cursor.sequence_set()?;
    Ok((set, one(cursor)?))
}

pub(super) fn create(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mailbox = cursor.new_mailbox()?;
    let mut special_use = Vec::new();
    if !cursor.is_end() {
        // RFC 6154 §6: create-param =/ "USE" SP "(" [use-attr *(SP use-attr)] ")"
        cursor.space()?;
        cursor.open()?;
        if !cursor.take_word("USE") {
            return cursor.expected("USE");
        }
        cursor.space()?;
        special_use = cursor.list_or_empty(use_attribute)?;
        cursor.close()?;
    }
    Ok(CommandBody::Create { mailbox, special_use })
}

fn use_attribute(cursor: &mut Cursor<'_>) -> Parsed<SpecialUse> {
    let start = cursor.at;
    if !cursor.take(b'\\') {
        return cursor.expected("an attribute");
    }
    cursor.atom()?;
    let name = std::str::from_utf8(&cursor.bytes[start..cursor.at]).unwrap_or_default();
    SpecialUse::from_attribute(name).ok_or(Fail { kind: ParseErrorKind::UseAttr, at: start })
}

pub(super) fn rename(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let from = one(cursor)?;
    cursor.space()?;
    Ok(CommandBody::Rename { from, to: cursor.new_mailbox()? })
}

pub(super) fn select(cursor: &mut Cursor<'_>) -> Parsed<Select> {
    let mut select = Select { mailbox: one(cursor)?, condstore: false, qresync: None };
    if cursor.is_end() {
        return Ok(select);
    }
    cursor.space()?;
    cursor.list(|cursor| {
        match cursor.word().as_str() {
            "CONDSTORE" => select.condstore = true,
            "QRESYNC" => {
                cursor.space()?;
                select.qresync = Some(qresync(cursor)?);
            }
            _ => return cursor.expected("CONDSTORE or QRESYNC"),
        }
        Ok(())
    })?;
    Ok(select)
}

/// RFC 7162 §7: `select-param =/ "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids]
/// [SP seq-match-data] ")"`
fn qresync(cursor: &mut Cursor<'_>) -> Parsed<QResync> {
    cursor.open()?;
    let Some(uid_validity) = UidValidity::new(cursor.nz_number()?) else {
        return cursor.expected("UIDVALIDITY");
    };
    cursor.space()?;
    let mod_seq = ModSeq::new(cursor.number63()?);
    let mut qresync = QResync { uid_validity, mod_seq, known_uids: None, sequence_match: None };
    if cursor.take(b' ') && cursor.peek() != Some(b'(') {
        qresync.known_uids = Some(cursor.known_set()?);
        cursor.take(b' ');
    }
    if cursor.take(b'(') {
        let sequence = cursor.known_set()?;
        cursor.space()?;
        let at = cursor.at;
        let uids = cursor.known_set()?;
        if count(&sequence) != count(&uids) {
            return Err(Fail { kind: ParseErrorKind::Expected("two sets of one length"), at });
        }
        qresync.sequence_match = Some((sequence, uids));
        cursor.close()?;
    }
    cursor.close()?;
    Ok(qresync)
}

fn count(set: &SequenceSet) -> u64 {
    set.resolve(0).map(|(first, last)| u64::from(last - first) + 1).sum()
}

pub(super) fn status(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mailbox = one(cursor)?;
    cursor.space()?;
    Ok(CommandBody::Status { mailbox, items: status_items(cursor)? })
}

/// `"(" status-att *(SP status-att) ")"`, each kept once.
pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    let mut items = Vec::new();
    cursor.list(|cursor| {
        let start = cursor.at;
        let word = cursor.word();
        let known = StatusItem::ALL.iter().find(|(_, name)| *name == word.as_str());
        // RFC 9051 appendix E: RECENT is gone.
        let known = known.filter(|(item, _)| *item != StatusItem::Recent || !cursor.options.rev2);
        let Some((item, _)) = known else {
            return Err(Fail { kind: ParseErrorKind::Expected("a status item"), at: start });
        };
        if !items.contains(item) {
            items.push(*item);
        }
        Ok(())
    })?;
    Ok(items)
}

pub(super) fn store(cursor: &mut Cursor<'_>, by: Numbering) -> Parsed<Store> {
    cursor.space()?;
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.take(b'(') {
        if !cursor.take_word("UNCHANGEDSINCE") {
            return cursor.expected("UNCHANGEDSINCE");
        }
        cursor.space()?;
        unchanged_since = Some(ModSeq::new(cursor.number63()?));
        cursor.close()?;
        cursor.space()?;
    }
    let action = match cursor.peek() {
        Some(b'+') => StoreAction::Add,
        Some(b'-') => StoreAction::Remove,
        _ => StoreAction::Replace,
    };
    cursor.at += usize::from(action != StoreAction::Replace);
    let silent = match cursor.name().as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return cursor.expected("FLAGS"),
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') { cursor.flag_list()? } else { bare_flags(cursor)? };
    Ok(Store { by, set, unchanged_since, action, silent, flags })
}

/// `flag *(SP flag)`
fn bare_flags(cursor: &mut Cursor<'_>) -> Parsed<FlagList> {
    let mut flags = FlagList::default();
    loop {
        cursor.flag(&mut flags)?;
        if cursor.is_end() {
            return Ok(flags);
        }
        cursor.space()?;
    }
}

/// RFC 4314 §3.1: `setacl = "SETACL" SP mailbox SP identifier SP mod-rights`
pub(super) fn set_acl(cursor: &mut Cursor<'_>) -> Parsed<SetAcl> {
    let (mailbox, identifier) = and_identifier(cursor)?;
    cursor.space()?;
    let start = cursor.at;
    let text = cursor.astring_text()?;
    let (change, rights) = match text.as_bytes().first() {
        Some(b'+') => (AclChange::Add, &text[1..]),
        Some(b'-') => (AclChange::Remove, &text[1..]),
        _ => (AclChange::Replace, text.as_str()),
    };
    if !rights.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(Fail { kind: ParseErrorKind::Expected("rights"), at: start });
    }
    Ok(SetAcl { mailbox, identifier, change, rights: rights.to_owned() })
}

/// RFC 5464 §5. The options stand before or after the mailbox: the examples and the grammar differ.
pub(super) fn get_metadata(cursor: &mut Cursor<'_>) -> Parsed<GetMetadata> {
    let mut options = MetadataOptions::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        options = metadata_options(cursor)?;
        cursor.space()?;
    }
    let mailbox = cursor.mailbox_or_server()?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') && cursor.bytes.get(cursor.at + 1).is_some_and(u8::is_ascii_alphabetic) {
        options = metadata_options(cursor)?;
        cursor.space()?;
    }
    let entries = if cursor.peek() == Some(b'(') {
        cursor.list(metadata_entry)?
    } else {
        vec![metadata_entry(cursor)?]
    };
    Ok(GetMetadata { mailbox, options, entries })
}

fn metadata_options(cursor: &mut Cursor<'_>) -> Parsed<MetadataOptions> {
    let mut options = MetadataOptions::default();
    cursor.list(|cursor| {
        match cursor.word().as_str() {
            "MAXSIZE" => {
                cursor.space()?;
                options.max_size = Some(cursor.number()?);
            }
            "DEPTH" => {
                cursor.space()?;
                options.depth = match cursor.word().as_str() {
                    "0" => MetadataDepth::Zero,
                    "1" => MetadataDepth::One,
                    "INFINITY" => MetadataDepth::Infinity,
                    _ => return cursor.expected("0, 1 or infinity"),
                };
            }
            _ => return cursor.expected("MAXSIZE or DEPTH"),
        }
        Ok(())
    })?;
    Ok(options)
}

/// An entry name (RFC 5464 §3.2): begins with a slash, no empty component, no wildcards.
pub(super) fn metadata_entry(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let start = cursor.at;
    let name = cursor.astring_text()?;
    let is_good = name.starts_with('/')
        && !name.ends_with('/')
        && !name.contains("//")
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'%');
    if is_good { Ok(name) } else { Err(Fail { kind: ParseErrorKind::Expected("an entry name"), at: start }) }
}

pub(super) fn set_metadata(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let mailbox = cursor.mailbox_or_server()?;
    cursor.space()?;
    let entries = cursor.list(|cursor| {
        let entry = metadata_entry(cursor)?;
        cursor.space()?;
        let value = if cursor.take_word("NIL") { None } else { Some(cursor.binary_string()?) };
        Ok((entry, value))
    })?;
    Ok(CommandBody::SetMetadata { mailbox, entries })
}
