//! Patterns: literal text, `...` for anything, `${name}` for a value that is bound at first sight and must be the same afterwards.

use std::collections::HashMap;

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
            let next = [rest[1..].find("..."), rest[1..].find("${")].into_iter().flatten().min();
            let end = next.map_or(rest.len(), |at| at + 1);
            out.push(Piece::Text(&rest[..end]));
            rest = &rest[end..];
        }
    }
    out
}

/// Does the line satisfy the pattern? New variables are returned. `${_}` matches any token and binds nothing.
pub(crate) fn matches(pattern: &str, line: &str, known: &Variables) -> Option<Variables> {
    let mut bound = Variables::new();
    walk(&pieces(pattern), line, known, &mut bound).then_some(bound)
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
            let end = line.find([' ', ')', ']', '(', '"', '\r']).unwrap_or(line.len());
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

/// Fills in the variables of what is sent. Unknown ones are left alone: `{5}` and `${x}` may be meant literally.
pub(crate) fn fill(octets: &[u8], known: &Variables) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while let Some(at) = rest.windows(2).position(|w| w == b"${") {
        out.extend_from_slice(&rest[..at]);
        let name_end = rest[at..].iter().position(|b| *b == b'}').map(|end| at + end);
        let value = name_end.and_then(|end| {
            std::str::from_utf8(&rest[at + 2..end]).ok().and_then(|name| known.get(name)).map(|v| (v, end))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_anything_and_variables() {
        let none = Variables::new();
        assert!(matches("* 1 EXISTS", "* 1 EXISTS", &none).is_some());
        assert!(matches("* 1 EXISTS", "* 11 EXISTS", &none).is_none());
        assert!(matches("a OK [UNSEEN 3] ...", "a OK [UNSEEN 3] first", &none).is_some());
        assert!(matches("...x...", "axb", &none).is_some());
        let bound = matches("* OK [UIDVALIDITY ${v}] ...", "* OK [UIDVALIDITY 77] UIDs", &none).unwrap();
        assert_eq!(bound["v"], "77");
        assert!(matches("${v} ${v}", "77 78", &none).is_none());
        assert!(matches("x ${v}", "x 77", &bound).is_some());
        assert!(matches("x ${v}", "x 78", &bound).is_none());
        assert_eq!(fill(b"a ${v} ${w} {5}", &bound), b"a 77 ${w} {5}");
    }
}
