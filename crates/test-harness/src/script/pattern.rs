//! Patterns: literal text, `...` for anything, `${name}` for a value that is bound at first sight and must be the same afterwards;
//! `{{text}}` for an IMAP literal, so that nobody counts octets by hand.

use std::borrow::Cow;
use std::collections::HashMap;

use super::parse::unescape;

/// What is bound so far.
pub(crate) type Variables = HashMap<String, String>;

enum Piece<'a> {
    Text(&'a str),
    Anything,
    Variable(&'a str),
}

fn pieces(pattern: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = pattern;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("...") {
            out.push(Piece::Anything);
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix("${").and_then(|r| r.split_once('}')) {
            out.push(Piece::Variable(name));
            rest = after;
        } else {
            let first = rest.chars().next().map_or(rest.len(), char::len_utf8);
            let after = &rest[first..];
            let next = [after.find("..."), after.find("${")].into_iter().flatten().min();
            let end = next.map_or(rest.len(), |at| at + first);
            out.push(Piece::Text(&rest[..end]));
            rest = &rest[end..];
        }
    }
    out
}

/// Does the line satisfy the pattern? New variables are returned. `${_}` matches any token and binds nothing.
pub(crate) fn matches(pattern: &str, line: &str, known: &Variables) -> Option<Variables> {
    let mut bound = Variables::new();
    let pattern = counted(pattern, known);
    walk(&pieces(&pattern), line, known, &mut bound).then_some(bound)
}

/// `{{text}}` as a literal comes: `{4}\r\ntext`, with line ends as [`super::peer`] shows them.
fn counted<'a>(pattern: &'a str, known: &Variables) -> Cow<'a, str> {
    let Some((before, rest)) = pattern.split_once("{{") else { return Cow::Borrowed(pattern) };
    let Some((text, after)) = rest.split_once("}}") else { return Cow::Borrowed(pattern) };
    let text = String::from_utf8_lossy(&substitute(text.as_bytes(), known)).into_owned();
    let octets = unescape(&text).map_or(text.len(), |octets| octets.len());
    Cow::Owned(format!("{before}{{{octets}}}\\r\\n{text}{}", counted(after, known)))
}

fn walk(pieces: &[Piece<'_>], line: &str, known: &Variables, bound: &mut Variables) -> bool {
    match pieces.split_first() {
        None => line.is_empty(),
        Some((Piece::Text(text), rest)) => {
            line.strip_prefix(text).is_some_and(|line| walk(rest, line, known, bound))
        }
        Some((Piece::Anything, rest)) => line
            .char_indices()
            .map(|(at, _)| at)
            .chain([line.len()])
            .any(|at| walk(rest, &line[at..], known, bound)),
        Some((Piece::Variable(name), rest)) => {
            if let Some(value) = known.get(*name).or_else(|| bound.get(*name)) {
                let value = value.clone();
                return line.strip_prefix(value.as_str()).is_some_and(|line| walk(rest, line, known, bound));
            }
            let end = line.find([' ', ')', ']', '}', '>', '(', '"', '\\']).unwrap_or(line.len());
            if end == 0 {
                return false;
            }
            if *name != "_" {
                bound.insert((*name).to_owned(), line[..end].to_owned());
            }
            walk(rest, &line[end..], known, bound)
        }
    }
}

/// Makes what is sent: variables are filled in, `${x*5}` is `xxxxx`, `{{text}}` is a literal that waits for no continuation.
pub(crate) fn fill(octets: &[u8], known: &Variables) -> Vec<u8> {
    let octets = substitute(octets, known);
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = &octets[..];
    while let Some(open) = find(rest, b"{{") {
        let Some(close) = find(&rest[open..], b"}}").map(|at| at + open) else { break };
        let text = &rest[open + 2..close];
        out.extend_from_slice(&rest[..open]);
        out.extend_from_slice(format!("{{{}+}}\r\n", text.len()).as_bytes());
        out.extend_from_slice(text);
        rest = &rest[close + 2..];
    }
    out.extend_from_slice(rest);
    out
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    octets.windows(what.len()).position(|window| window == what)
}

/// Unknown variables are left alone: `${x}` may be meant literally.
fn substitute(octets: &[u8], known: &Variables) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = find(rest, b"${") {
        out.extend_from_slice(&rest[..at]);
        let name_end = rest[at..].iter().position(|b| *b == b'}').map(|end| at + end);
        let value = name_end.and_then(|end| {
            std::str::from_utf8(&rest[at + 2..end])
                .ok()
                .and_then(|name| value_of(name, known))
                .map(|v| (v, end))
        });
        match value {
            Some((value, end)) => {
                out.extend_from_slice(value.as_bytes());
                rest = &rest[end + 1..];
            }
            None => {
                out.extend_from_slice(b"${");
                rest = &rest[at + 2..];
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

/// A bound value, or `text*5`: the text five times.
fn value_of(name: &str, known: &Variables) -> Option<String> {
    if let Some(value) = known.get(name) {
        return Some(value.clone());
    }
    let (text, times) = name.rsplit_once('*')?;
    Some(text.repeat(times.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_counted_and_text_is_repeated() {
        let none = Variables::new();
        assert_eq!(fill(b"a LOGIN {{al}} ~{{x}}", &none), b"a LOGIN {2+}\r\nal ~{1+}\r\nx");
        assert_eq!(fill(b"a ${(*3}${ab*2}", &none), b"a (((abab");
        assert!(matches("* 1 FETCH (A {{a\\r\\n}})", "* 1 FETCH (A {3}\\r\\na\\r\\n)", &none).is_some());
        assert!(matches("* 1 FETCH (A {{a\\r\\n}})", "* 1 FETCH (A {4}\\r\\na\\r\\n)", &none).is_none());
    }

    #[test]
    fn text_anything_and_variables() {
        let none = Variables::new();
        assert!(matches("* 1 EXISTS", "* 1 EXISTS", &none).is_some());
        assert!(matches("* 1 EXISTS", "* 11 EXISTS", &none).is_none());
        assert!(matches("a OK [UNSEEN 3] ...", "a OK [UNSEEN 3] first", &none).is_some());
        assert!(matches("...x...", "axb", &none).is_some());
        assert!(matches("日本語...", "日本語 x", &none).is_some());
        let bound = matches("* OK [UIDVALIDITY ${v}] ...", "* OK [UIDVALIDITY 77] UIDs", &none).unwrap();
        assert_eq!(bound["v"], "77");
        assert!(matches("${v} ${v}", "77 78", &none).is_none());
        assert!(matches("x ${v}", "x 77", &bound).is_some());
        assert!(matches("x ${v}", "x 78", &bound).is_none());
        assert_eq!(fill(b"a ${v} ${w} {5}", &bound), b"a 77 ${w} {5}");
    }
}
