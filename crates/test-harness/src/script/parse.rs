//! The text of a script, as steps.

/// One line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The server must advertise this IMAP capability.
    Requires(String),
    /// Where the standard leaves a choice, this is ours: another server may choose otherwise.
    Choice(String),
    /// A connection of its own making; `login` names the account it logs in with.
    Session {
        /// Its name in the script.
        name: String,
        /// What it speaks.
        protocol: Protocol,
        /// Whose it is; `None`: it does not log in.
        login: Option<String>,
    },
    /// A message for an account, by LMTP.
    Deliver {
        /// Whose mail.
        account: String,
        /// The message.
        message: Vec<u8>,
    },
    /// From now on the session is inside TLS.
    StartTls(String),
    /// From now on the session is compressed.
    Deflate(String),
    /// Who may use whose mailboxes, by the server's administration: words of `todoku acl`, variables not yet filled in.
    Acl(Vec<u8>),
    /// Room for an account's mail in octets, by the server's administration; 0: as much as there is.
    Quota {
        /// Whose mail.
        account: String,
        /// Octets.
        bytes: u64,
    },
    /// Octets for the server.
    Send {
        /// Which session.
        name: String,
        /// What is said, variables not yet filled in.
        octets: Vec<u8>,
    },
    /// What must come, or must not.
    Expect {
        /// Which session.
        name: String,
        /// How it is matched.
        how: Expectation,
        /// The pattern, variables not yet filled in.
        pattern: String,
    },
    /// The server must close this connection.
    Closed(String),
    /// Milliseconds to wait.
    Sleep(u64),
}

/// How an expectation is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// After the one before it.
    InOrder,
    /// Anywhere in the block.
    Anywhere,
    /// Nowhere in the block.
    Absent,
}

/// What a session speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// IMAP4
    Imap,
    /// IMAP4 inside TLS from the first octet
    Imaps,
    /// POP3
    Pop3,
    /// LMTP
    Lmtp,
    /// SMTP
    Smtp,
}

/// A script: steps with their line numbers.
#[derive(Debug, Clone)]
pub struct Script {
    /// The steps.
    pub steps: Vec<(usize, Step)>,
}

/// A line that is none of the language.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    line: usize,
    problem: String,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let step = parse_line(line).map_err(|problem| ScriptError { line: index + 1, problem })?;
            steps.push((index + 1, step));
        }
        Ok(Self { steps })
    }
}

fn parse_line(line: &str) -> Result<Step, String> {
    if let Some(step) = parse_talk(line)? {
        return Ok(step);
    }
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    match word {
        "requires" => Ok(Step::Requires(rest.trim().to_owned())),
        "choice" => Ok(Step::Choice(rest.trim().to_owned())),
        "sleep" => rest.trim().parse().map(Step::Sleep).map_err(|_| "sleep takes milliseconds".to_owned()),
        "deliver" => {
            let (account, message) = rest.split_once(' ').ok_or("deliver ACCOUNT MESSAGE")?;
            Ok(Step::Deliver { account: account.to_owned(), message: unescape(message)? })
        }
        "session" => parse_session(rest),
        "acl" => Ok(Step::Acl(unescape(rest.trim())?)),
        "quota" => {
            let (account, bytes) = rest.split_once(' ').ok_or("quota ACCOUNT OCTETS")?;
            let bytes = bytes.trim().parse().map_err(|_| "a quota is octets".to_owned())?;
            Ok(Step::Quota { account: account.to_owned(), bytes })
        }
        name if rest.trim() == "starttls" => Ok(Step::StartTls(name.to_owned())),
        name if rest.trim() == "deflate" => Ok(Step::Deflate(name.to_owned())),
        name if rest.trim() == "closed" => Ok(Step::Closed(name.to_owned())),
        other => Err(format!("{other:?} is no step")),
    }
}

