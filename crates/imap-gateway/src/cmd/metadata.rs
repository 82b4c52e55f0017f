//! GETMETADATA and SETMETADATA (RFC 5464), and the annotations of LIST (RFC 9590).

use std::collections::BTreeMap;

use bytes::Bytes;
use imap_wire::{Code, GetMetadata, MetadataCode, MetadataDepth, MetadataOptions};
use mail_rpc::{Refusal, pb};
use mail_types::{MailboxName, SpecialUse};
use pb::{get_metadata_request, set_metadata_request};

use crate::error::{CmdError, CmdResult, Done, DoneCode};
use crate::session::Session;

/// RFC 6154 §4: computed, and not to be set here.
const SPECIAL_USE: &str = "/private/specialuse";
/// RFC 5464 §3.2.1.1: the operator's.
const COMMENT: &str = "/shared/comment";
const ADMIN: &str = "/shared/admin";

/// Values by entry.
pub(crate) type Values = BTreeMap<String, Bytes>;

/// RFC 5464 §4.2
pub(crate) async fn get(session: &mut Session, get: GetMetadata) -> CmdResult {
    let entries: Vec<String> = get.entries.iter().map(|entry| entry.to_ascii_lowercase()).collect();
    entries.iter().try_for_each(|entry| demand_scope(entry))?;
    let values = match &get.mailbox {
        Some(name) => of_mailbox(session, name).await?,
        None => of_server(session).await?,
    };
    let name = get.mailbox.as_ref().map_or("", MailboxName::as_str);
    let longest = write(session, name, &values, (get.options, &entries));
    match longest {
        // RFC 5464 §4.2.1
        Some(size) => Done::with_code(DoneCode::LongEntries(size)),
        None => Done::plain(),
    }
}

/// RFC 5464 §4.3
pub(crate) async fn set(
    session: &mut Session,
    mailbox: Option<MailboxName>,
    entries: Vec<(String, Option<Bytes>)>,
) -> CmdResult {
    let mut annotations = Vec::with_capacity(entries.len());
    for (entry, value) in entries {
        let entry = entry.to_ascii_lowercase();
        demand_name(&entry)?;
        if mailbox.is_none() && entry.starts_with("/shared/") {
            return Err(CmdError::no(Code::NoPerm, "Shared annotations of the server are the operator's"));
        }
        if entry == SPECIAL_USE {
            return Err(CmdError::no(Code::Cannot, "A special use is given when a mailbox is created"));
        }
        annotations.push(pb::Annotation { entry, value, ..Default::default() });
    }
    let (owner, of) = match &mailbox {
        Some(name) => {
            let target = session.target(name).await?;
            (target.whose.to_pb(), set_metadata_request::Of::Mailbox(target.name))
        }
        None => (0, set_metadata_request::Of::Server(true)),
    };
    let request = pb::SetMetadataRequest { grant: session.grant()?, annotations, of: Some(of), owner };
    let reply = session.gateway.backends.mailbox.set_metadata(request).await.map_err(Refusal::from)?;
    if reply.value_bytes_max > 0 {
        let code = Code::Metadata(MetadataCode::MaxSize(reply.value_bytes_max));
        return Err(CmdError::no(code, "A value is too long"));
    }
    if reply.too_many {
        return Err(CmdError::no(Code::Metadata(MetadataCode::TooMany), "There are too many annotations"));
    }
    if owner == 0 {
        session.note_own_annotations(reply.version);
    }
    Done::plain()
}

