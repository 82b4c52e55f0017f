//! Wildcards of LIST.

use mail_types::HIERARCHY_SEPARATOR;

/// Does `name` match `pattern`? `*` stands for anything, `%` for anything but the hierarchy separator
/// (RFC 9051 §6.3.9). A leading `INBOX` of either ignores letter case.
///
/// Takes at most `pattern.len() * name.len()` steps of a few instructions after runs of wildcards are merged, and
/// never goes back.
pub fn list_match(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // reached[i]: the pattern so far can match the first i characters.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    let mut previous = '\0';
    for c in pattern.chars() {
        let merged = previous == '*' && (c == '*' || c == '%') || previous == '%' && c == '%';
        previous = if merged { previous } else { c };
        match c {
            _ if merged => {}
            '*' | '%' => {
                for i in 0..name.len() {
                    reached[i + 1] |= reached[i] && (c == '*' || name[i] != HIERARCHY_SEPARATOR);
                }
            }
            _ => {
                for i in (0..name.len()).rev() {
                    reached[i + 1] = reached[i] && name[i] == c;
                }
                reached[0] = false;
            }
        }
    }
    reached[name.len()]
}
