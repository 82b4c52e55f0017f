//! RFC 5256 §2.1: the base subject, a key for SORT and THREAD.

use crate::limits::BASE_SUBJECT_MAX;
use crate::search::fold;

/// A subject without what mailers put around it.
pub(crate) struct BaseSubject {
    /// As written.
    pub(crate) text: String,
    /// RFC 5256 §3: something was removed that marks a reply or a forwarded message.
    pub(crate) is_reply: bool,
}

/// The base subject of a decoded subject.
pub(crate) fn base_subject(decoded: &str) -> BaseSubject {
    let spaced = single_spaces(decoded);
    let mut rest = spaced.as_str();
    let mut is_reply = false;
    loop {
        rest = without_trailers(rest, &mut is_reply);
        rest = without_leaders(rest, &mut is_reply);
        match forwarded(rest) {
            Some(inner) => (rest, is_reply) = (inner, true),
            None => break,
        }
    }
    BaseSubject { text: rest.trim().to_owned(), is_reply }
}

/// A base subject, folded.
pub(crate) fn folded(base: &BaseSubject) -> String {
    fold(&base.text).trim().to_owned()
}

/// Step 1; what lies beyond the limit is cut first, so that the steps that repeat stay cheap.
fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(BASE_SUBJECT_MAX));
    for character in text.chars() {
        if out.len() >= BASE_SUBJECT_MAX {
            break;
        }
        let blank = matches!(character, ' ' | '\t' | '\r' | '\n');
        if !blank {
            out.push(character);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// Step 2: `subj-trailer`.
fn without_trailers<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_end_matches(' ');
        match strip_suffix(text, "(fwd)") {
            Some(rest) => (text, *is_reply) = (rest, true),
            None => return text,
        }
    }
}

/// Steps 3 to 5: `subj-leader`, and a `subj-blob` before something.
fn without_leaders<'a>(mut text: &'a str, is_reply: &mut bool) -> &'a str {
    loop {
        text = text.trim_start_matches(' ');
        if let Some(rest) = without_reply_mark(text) {
            (text, *is_reply) = (rest, true);
        } else if let Some(rest) = without_blob(text)
            && !rest.is_empty()
        {
            text = rest;
        } else {
            return text;
        }
    }
}

/// `*subj-blob subj-refwd`.
fn without_reply_mark(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(after) = without_blob(rest) {
        rest = after;
    }
    let rest = ["re", "fwd", "fw"].iter().find_map(|mark| strip_prefix(rest, mark))?;
    let rest = rest.trim_start_matches(' ');
    without_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `subj-blob`: brackets, what is between them, blanks.
fn without_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    Some(inner[end..].strip_prefix(']')?.trim_start_matches(' '))
}

/// Step 6.
fn forwarded(text: &str) -> Option<&str> {
    strip_prefix(text, "[fwd:")?.strip_suffix(']')
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_rfc_5256_are_removed() {
        for (subject, base) in [
            ("Re: hello", "hello"),
            ("RE: Re[2]: fw: Fwd : hello", "hello"),
            ("hello (fwd) (FWD) ", "hello"),
            ("[list] Re: [list] hello", "hello"),
            ("[a][b] Re: hello", "hello"),
            ("[list]", "[list]"),
            ("Re: [list]", "[list]"),
            ("[fwd: [fwd: Re: hello (fwd)]]", "hello"),
            ("  a \t\r\n  b ", "a b"),
            ("Re:", ""),
            ("Regarding: x", "regarding: x"),
            ("[unclosed Re: x", "[unclosed re: x"),
            ("Ｒｅ：テスト", "re:テスト"),
            ("ＡＢＣ ｶﾞ", "abc ガ"),
            ("", ""),
        ] {
            assert_eq!(folded(&base_subject(subject)), base, "{subject:?}");
        }
    }

    #[test]
    fn replies_are_told_from_lists() {
        for (subject, is_reply) in [
            ("hello", false),
            ("[list] hello", false),
            ("Re: hello", true),
            ("[list] re: hello", true),
            ("hello (fwd)", true),
            ("[fwd: hello]", true),
            ("Regarding: hello", false),
        ] {
            assert_eq!(base_subject(subject).is_reply, is_reply, "{subject:?}");
        }
    }
}
