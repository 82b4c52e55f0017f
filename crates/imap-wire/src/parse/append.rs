//! APPEND and REPLACE, piece by piece.

use super::cursor::{Cursor, Parsed};
use super::mailbox;
use crate::{Append, AppendForm, AppendStep, FlagList, Numbering, Replace};

pub(super) fn append(cursor: &mut Cursor<'_>) -> Parsed<Append> {
    let mailbox = mailbox::one(cursor)?;
    let mut steps = Vec::new();
    messages(cursor, &mut steps)?;
    Ok(Append { mailbox, steps })
}

/// RFC 8508 §3: `replace = "REPLACE" SP seq-number SP mailbox append-message`
pub(super) fn replace(cursor: &mut Cursor<'_>, by: Numbering) -> Parsed<Replace> {
    cursor.space()?;
    let message = cursor.seq_bound()?;
    let mailbox = mailbox::one(cursor)?;
    let mut steps = Vec::new();
    messages(cursor, &mut steps)?;
    Ok(Replace { by, message, mailbox, steps })
}

/// What comes after a message literal.
pub(super) fn next_steps(cursor: &mut Cursor<'_>, form: AppendForm) -> Parsed<Vec<AppendStep>> {
    let mut steps = Vec::new();
    let is_open = match form {
        AppendForm::Whole => false,
        AppendForm::Utf8 => {
            cursor.close()?;
            false
        }
        AppendForm::Catenate if cursor.take(b')') => false,
        AppendForm::Catenate => {
            cursor.space()?;
            parts(cursor, &mut steps)?
        }
    };
    if is_open {
        return Ok(steps);
    }
    if cursor.is_end() {
        steps.push(AppendStep::End);
    } else {
        messages(cursor, &mut steps)?;
    }
    Ok(steps)
}

/// `1*append-message` up to a literal or the end (RFC 3502, RFC 9051 §9):
/// `append-message = [SP flag-list] [SP date-time] SP append-data`
fn messages(cursor: &mut Cursor<'_>, steps: &mut Vec<AppendStep>) -> Parsed<()> {
    loop {
        cursor.space()?;
        let mut flags = FlagList::default();
        if cursor.peek() == Some(b'(') {
            flags = cursor.flag_list()?;
            cursor.space()?;
        }
        let mut date = None;
        if cursor.peek() == Some(b'"') {
            date = Some(cursor.date_time()?);
            cursor.space()?;
        }
        let form = form(cursor)?;
        steps.push(AppendStep::Message { flags, date, form });
        let is_open = match form {
            AppendForm::Catenate => parts(cursor, steps)?,
            AppendForm::Whole | AppendForm::Utf8 if cursor.at_open_literal() => {
                steps.push(AppendStep::Literal);
                true
            }
            AppendForm::Whole | AppendForm::Utf8 => return cursor.expected("a literal"),
        };
        if is_open {
            return Ok(());
        }
        if cursor.is_end() {
            steps.push(AppendStep::End);
            return Ok(());
        }
    }
}

/// Up to the literal or the first part.
fn form(cursor: &mut Cursor<'_>) -> Parsed<AppendForm> {
    let form = if cursor.take_word("UTF8") {
        AppendForm::Utf8
    } else if cursor.take_word("CATENATE") {
        AppendForm::Catenate
    } else {
        return Ok(AppendForm::Whole);
    };
    cursor.space()?;
    cursor.open()?;
    Ok(form)
}

/// RFC 4469 §5: `cat-part *(SP cat-part) ")"`. True: a literal follows.
fn parts(cursor: &mut Cursor<'_>, steps: &mut Vec<AppendStep>) -> Parsed<bool> {
    loop {
        if cursor.take_word("URL") {
            cursor.space()?;
            steps.push(AppendStep::Url(cursor.astring()?));
        } else if cursor.take_word("TEXT") {
            cursor.space()?;
            if !cursor.at_open_literal() {
                return cursor.expected("a literal");
            }
            steps.push(AppendStep::Literal);
            return Ok(true);
        } else {
            return cursor.expected("URL or TEXT");
        }
        if cursor.take(b')') {
            return Ok(false);
        }
        cursor.space()?;
    }
}
