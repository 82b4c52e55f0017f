//! Bytes of a line to a typed command. RFC 5321 §4.1.1, RFC 2033 §4.1, RFC 3030 §2.

use crate::address::{AddressError, ForwardPath, ReversePath, forward_path, reverse_path};

/// Longest command line in octets, CRLF included. RFC 5321 §4.5.3.1.4 asks for 512 and more for each extension; this has
/// room for the longest path and every parameter. Beyond it: 500, and the rest of the line is thrown away.
pub(crate) const LINE_BYTES_MAX: usize = 2048;

/// What a client may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Helo(String),
    Ehlo(String),
    Lhlo(String),
    Mail(Mail),
    Rcpt(ForwardPath),
    Data,
    /// RFC 3030 §2: octets that follow at once.
    Bdat {
        size: u64,
        last: Last,
    },
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    /// RFC 3207 §4.
    StartTls,
}

/// MAIL with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) sender: ReversePath,
    /// SIZE of RFC 1870 in octets; 0: not told.
    pub(crate) size: u64,
    /// The sender speaks of a UTF-8 message or address, RFC 6531 §3.4.
    pub(crate) smtputf8: bool,
}

/// Is this the last chunk of a message?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Yes,
    No,
}

impl Command {
    /// The keyword, for metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Helo(_) => "HELO",
            Self::Ehlo(_) => "EHLO",
            Self::Lhlo(_) => "LHLO",
            Self::Mail(_) => "MAIL",
            Self::Rcpt(_) => "RCPT",
            Self::Data => "DATA",
            Self::Bdat { .. } => "BDAT",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Vrfy => "VRFY",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
            Self::StartTls => "STARTTLS",
        }
    }
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("command not recognised")]
    Unknown,
    #[error("bare CR, bare LF, NUL or broken UTF-8 in a command")]
    NotText,
    #[error("syntax error in parameters")]
    Parameters,
    /// After this nobody knows where the chunk's octets end: the connection must end.
    #[error("syntax error in BDAT")]
    Bdat,
    #[error("{0}")]
    Address(AddressError),
    /// RFC 5321 §4.1.1.11.
    #[error("parameter not recognised or not implemented")]
    UnknownParameter,
    /// RFC 6531 §3.5.
    #[error("address needs SMTPUTF8")]
    NeedsSmtpUtf8,
}

/// Reads one line, without its CRLF.
pub(crate) fn parse(line: &[u8]) -> Result<Command, SyntaxError> {
    let line = std::str::from_utf8(line).map_err(|_| SyntaxError::NotText)?;
    if line.contains(['\0', '\r', '\n']) {
        return Err(SyntaxError::NotText);
    }
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    match verb.to_ascii_uppercase().as_str() {
        "HELO" => greeting(rest).map(Command::Helo),
        "EHLO" => greeting(rest).map(Command::Ehlo),
        "LHLO" => greeting(rest).map(Command::Lhlo),
        "MAIL" => mail(rest).map(Command::Mail),
        "RCPT" => rcpt(rest),
        "DATA" => alone(rest, Command::Data),
        "BDAT" => bdat(rest),
        "RSET" => alone(rest, Command::Rset),
        // RFC 5321 §4.1.1.9: NOOP's argument is ignored.
        "NOOP" => Ok(Command::Noop),
        "QUIT" => alone(rest, Command::Quit),
        "VRFY" => Ok(Command::Vrfy),
        "EXPN" => Ok(Command::Expn),
        "HELP" => Ok(Command::Help),
        "STARTTLS" => alone(rest, Command::StartTls),
        _ => Err(SyntaxError::Unknown),
    }
}

/// Any one word: clients greet with names that no grammar allows, and are not to be lost for it.
fn greeting(rest: &str) -> Result<String, SyntaxError> {
    let name = rest.trim_matches(' ');
    if name.is_empty() || name.contains(|c: char| c == ' ' || c.is_control()) {
        return Err(SyntaxError::Parameters);
    }
    Ok(name.to_owned())
}

fn mail(rest: &str) -> Result<Mail, SyntaxError> {
    let (sender, rest) = reverse_path(after(rest, "FROM:")?).map_err(SyntaxError::Address)?;
    let mut mail = Mail { sender, size: 0, smtputf8: false };
    for parameter in parameters(rest)? {
        let (keyword, value) = match parameter.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (parameter, None),
        };
        match (keyword.to_ascii_uppercase().as_str(), value) {
            ("SIZE", Some(value)) => mail.size = number(value).ok_or(SyntaxError::Parameters)?,
            ("BODY", Some(value)) if is_one_of(value, ["7BIT", "8BITMIME"]) => {}
            ("SMTPUTF8", None) => mail.smtputf8 = true,
            ("SIZE" | "BODY" | "SMTPUTF8", _) => return Err(SyntaxError::Parameters),
            _ => return Err(SyntaxError::UnknownParameter),
        }
    }
    match &mail.sender {
        ReversePath::Address(address) if address.is_international() && !mail.smtputf8 => {
            Err(SyntaxError::NeedsSmtpUtf8)
        }
        _ => Ok(mail),
    }
}

fn rcpt(rest: &str) -> Result<Command, SyntaxError> {
    let (recipient, rest) = forward_path(after(rest, "TO:")?).map_err(SyntaxError::Address)?;
    if parameters(rest)?.next().is_some() {
        return Err(SyntaxError::UnknownParameter);
    }
    Ok(Command::Rcpt(recipient))
}

