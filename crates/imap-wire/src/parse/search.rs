//! SEARCH, ESEARCH, SORT and THREAD, search keys aside.

use super::charset::{Charset, charset};
use super::cursor::{Cursor, Fail, Parsed};
use super::fetch::item_list;
use super::keys::program;
use super::notify::filters;
use crate::parse::ParseErrorKind;
use crate::{
    CommandBody, Numbering, PartialRange, Search, SearchReturn, Sort, SortCriterion, SortKey, Thread,
};

/// RFC 9051 §9: `search = "SEARCH" [search-return-opts] SP search-program`
pub(super) fn search(cursor: &mut Cursor<'_>, by: Numbering) -> Parsed<Search> {
    cursor.space()?;
    let returns = returns(cursor)?;
    search_program(cursor, by, returns, None)
}

/// RFC 6237 §4
pub(super) fn multi_search(cursor: &mut Cursor<'_>) -> Parsed<Search> {
    cursor.space()?;
    let mut mailboxes = Vec::new();
    if cursor.take_word("IN") {
        cursor.space()?;
        cursor.open()?;
        mailboxes = filters(cursor)?;
        cursor.close()?;
        cursor.space()?;
    }
    let returns = returns(cursor)?;
    // RFC 6237 §2: the numbers are UIDs, and the reply is always ESEARCH.
    let returns = returns.unwrap_or(SearchReturn { all: true, ..SearchReturn::default() });
    search_program(cursor, Numbering::Uid, Some(returns), Some(mailboxes))
}

fn search_program(
    cursor: &mut Cursor<'_>,
    by: Numbering,
    returns: Option<SearchReturn>,
    mailboxes: Option<Vec<crate::MailboxFilter>>,
) -> Parsed<Search> {
    let mut texts = Charset::Utf8;
    if cursor.take_word("CHARSET") {
        if cursor.options.no_charset {
            return cursor.expected("no CHARSET after ENABLE UTF8=ACCEPT");
        }
        cursor.space()?;
        texts = charset(cursor)?;
        cursor.space()?;
    }
    Ok(Search { by, returns, mailboxes, key: program(cursor, texts)? })
}

/// `["RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP]`
fn returns(cursor: &mut Cursor<'_>) -> Parsed<Option<SearchReturn>> {
    if !cursor.take_word("RETURN") {
        return Ok(None);
    }
    cursor.space()?;
    let mut returns = SearchReturn::default();
    cursor.list_or_empty(|cursor| {
        match cursor.word().as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            "UPDATE" => {
                returns.update = true;
                // RFC 5465 §8 has no space there, its example has one.
                let start = cursor.at;
                if cursor.peek() == Some(b' ') {
                    cursor.space()?;
                }
                match cursor.peek() {
                    Some(b'(') => returns.update_items = item_list(cursor)?,
                    _ => cursor.at = start,
                }
            }
            "CONTEXT" => returns.context = true,
            "RELEVANCY" => returns.relevancy = true,
            "PARTIAL" => {
                cursor.space()?;
                returns.partial = Some(partial_range(cursor)?);
            }
            _ => return cursor.expected("a return option"),
        }
        Ok(())
    })?;
    // RFC 9394 §3.1: not both.
    if returns.partial.is_some() && returns.all {
        return cursor.expected("PARTIAL without ALL");
    }
    // RFC 4731 §3.1: no option is ALL.
    returns.all |= returns == SearchReturn::default();
    cursor.space()?;
    Ok(Some(returns))
}

/// RFC 9394 §4: `partial-range-first = nz-number ":" nz-number`,
/// `partial-range-last = MINUS nz-number ":" MINUS nz-number`
pub(super) fn partial_range(cursor: &mut Cursor<'_>) -> Parsed<PartialRange> {
    let from_back = cursor.take(b'-');
    let a = cursor.nz_number()?;
    if !cursor.take(b':') {
        return cursor.expected("\":\"");
    }
    if from_back && !cursor.take(b'-') {
        return cursor.expected("\"-\"");
    }
    let b = cursor.nz_number()?;
    let (first, last) = (a.min(b), a.max(b));
    Ok(if from_back { PartialRange::Back(first, last) } else { PartialRange::Front(first, last) })
}

/// RFC 10022 §4: `"UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]`
pub(super) fn uid_batches(cursor: &mut Cursor<'_>) -> Parsed<CommandBody> {
    cursor.space()?;
    let size = cursor.nz_number()?;
    if !cursor.take(b' ') {
        return Ok(CommandBody::UidBatches { size, range: None });
    }
    let first = cursor.nz_number()?;
    if !cursor.take(b':') {
        return cursor.expected("\":\"");
    }
    let last = cursor.nz_number()?;
    Ok(CommandBody::UidBatches { size, range: Some((first, last)) })
}

/// RFC 5256 §5: `sort = ["UID" SP] "SORT" SP sort-criteria SP search-criteria`, with RETURN of RFC 5267 §3
pub(super) fn sort(cursor: &mut Cursor<'_>, by: Numbering) -> Parsed<Sort> {
    cursor.space()?;
    let returns = returns(cursor)?;
    let criteria = cursor.list(criterion)?;
    cursor.space()?;
    let texts = charset(cursor)?;
    cursor.space()?;
    Ok(Sort { by, returns, criteria, key: program(cursor, texts)? })
}

fn criterion(cursor: &mut Cursor<'_>) -> Parsed<SortCriterion> {
    let reverse = cursor.take_word("REVERSE");
    if reverse {
        cursor.space()?;
    }
    let start = cursor.at;
    let key = match cursor.word().as_str() {
        "ARRIVAL" => SortKey::Arrival,
        "CC" => SortKey::Cc,
        "DATE" => SortKey::Date,
        "FROM" => SortKey::From,
        "SIZE" => SortKey::Size,
        "SUBJECT" => SortKey::Subject,
        "TO" => SortKey::To,
        "DISPLAYFROM" => SortKey::DisplayFrom,
        "DISPLAYTO" => SortKey::DisplayTo,
        "RELEVANCY" => SortKey::Relevancy,
        _ => return Err(Fail { kind: ParseErrorKind::Expected("a sort key"), at: start }),
    };
    Ok(SortCriterion { reverse, key })
}

/// RFC 5256 §5: `thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria`
pub(super) fn thread(cursor: &mut Cursor<'_>, by: Numbering) -> Parsed<Thread> {
    cursor.space()?;
    let algorithm = cursor.atom()?.to_ascii_uppercase();
    cursor.space()?;
    let texts = charset(cursor)?;
    cursor.space()?;
    Ok(Thread { by, algorithm, key: program(cursor, texts)? })
}