fn parse_session(rest: &str) -> Result<Step, String> {
    let mut words = rest.split_whitespace();
    let (Some(name), Some(protocol)) = (words.next(), words.next()) else {
        return Err("session NAME PROTOCOL [ACCOUNT]".to_owned());
    };
    let protocol = match protocol {
        "imap" => Protocol::Imap,
        "imaps" => Protocol::Imaps,
        "pop3" => Protocol::Pop3,
        "lmtp" => Protocol::Lmtp,
        "smtp" => Protocol::Smtp,
        other => return Err(format!("{other:?} is no protocol")),
    };
    Ok(Step::Session { name: name.to_owned(), protocol, login: words.next().map(str::to_owned) })
}

/// `NAME: text`, `NAME:- text`, `NAME< pattern`, `NAME<? pattern`, `NAME<! pattern`.
fn parse_talk(line: &str) -> Result<Option<Step>, String> {
    let end = line.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        return Err("a line begins with a name".to_owned());
    }
    let name = name.to_owned();
    let text = |mark: &str| rest.strip_prefix(mark).map(|text| text.strip_prefix(' ').unwrap_or(text));
    if let Some(text) = text(":-") {
        return Ok(Some(Step::Send { name, octets: unescape(text)? }));
    }
    if let Some(text) = text(":") {
        let mut octets = unescape(text)?;
        octets.extend_from_slice(b"\r\n");
        return Ok(Some(Step::Send { name, octets }));
    }
    for (mark, how) in
        [("<!", Expectation::Absent), ("<?", Expectation::Anywhere), ("<", Expectation::InOrder)]
    {
        if let Some(pattern) = text(mark) {
            return Ok(Some(Step::Expect { name, how, pattern: pattern.to_owned() }));
        }
    }
    Ok(None)
}

/// `\r \n \t \0 \\ \xNN`, and `\{` is a brace that begins no variable; everything else is itself, UTF-8 included.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'r') => out.push(b'\r'),
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'0') => out.push(0),
            Some(b'x') => {
                let digits = [bytes.next(), bytes.next()].map(|b| b.unwrap_or(b'?') as char);
                let digits: String = digits.iter().collect();
                out.push(u8::from_str_radix(&digits, 16).map_err(|_| format!("\\x{digits} is no octet"))?);
            }
            // IMAP is full of \Seen: a backslash before any other letter is a backslash.
            Some(b'\\') => out.push(b'\\'),
            Some(other) => out.extend_from_slice(&[b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_every_step() {
        let script = Script::parse(
            "# comment\nrequires IDLE\nchoice ours\nsession p pop3 alice\ndeliver alice Subject: x\\r\\n\\r\\nbody\n\
             alice: a STORE 1 FLAGS (\\Seen)\nalice:- a\\x00\nalice< a OK ...\nalice<? * 1 EXISTS\nalice<! * BYE\n\
             p closed\nsleep 10\nalice starttls\nalice deflate\nquota bob 100\nsession t imaps\n\
             acl set ${alice} INBOX anyone lr\n",
        )
        .unwrap();
        assert_eq!(script.steps.len(), 16);
        assert_eq!(script.steps[15].1, Step::Acl(b"set ${alice} INBOX anyone lr".to_vec()));
        assert_eq!(script.steps[11].1, Step::StartTls("alice".into()));
        assert_eq!(script.steps[13].1, Step::Quota { account: "bob".into(), bytes: 100 });
        assert_eq!(script.steps[0], (2, Step::Requires("IDLE".into())));
        assert_eq!(
            script.steps[4].1,
            Step::Send { name: "alice".into(), octets: b"a STORE 1 FLAGS (\\Seen)\r\n".to_vec() }
        );
        assert_eq!(script.steps[5].1, Step::Send { name: "alice".into(), octets: b"a\0".to_vec() });
    }

    #[test]
    fn nonsense_is_named_with_its_line() {
        let error = Script::parse("\nalice: x\nnonsense here\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3: \"nonsense\" is no step");
    }
}