fn bdat(rest: &str) -> Result<Command, SyntaxError> {
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let size = words.next().and_then(number).ok_or(SyntaxError::Bdat)?;
    let last = match words.next() {
        None => Last::No,
        Some(word) if word.eq_ignore_ascii_case("LAST") => Last::Yes,
        Some(_) => return Err(SyntaxError::Bdat),
    };
    if words.next().is_some() { Err(SyntaxError::Bdat) } else { Ok(Command::Bdat { size, last }) }
}

/// What follows `FROM:` or `TO:`. A space after the colon is wrong, common and harmless.
fn after<'a>(rest: &'a str, word: &str) -> Result<&'a str, SyntaxError> {
    match (rest.get(..word.len()), rest.get(word.len()..)) {
        (Some(head), Some(tail)) if head.eq_ignore_ascii_case(word) => Ok(tail.trim_start_matches(' ')),
        _ => Err(SyntaxError::Parameters),
    }
}

/// Words after a path, which a space must separate from it.
fn parameters(rest: &str) -> Result<impl Iterator<Item = &str>, SyntaxError> {
    if !(rest.is_empty() || rest.starts_with(' ')) {
        return Err(SyntaxError::Address(AddressError::Syntax));
    }
    Ok(rest.split(' ').filter(|word| !word.is_empty()))
}

fn alone(rest: &str, command: Command) -> Result<Command, SyntaxError> {
    if rest.trim_matches(' ').is_empty() { Ok(command) } else { Err(SyntaxError::Parameters) }
}

fn is_one_of<const N: usize>(value: &str, known: [&str; N]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(value))
}

/// At most 20 digits, RFC 1870 §3.
fn number(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mail(line: &str) -> Mail {
        match parse(line.as_bytes()) {
            Ok(Command::Mail(mail)) => mail,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn reads_every_command() {
        for (line, command) in [
            ("HELO x", Command::Helo("x".to_owned())),
            ("ehlo [192.0.2.1] ", Command::Ehlo("[192.0.2.1]".to_owned())),
            ("LHLO foo.edu", Command::Lhlo("foo.edu".to_owned())),
            ("DATA", Command::Data),
            ("BDAT 86 LAST", Command::Bdat { size: 86, last: Last::Yes }),
            ("bdat 0", Command::Bdat { size: 0, last: Last::No }),
            ("RSET ", Command::Rset),
            ("NOOP what ever", Command::Noop),
            ("QUIT", Command::Quit),
            ("VRFY postel", Command::Vrfy),
            ("EXPN list", Command::Expn),
            ("HELP", Command::Help),
            ("STARTTLS", Command::StartTls),
            ("RCPT TO:<Postmaster>", Command::Rcpt(ForwardPath::Postmaster)),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn reads_parameters_of_mail() {
        let plain = mail("MAIL FROM:<>");
        assert_eq!(plain, Mail { sender: ReversePath::Null, size: 0, smtputf8: false });
        let full = mail("mail from: <a@b> size=500000 BODY=8bitmime SMTPUTF8");
        assert_eq!((full.size, full.smtputf8), (500_000, true));
        assert_eq!(full.sender.to_string(), "a@b");
        assert_eq!(mail("MAIL FROM:<a@b> SIZE=99999999999999999999").size, u64::MAX);
        assert!(mail("MAIL FROM:<é@b> SMTPUTF8").smtputf8);
    }

    #[test]
    fn refuses_what_is_none() {
        use SyntaxError::*;
        for (line, error) in [
            (&b""[..], Unknown),
            (b"XYZZY", Unknown),
            (b"EHLO", Parameters),
            (b"EHLO a b", Parameters),
            (b"MAIL", Parameters),
            (b"MAIL <a@b>", Parameters),
            (b"MAIL FROM:a@b", Address(AddressError::NoBrackets)),
            (b"MAIL FROM:<a@b>SIZE=1", Address(AddressError::Syntax)),
            (b"MAIL FROM:<a@b> SIZE=x", Parameters),
            (b"MAIL FROM:<a@b> SIZE", Parameters),
            (b"MAIL FROM:<a@b> BODY=BINARYMIME", Parameters),
            (b"MAIL FROM:<a@b> RET=FULL", UnknownParameter),
            (b"MAIL FROM:<\xc3\xa9@b>", NeedsSmtpUtf8),
            (b"RCPT TO:<a@b> NOTIFY=NEVER", UnknownParameter),
            (b"RCPT TO:<>", Address(AddressError::Syntax)),
            (b"DATA now", Parameters),
            (b"QUIT now", Parameters),
            (b"BDAT", Bdat),
            (b"BDAT -1", Bdat),
            (b"BDAT 5 FIRST", Bdat),
            (b"BDAT 5 LAST LAST", Bdat),
            (b"BDAT 123456789012345678901", Bdat),
            (b"NOOP \0", NotText),
            (b"NOOP a\rb", NotText),
            (b"RCPT TO:<\xff@b>", NotText),
        ] {
            assert_eq!(parse(line), Err(error), "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..80), tail in "[ <>@=\"a-zé0-9]{0,30}") {
            let _ = parse(&line);
            for verb in ["MAIL FROM:", "RCPT TO:", "BDAT ", "EHLO ", "MAIL FROM:<a@b>"] {
                let _ = parse(format!("{verb}{tail}").as_bytes());
            }
        }
    }
}