/// All that this user sees of a mailbox.
async fn of_mailbox(session: &Session, name: &MailboxName) -> Result<Values, CmdError> {
    let target = session.target(name).await?;
    if target.whose.is_shared() {
        // What the mailbox is for is its owner's.
        let of = get_metadata_request::Of::Mailbox(target.name);
        let all = load_of(session, target.whose.to_pb(), (of, "", None)).await?;
        return Ok(values(all.into_values().flatten().collect()));
    }
    let request = pb::StatusRequest { owner: 0, grant: session.grant()?, name: name.as_str().to_owned() };
    let state = session.gateway.backends.mailbox.status(request).await?;
    let of = get_metadata_request::Of::Mailbox(name.as_str().to_owned());
    let mut all = load(session, of, "", None).await?;
    let mut values = values(all.remove(&state.mailbox_id).unwrap_or_default());
    values.extend(special_use(&state));
    Ok(values)
}

async fn of_server(session: &Session) -> Result<Values, CmdError> {
    let mut all = load(session, get_metadata_request::Of::Server(true), "", None).await?;
    let mut values = values(all.remove(&0).unwrap_or_default());
    let settings = &session.gateway.settings;
    for (entry, value) in [(COMMENT, &settings.comment), (ADMIN, &settings.admin)] {
        if !value.is_empty() {
            values.insert(entry.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
        }
    }
    Ok(values)
}

/// The value of `/private/specialuse`, which is an attribute of the mailbox.
fn special_use(state: &pb::MailboxState) -> Option<(String, Bytes)> {
    let special_use = SpecialUse::from_number(state.special_use)?;
    Some((SPECIAL_USE.to_owned(), Bytes::from_static(special_use.attribute().as_bytes())))
}

/// RFC 9590 §3: some annotations of all mailboxes, for LIST.
pub(crate) async fn of_all(
    session: &Session,
    states: &[&pb::MailboxState],
    entries: &[String],
) -> Result<BTreeMap<u64, Values>, CmdError> {
    let mut found: BTreeMap<u64, Values> = BTreeMap::new();
    for entry in entries {
        let of = get_metadata_request::Of::Everything(true);
        for (mailbox, annotations) in load(session, of, entry, None).await? {
            found.entry(mailbox).or_default().extend(values(annotations));
        }
    }
    for state in states {
        found.entry(state.mailbox_id).or_default().extend(special_use(state));
    }
    Ok(found)
}

/// Annotations by mailbox, all pages. `since`: only newer ones, and those that were removed.
pub(crate) async fn load(
    session: &Session,
    of: get_metadata_request::Of,
    entry: &str,
    since: Option<u64>,
) -> Result<BTreeMap<u64, Vec<pb::Annotation>>, CmdError> {
    load_of(session, 0, (of, entry, since)).await
}

async fn load_of(
    session: &Session,
    owner: u64,
    (of, entry, since): (get_metadata_request::Of, &str, Option<u64>),
) -> Result<BTreeMap<u64, Vec<pb::Annotation>>, CmdError> {
    let mut found: BTreeMap<u64, Vec<pb::Annotation>> = BTreeMap::new();
    let mut request = pb::GetMetadataRequest {
        grant: session.grant()?,
        entry: entry.to_owned(),
        changed_since: since,
        owner,
        of: Some(of),
        ..Default::default()
    };
    loop {
        let reply = session.gateway.backends.mailbox.get_metadata(request.clone()).await;
        let reply = reply.map_err(Refusal::from)?;
        let last = reply.annotations.last().map(|last| (last.mailbox_id, last.entry.clone()));
        for annotation in reply.annotations {
            found.entry(annotation.mailbox_id).or_default().push(annotation);
        }
        match last {
            Some((mailbox, entry)) if reply.more => {
                (request.after_mailbox, request.after_entry) = (mailbox, entry);
            }
            _ => return Ok(found),
        }
    }
}

fn values(annotations: Vec<pb::Annotation>) -> Values {
    annotations.into_iter().filter_map(|annotation| Some((annotation.entry, annotation.value?))).collect()
}

/// Writes the values that are asked for. The size of the longest value that is too long, if one is.
pub(crate) fn write(
    session: &mut Session,
    name: &str,
    values: &Values,
    (options, entries): (MetadataOptions, &[String]),
) -> Option<u64> {
    let (lines, longest) = chosen(values, options, entries);
    if !lines.is_empty() {
        session.writer().metadata(name, &lines);
    }
    longest
}

type Lines<'a> = Vec<(&'a str, Option<&'a [u8]>)>;

/// An entry that has no value is told as NIL: the client asked for it by its name.
fn chosen<'a>(
    values: &'a Values,
    options: MetadataOptions,
    entries: &'a [String],
) -> (Lines<'a>, Option<u64>) {
    let mut lines: Lines<'_> = Vec::new();
    let mut longest = None;
    for entry in entries {
        let mut found = false;
        for (name, value) in values.iter().filter(|(name, _)| is_within(name, entry, options.depth)) {
            found = true;
            let size = value.len() as u64;
            if options.max_size.is_some_and(|max| size > u64::from(max)) {
                longest = longest.max(Some(size));
            } else if !lines.iter().any(|(known, _)| *known == name.as_str()) {
                lines.push((name.as_str(), Some(&value[..])));
            }
        }
        if !found && !lines.iter().any(|(known, _)| *known == entry.as_str()) {
            lines.push((entry.as_str(), None));
        }
    }
    (lines, longest)
}

