//! Bytes of a line to a typed command. RFC 1939 §3, RFC 2449 §3 and §4.

/// Longest line in octets, CRLF included. RFC 2449 §4 asks for 255; a base64 answer to AUTH may be longer.
/// Beyond it: -ERR, and the rest of the line is thrown away.
pub(crate) const LINE_BYTES_MAX: usize = 12 * 1024;

/// What a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// RFC 1939 §7.
    User(String),
    /// RFC 1939 §7: everything after the first space, further spaces included.
    Pass(String),
    /// RFC 1734 §2: the mechanism in upper case and the initial response, still in base64.
    Auth {
        mechanism: String,
        initial: Option<String>,
    },
    /// `AUTH` alone: which mechanisms are there? An older form of CAPA that clients still use.
    AuthList,
    Stat,
    List(Option<u64>),
    Retr(u64),
    Dele(u64),
    Noop,
    Rset,
    Quit,
    /// Message number, lines of the body.
    Top(u64, u64),
    Uidl(Option<u64>),
    Capa,
    /// RFC 2595 §4.
    Stls,
}

impl Command {
    /// The keyword, for metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Auth { .. } | Self::AuthList => "AUTH",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Retr(_) => "RETR",
            Self::Dele(_) => "DELE",
            Self::Noop => "NOOP",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
            Self::Top(..) => "TOP",
            Self::Uidl(_) => "UIDL",
            Self::Capa => "CAPA",
            Self::Stls => "STLS",
        }
    }
}

/// Why a line is no command. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("unknown command")]
    Unknown,
    #[error("the command is not valid UTF-8 text")]
    NotText,
    #[error("this command takes no argument")]
    NoArgument,
    #[error("an argument is missing")]
    Missing,
    #[error("too many arguments")]
    TooMany,
    #[error("not a message number or line count")]
    NotANumber,
}

/// Reads one line, without its CRLF.
pub(crate) fn parse(line: &[u8]) -> Result<Command, SyntaxError> {
    // Names and passwords travel as text from here on, and the database takes no NUL.
    let line = std::str::from_utf8(line).map_err(|_| SyntaxError::NotText)?;
    if line.contains('\0') {
        return Err(SyntaxError::NotText);
    }
    let (keyword, argument) = match line.split_once(' ') {
        Some((keyword, argument)) => (keyword, Some(argument)),
        None => (line, None),
    };
    match keyword.to_ascii_uppercase().as_str() {
        "USER" => Ok(Command::User(text(argument)?)),
        "PASS" => Ok(Command::Pass(text(argument)?)),
        "AUTH" => auth(argument),
        "STAT" => none(argument, Command::Stat),
        "LIST" => optional_number(argument).map(Command::List),
        "RETR" => one_number(argument).map(Command::Retr),
        "DELE" => one_number(argument).map(Command::Dele),
        "NOOP" => none(argument, Command::Noop),
        "RSET" => none(argument, Command::Rset),
        "QUIT" => none(argument, Command::Quit),
        "TOP" => top(argument),
        "UIDL" => optional_number(argument).map(Command::Uidl),
        "CAPA" => none(argument, Command::Capa),
        "STLS" => none(argument, Command::Stls),
        _ => Err(SyntaxError::Unknown),
    }
}

fn auth(argument: Option<&str>) -> Result<Command, SyntaxError> {
    let mut words = words(argument);
    let Some(mechanism) = words.next() else { return Ok(Command::AuthList) };
    let initial = words.next().map(str::to_owned);
    match words.next() {
        None => Ok(Command::Auth { mechanism: mechanism.to_ascii_uppercase(), initial }),
        Some(_) => Err(SyntaxError::TooMany),
    }
}

fn top(argument: Option<&str>) -> Result<Command, SyntaxError> {
    let mut words = words(argument);
    let message = number(words.next().ok_or(SyntaxError::Missing)?)?;
    let lines = number(words.next().ok_or(SyntaxError::Missing)?)?;
    match words.next() {
        None => Ok(Command::Top(message, lines)),
        Some(_) => Err(SyntaxError::TooMany),
    }
}

/// The whole rest of the line.
fn text(argument: Option<&str>) -> Result<String, SyntaxError> {
    argument.filter(|argument| !argument.is_empty()).map(str::to_owned).ok_or(SyntaxError::Missing)
}

fn none(argument: Option<&str>, command: Command) -> Result<Command, SyntaxError> {
    if words(argument).next().is_some() { Err(SyntaxError::NoArgument) } else { Ok(command) }
}

fn one_number(argument: Option<&str>) -> Result<u64, SyntaxError> {
    optional_number(argument)?.ok_or(SyntaxError::Missing)
}

fn optional_number(argument: Option<&str>) -> Result<Option<u64>, SyntaxError> {
    let mut words = words(argument);
    let first = words.next();
    if words.next().is_some() {
        return Err(SyntaxError::TooMany);
    }
    first.map(number).transpose()
}

fn number(word: &str) -> Result<u64, SyntaxError> {
    // `parse` alone would take "+1".
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        word.parse().map_err(|_| SyntaxError::NotANumber)
    } else {
        Err(SyntaxError::NotANumber)
    }
}

/// Arguments are separated by one space; more, also at the end, do no harm.
fn words(argument: Option<&str>) -> impl Iterator<Item = &str> {
    argument.unwrap_or_default().split(' ').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_every_command() {
        for (line, command) in [
            ("USER mrose", Command::User("mrose".to_owned())),
            ("pass two words ", Command::Pass("two words ".to_owned())),
            ("AUTH plain", Command::Auth { mechanism: "PLAIN".to_owned(), initial: None }),
            (
                "AUTH PLAIN AGEAYg==",
                Command::Auth { mechanism: "PLAIN".to_owned(), initial: Some("AGEAYg==".to_owned()) },
            ),
            ("AUTH", Command::AuthList),
            ("STAT", Command::Stat),
            ("List", Command::List(None)),
            ("LIST 2", Command::List(Some(2))),
            ("RETR 007", Command::Retr(7)),
            ("DELE 18446744073709551615", Command::Dele(u64::MAX)),
            ("NOOP ", Command::Noop),
            ("RSET", Command::Rset),
            ("qUiT", Command::Quit),
            ("TOP 1 0", Command::Top(1, 0)),
            ("UIDL", Command::Uidl(None)),
            ("UIDL 3", Command::Uidl(Some(3))),
            ("CAPA", Command::Capa),
            ("STLS", Command::Stls),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for (line, error) in [
            (&b""[..], SyntaxError::Unknown),
            (b"XTND", SyntaxError::Unknown),
            (b"USER", SyntaxError::Missing),
            (b"PASS ", SyntaxError::Missing),
            (b"STAT 1", SyntaxError::NoArgument),
            (b"RETR", SyntaxError::Missing),
            (b"RETR +1", SyntaxError::NotANumber),
            (b"RETR -1", SyntaxError::NotANumber),
            (b"RETR 1 2", SyntaxError::TooMany),
            (b"RETR 18446744073709551616", SyntaxError::NotANumber),
            (b"TOP 1", SyntaxError::Missing),
            (b"TOP 1 2 3", SyntaxError::TooMany),
            (b"AUTH PLAIN a b", SyntaxError::TooMany),
            (b"USER a\0b", SyntaxError::NotText),
            (b"USER \xff", SyntaxError::NotText),
        ] {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&line);
        }
    }
}
