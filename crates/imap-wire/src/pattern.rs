//! Wildcards of LIST.

use mail_types::HIERARCHY_SEPARATOR;

const INBOX_CHARS: usize = 5;

/// Does `name` match `pattern`? `*` stands for anything, `%` for anything but the hierarchy separator
/// (RFC 9051 §6.3.9). The level INBOX at the beginning of a name ignores letter case.
///
/// Never goes back: at most `2 * name.len()` characters of the pattern are compared to each position of the name,
/// runs of wildcards aside, which are read once.
pub fn list_match(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let is_inbox = is_inbox_or_below(&name);
    // reached[i]: the pattern so far can match the first i characters.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    // Positions before this one are not reached.
    let mut first = 0;
    let mut previous = '\0';
    for c in pattern.chars() {
        if is_idle(previous, c) {
            continue;
        }
        previous = c;
        match c {
            '*' | '%' => {
                for i in first..name.len() {
                    reached[i + 1] |= reached[i] && (c == '*' || name[i] != HIERARCHY_SEPARATOR);
                }
            }
            _ => {
                for i in (first..name.len()).rev() {
                    let same =
                        name[i] == c || is_inbox && i < INBOX_CHARS && name[i].eq_ignore_ascii_case(&c);
                    reached[i + 1] = reached[i] && same;
                }
                reached[first] = false;
                match reached[first..].iter().position(|reached| *reached) {
                    Some(more) => first += more,
                    None => return false,
                }
            }
        }
    }
    reached[name.len()]
}

/// The same pattern with no two wildcards in a row.
pub(crate) fn shorten(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut previous = '\0';
    for c in pattern.chars() {
        if is_idle(previous, c) {
            continue;
        }
        if previous == '%' && c == '*' {
            out.pop();
        }
        previous = c;
        out.push(c);
    }
    out
}

/// Does a wildcard after this character change nothing?
fn is_idle(previous: char, c: char) -> bool {
    previous == '*' && (c == '*' || c == '%') || previous == '%' && c == '%'
}

fn is_inbox_or_below(name: &[char]) -> bool {
    name.len() >= INBOX_CHARS
        && name[..INBOX_CHARS].iter().zip("INBOX".chars()).all(|(a, b)| a.eq_ignore_ascii_case(&b))
        && name.get(INBOX_CHARS).is_none_or(|c| *c == HIERARCHY_SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    /// What the wildcards mean, by trying everything.
    fn oracle(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (None, _) => false,
            (Some('*'), _) => oracle(&pattern[1..], name) || !name.is_empty() && oracle(pattern, &name[1..]),
            (Some('%'), Some(c)) if *c != '/' => oracle(&pattern[1..], name) || oracle(pattern, &name[1..]),
            (Some('%'), _) => oracle(&pattern[1..], name),
            (Some(a), Some(b)) => a == b && oracle(&pattern[1..], &name[1..]),
            (Some(_), None) => false,
        }
    }

    #[test]
    fn known_answers() {
        for (pattern, name, expected) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("%/b", "a/b", true),
            ("inbox", "INBOX", true),
            ("inb%", "INBOX", true),
            ("inbox/x", "INBOX/x", true),
            ("inbox/X", "INBOX/x", false),
            ("inboxes", "INBOXES", false),
            ("", "", true),
            ("", "a", false),
            ("日%語", "日本語", true),
        ] {
            assert_eq!(list_match(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn no_pattern_is_slow() {
        let name = "a".repeat(1000);
        let begin = Instant::now();
        for pattern in ["%*".repeat(10_000), "%a".repeat(10_000), "*a".repeat(10_000), "%*%*b".repeat(5_000)]
        {
            list_match(&pattern, &name);
        }
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
        assert_eq!(shorten(&"%*".repeat(10_000)), "*");
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(pattern in "[ab/%*]{0,8}", name in "[ab/]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = oracle(&chars(&pattern), &chars(&name));
            prop_assert_eq!(list_match(&pattern, &name), expected);
            prop_assert_eq!(list_match(&shorten(&pattern), &name), expected);
        }
    }
}