/// RFC 5464 §4.2.2
fn is_within(name: &str, entry: &str, depth: MetadataDepth) -> bool {
    let Some(rest) = name.strip_prefix(entry) else { return false };
    match rest.strip_prefix('/') {
        None => rest.is_empty(),
        Some(below) => match depth {
            MetadataDepth::Zero => false,
            MetadataDepth::One => !below.contains('/'),
            MetadataDepth::Infinity => true,
        },
    }
}

/// RFC 5464 §3.2: what can be asked about; a level above entries may be asked for those below it.
pub(crate) fn demand_scope(entry: &str) -> Result<(), CmdError> {
    let scope = entry.split('/').nth(1).unwrap_or_default();
    if matches!(scope, "private" | "shared") {
        Ok(())
    } else {
        Err(CmdError::bad("Entries begin with /private or /shared"))
    }
}

/// RFC 5464 §3.2: two components at least, and four for those of vendors.
fn demand_name(entry: &str) -> Result<(), CmdError> {
    demand_scope(entry)?;
    let components: Vec<&str> = entry.split('/').skip(1).collect();
    let least = if components.get(1) == Some(&"vendor") { 4 } else { 2 };
    if components.len() >= least {
        Ok(())
    } else {
        Err(CmdError::bad("The entry's name has too few components"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_size() {
        let values: Values =
            [("/private/a", "1"), ("/private/a/b", "22"), ("/private/a/b/c", "333"), ("/private/ab", "x")]
                .into_iter()
                .map(|(entry, value)| (entry.to_owned(), Bytes::from(value)))
                .collect();
        let ask = |entry: &str, depth, max_size| {
            let entries = [entry.to_owned()];
            let (lines, longest) = chosen(&values, MetadataOptions { max_size, depth }, &entries);
            let names: Vec<String> = lines.iter().map(|(name, _)| (*name).to_owned()).collect();
            (names, longest)
        };
        assert_eq!(ask("/private/a", MetadataDepth::Zero, None).0, ["/private/a"]);
        assert_eq!(ask("/private/a", MetadataDepth::One, None).0, ["/private/a", "/private/a/b"]);
        assert_eq!(ask("/private/a", MetadataDepth::Infinity, Some(1)), (vec!["/private/a".into()], Some(3)));
        assert_eq!(ask("/private/none", MetadataDepth::Infinity, None), (vec!["/private/none".into()], None));
    }

    #[test]
    fn names_of_entries() {
        for good in ["/private/comment", "/shared/vendor/x/y", "/private/a/b/c"] {
            assert!(demand_name(good).is_ok(), "{good}");
        }
        for bad in ["/private", "/comment", "/other/comment", "/shared/vendor/x", "/shared"] {
            assert!(demand_name(bad).is_err(), "{bad}");
        }
    }
}
