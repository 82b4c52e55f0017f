//! What servers send, read without regard to how it is written: a quoted string and a literal are the same value.

use std::fmt;

use anyhow::{Result, bail};

/// RFC 9051 §4: the data formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Nil,
    /// Atoms and numbers, in upper case as far as they are ASCII: flags, keywords, tokens.
    Atom(String),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("NIL"),
            Self::Atom(atom) => f.write_str(atom),
            Self::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Self::List(values) => {
                f.write_str("(")?;
                for (number, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if number == 0 { "" } else { " " })?;
                }
                f.write_str(")")
            }
        }
    }
}

/// The values of one response, literals included.
pub(super) fn parse(response: &[u8]) -> Result<Vec<Value>> {
    let mut parser = Parser { rest: response };
    let mut stack: Vec<Vec<Value>> = vec![Vec::new()];
    loop {
        parser.skip_spaces();
        let Some(&next) = parser.rest.first() else { break };
        match next {
            b'(' => {
                parser.rest = &parser.rest[1..];
                stack.push(Vec::new());
            }
            b')' => {
                parser.rest = &parser.rest[1..];
                let (Some(list), Some(outer)) = (stack.pop(), stack.last_mut()) else {
                    bail!("a parenthesis too many");
                };
                outer.push(Value::List(list));
            }
            _ => {
                let value = parser.simple()?;
                if let Some(list) = stack.last_mut() {
                    list.push(value);
                }
            }
        }
    }
    match <[Vec<Value>; 1]>::try_from(stack) {
        Ok([values]) => Ok(values),
        Err(_) => bail!("a parenthesis is missing"),
    }
}

struct Parser<'a> {
    rest: &'a [u8],
}

impl Parser<'_> {
    fn skip_spaces(&mut self) {
        let blanks = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\r' | b'\n')).count();
        self.rest = &self.rest[blanks..];
    }

    fn simple(&mut self) -> Result<Value> {
        match self.rest.first() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            // RFC 3516 §4.4: a literal that may hold NUL.
            Some(b'~') if self.rest.get(1) == Some(&b'{') => {
                self.rest = &self.rest[1..];
                self.literal()
            }
            _ => Ok(self.atom()),
        }
    }

    fn quoted(&mut self) -> Result<Value> {
        let mut text = Vec::new();
        let mut at = 1;
        loop {
            match self.rest.get(at) {
                None => bail!("a quoted string has no end"),
                Some(b'"') => break,
                Some(b'\\') => {
                    at += 1;
                    text.extend(self.rest.get(at));
                }
                Some(byte) => text.push(*byte),
            }
            at += 1;
        }
        self.rest = &self.rest[at + 1..];
        Ok(Value::Text(text))
    }

    fn literal(&mut self) -> Result<Value> {
        let Some(end) = memchr::memmem::find(self.rest, b"}\r\n") else { bail!("a literal has no length") };
        let length: usize = std::str::from_utf8(&self.rest[1..end])?.parse()?;
        let begin = end + 3;
        let Some(text) = self.rest.get(begin..begin + length) else { bail!("a literal is too short") };
        let value = Value::Text(text.to_vec());
        self.rest = &self.rest[begin + length..];
        Ok(value)
    }

    /// Up to a blank or parenthesis outside of brackets: `BODY[HEADER.FIELDS (TO)]<0>` is one.
    fn atom(&mut self) -> Value {
        let mut depth = 0_u32;
        let end = self.rest.iter().position(|byte| {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                b' ' | b'(' | b')' | b'\r' | b'\n' if depth == 0 => return true,
                _ => {}
            }
            false
        });
        let (atom, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let atom = String::from_utf8_lossy(atom).to_ascii_uppercase();
        if atom == "NIL" { Value::Nil } else { Value::Atom(atom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_one_value_are_equal() {
        let quoted = parse(b"1 FETCH (BODY[HEADER.FIELDS (To)] \"a\\\"b\" X NIL)").unwrap();
        let literal = parse(b"1 Fetch (body[header.fields (To)] {3}\r\na\"b x nil)\r\n").unwrap();
        assert_eq!(quoted, literal);
        assert_ne!(quoted, parse(b"1 FETCH (BODY[HEADER.FIELDS (To)] {3}\r\na'b X NIL)").unwrap());
        assert_eq!(parse(b"((1)(2 3))").unwrap()[0].to_string(), "((1) (2 3))");
    }

    #[test]
    fn damage_is_an_error() {
        for text in [&b"(a"[..], b"a)", b"\"a", b"{4}\r\nabc", b"{x}\r\n"] {
            assert!(parse(text).is_err(), "{}", text.escape_ascii());
        }
    }
}
