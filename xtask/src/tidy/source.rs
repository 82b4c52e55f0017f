//! A Rust file taken apart into code and comments, line for line, without a compiler.

use std::ops::Range;

/// A source file whose code and comments can be looked at apart.
///
/// Both texts have the same lines as the file; what belongs to the other (and, in the code, what stands inside of
/// literals) is blank.
pub(super) struct SourceFile {
    /// Relative to the workspace, with `/`.
    pub(super) path: String,
    pub(super) code: String,
    pub(super) comments: String,
}

/// A function that has a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// Counted from 1.
    pub(super) first_line: usize,
    /// From the line of `fn` to the closing brace.
    pub(super) lines: usize,
}

impl SourceFile {
    pub(super) fn new(path: String, text: &str) -> Self {
        let (code, comments) = split(text);
        Self { path, code, comments }
    }

    /// The functions with a body, nested ones as well.
    pub(super) fn functions(&self) -> Vec<Function> {
        let code = self.code.as_bytes();
        let starts = self.code.match_indices("fn ").map(|(at, _)| at);
        let starts = starts.filter(|&at| at == 0 || !is_word(code[at - 1]));
        starts.filter_map(|at| self.function_at(at)).collect()
    }

    /// The number of lines that are not in a `#[cfg(test)] mod … { }`.
    pub(super) fn lines_without_tests(&self) -> usize {
        let tests: usize = self.test_modules().iter().map(|range| self.lines_in(range)).sum();
        self.code.lines().count().saturating_sub(tests)
    }

    fn function_at(&self, at: usize) -> Option<Function> {
        let name = self.code[at + 3..].trim_start();
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            return None; // a pointer type: `fn (u8)`
        }
        let body = body_after(self.code.as_bytes(), at)?;
        let first_line = self.line_of(at);
        Some(Function { name, first_line, lines: self.lines_in(&(at..body.end)) })
    }

    fn test_modules(&self) -> Vec<Range<usize>> {
        let marks = self.code.match_indices("#[cfg(test)]");
        let modules = marks.filter_map(|(at, mark)| {
            let rest = self.code[at + mark.len()..].trim_start();
            let is_module = rest.starts_with("mod ") || rest.starts_with("pub(crate) mod ");
            let body = is_module.then(|| body_after(self.code.as_bytes(), at + mark.len()))??;
            Some(at..body.end)
        });
        modules.collect()
    }

    fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    fn lines_in(&self, range: &Range<usize>) -> usize {
        self.code[range.clone()].matches('\n').count() + 1
    }
}

/// The `{…}` that follows `at`, unless a `;` outside of brackets comes first.
fn body_after(code: &[u8], at: usize) -> Option<Range<usize>> {
    let mut brackets = 0_usize;
    let mut braces = 0_usize;
    let mut begin = None;
    for (offset, byte) in code[at..].iter().enumerate() {
        match byte {
            b'(' | b'[' => brackets += 1,
            b')' | b']' => brackets = brackets.saturating_sub(1),
            b';' if begin.is_none() && brackets == 0 => return None,
            b'{' => {
                begin.get_or_insert(at + offset);
                braces += 1;
            }
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 {
                    return begin.map(|begin| begin..at + offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// What a character of the file belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Literal,
}

/// Code and comments of `text`; the same length, the same lines.
fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut comments) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
    let mut at = 0;
    while at < bytes.len() {
        let (part, end) = next_part(bytes, at);
        for &byte in &bytes[at..end] {
            let keep = |wanted: Part| if part == wanted || byte == b'\n' { byte } else { b' ' };
            code.push(keep(Part::Code));
            comments.push(keep(Part::Comment));
        }
        at = end;
    }
    // Parts end at ASCII characters only, so each kept part is whole text.
    (String::from_utf8_lossy(&code).into_owned(), String::from_utf8_lossy(&comments).into_owned())
}

/// The part that begins at `at`, and where it ends (always after `at`).
fn next_part(bytes: &[u8], at: usize) -> (Part, usize) {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        let length = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        return (Part::Comment, at + length);
    }
    if rest.starts_with(b"/*") {
        return (Part::Comment, at + block_comment(rest));
    }
    if rest[0] == b'"' {
        return (Part::Literal, at + quoted(rest, 1));
    }
    let in_word = at > 0 && is_word(bytes[at - 1]);
    if !in_word && let Some(length) = raw_string(rest) {
        return (Part::Literal, at + length);
    }
    if rest[0] == b'\'' {
        return match char_literal(rest) {
            Some(length) => (Part::Literal, at + length),
            None => (Part::Code, at + 1), // a lifetime
        };
    }
    // A whole word or a single other character.
    let word = rest.iter().take_while(|&&byte| is_word(byte) || !byte.is_ascii()).count();
    // `b"…"` and `r"…"` begin like words; stop so that the quote is seen at its own place.
    (Part::Code, at + word.max(1))
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Length up to and with the closing quote, from `begin` on, with `\` escaping the next character.
fn quoted(rest: &[u8], begin: usize) -> usize {
    let mut at = begin;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// Length of `r"…"`, `br#"…"#` and the like.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if !matches!(&rest[..letters], b"r" | b"br" | b"cr") {
        return None;
    }
    let hashes = rest[letters..].iter().take_while(|&&byte| byte == b'#').count();
    let begin = letters + hashes + 1;
    if rest.get(begin - 1) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let found = rest[begin..].windows(close.len()).position(|window| window == close);
    Some(found.map_or(rest.len(), |found| begin + found + close.len()))
}

/// Length of `'x'` or `'\n'`; nothing for a lifetime.
fn char_literal(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|&byte| byte == b'\'')?;
        return Some(3 + close + 1);
    }
    // One character of up to four bytes.
    let length = rest.iter().skip(2).take(4).position(|&byte| byte == b'\'')? + 3;
    let one = std::str::from_utf8(&rest[1..length - 1]).is_ok_and(|text| text.chars().count() == 1);
    one.then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::new("x.rs".into(), text)
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a(\"// no { \\\" \"); // yes\nb(r#\"fn x() { \"quoted\" \"#); /* c /* d */ e\n*/ f('{', '\\'', 'é', 'a_lifetime);\n";
        let file = file(text);
        assert_eq!(file.code.len(), text.len());
        assert!(!file.code.contains('{') && !file.code.contains("yes") && !file.code.contains("no"));
        for kept in ["a(", "b(", "f(", "'a_lifetime"] {
            assert!(file.code.contains(kept), "{kept} in {}", file.code);
        }
        assert!(file.comments.contains("yes") && file.comments.contains("/* c /* d */ e\n*/"));
        assert!(!file.comments.contains("quoted"));
    }

    #[test]
    fn functions_are_measured_to_their_closing_brace() {
        let text = "fn one() {}\ntrait T { fn none(&self) -> [u8; 2]; }\n\nasync fn two(f: fn (u8)) -> [u8; 3]\nwhere\n    A: B,\n{\n    let _ = \"}\"; // }\n    if x { y }\n}\n";
        let found = file(text).functions();
        let expected = [("one", 1, 1), ("two", 4, 7)].map(|(name, first_line, lines)| Function {
            name: name.into(),
            first_line,
            lines,
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_is_as_long_as_its_code_without_its_tests() {
        let text = "//! Doc.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n";
        assert_eq!(file(text).lines_without_tests(), 3);
        assert_eq!(file("#[cfg(test)]\nmod tests;\nfn a() {}\n").lines_without_tests(), 3);
    }
}
