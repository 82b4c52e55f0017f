//! IMAP URLs of messages and their parts (RFC 5092), as CATENATE and URLAUTH use them.

use mail_types::{HIERARCHY_SEPARATOR, MailboxName, Uid, UidValidity};

use crate::parse::section_text;
use crate::{BytesRange, Section};

/// Longest URL in bytes: a mailbox name with every byte encoded, and room for the rest.
const URL_BYTES_MAX: usize = 4096;

/// `imessagepart` of RFC 5092 §11, absolute or relative, with or without authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImapUrl {
    /// `imap://user@host:port`; `None` for a relative URL.
    pub server: Option<UrlServer>,
    /// As written; see [`Self::mailbox`].
    path: UrlPath,
    /// `;UIDVALIDITY=`
    pub uid_validity: Option<UidValidity>,
    /// `;UID=`
    pub uid: Uid,
    /// `;SECTION=`; the whole message if it is not given.
    pub section: Section,
    /// `;PARTIAL=`
    pub partial: Option<BytesRange>,
    /// `;URLAUTH=`
    pub auth: Option<UrlAuth>,
}

/// Where and who (`iserver`, RFC 5092 §11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlServer {
    /// Whose mailbox, decoded.
    pub user: Option<String>,
    /// With its port, as written.
    pub host: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UrlPath {
    /// From the root.
    Absolute(MailboxName),
    /// To be put behind the level of the selected mailbox.
    Relative(String),
    /// None: the selected mailbox.
    Base,
}

/// The authorization of a URL (RFC 4467 §3, §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlAuth {
    /// `;EXPIRE=`, in seconds since 1970.
    pub expires_at: Option<i64>,
    /// For whom.
    pub access: UrlAccess,
    /// Length of the rump: everything before the mechanism.
    pub rump_len: usize,
    /// Mechanism in upper case, and token as written; `None` in a rump.
    pub verifier: Option<(String, String)>,
}

/// Who may use an authorized URL (`access`, RFC 4467 §9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlAccess {
    /// `submit+user`: a mail submission server, for this user.
    Submit(String),
    /// `user+user`
    User(String),
    /// `authuser`: whoever has logged in.
    AuthUser,
    /// `anonymous`: everybody.
    Anonymous,
}

impl ImapUrl {
    /// `None`: no URL of a message.
    pub fn parse(url: &[u8]) -> Option<Self> {
        if url.len() > URL_BYTES_MAX || !url.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let text = std::str::from_utf8(url).ok()?;
        let (server, rest) = server(text)?;
        let auth = match find(rest, ";URLAUTH=") {
            Some(at) => Some((at, auth(text.len() - rest.len() + at, &rest[at + ";URLAUTH=".len()..])?)),
            None => None,
        };
        let (mut path, mut auth) = match auth {
            Some((at, auth)) => (&rest[..at], Some(auth)),
            None => (rest, None),
        };
        if let Some(at) = find(path, ";EXPIRE=") {
            let expires_at = path[at + ";EXPIRE=".len()..].parse::<jiff::Timestamp>().ok()?.as_second();
            auth.as_mut()?.expires_at = Some(expires_at);
            path = &path[..at];
        }
        let (path, partial) = split_last(path, ";PARTIAL=");
        let (path, section) = split_last(path, ";SECTION=");
        let (path, uid) = split_last(path, ";UID=");
        let uid = Uid::new(number(uid?)?)?;
        let (path, uid_validity) = match find(path, ";UIDVALIDITY=") {
            Some(at) => {
                let number = number(&path[at + ";UIDVALIDITY=".len()..])?;
                (&path[..at], Some(UidValidity::new(number)?))
            }
            None => (path, None),
        };
        Some(Self {
            path: url_path(path, server.is_some(), uid_validity.is_some())?,
            server,
            uid_validity,
            uid,
            section: section.map_or(Some(Section::default()), |section| section_text(&decode(section)?))?,
            partial: partial.map_or(Some(None), |partial| self::partial(partial).map(Some))?,
            auth,
        })
    }

    /// Does it depend on the selected mailbox?
    pub fn is_relative(&self) -> bool {
        !matches!(self.path, UrlPath::Absolute(_))
    }

    /// The mailbox, for a session in which this one is selected (RFC 4469 §3).
    pub fn mailbox(&self, selected: Option<&MailboxName>) -> Option<MailboxName> {
        match &self.path {
            UrlPath::Absolute(name) => Some(name.clone()),
            UrlPath::Base => selected.cloned(),
            UrlPath::Relative(name) => {
                let level = selected.and_then(MailboxName::parent);
                let name = match level {
                    Some(level) => format!("{level}{HIERARCHY_SEPARATOR}{name}"),
                    None => name.clone(),
                };
                MailboxName::try_from(name.as_str()).ok()
            }
        }
    }
}

/// `["imap:"] "//" iserver`, and what follows. `None`: another scheme, or no host.
fn server(text: &str) -> Option<(Option<UrlServer>, &str)> {
    let after_scheme = match text.get(.."imap:".len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case("imap:") => {
            // RFC 5092 §11: there is no path without a server behind the scheme.
            text[scheme.len()..].starts_with("//").then(|| &text[scheme.len()..])?
        }
        _ => text,
    };
    let Some(rest) = after_scheme.strip_prefix("//") else { return Some((None, text)) };
    let (server, path) = rest.split_at(rest.find('/')?);
    let (user, host) = match server.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", server),
    };
    let user = &user[..find(user, ";AUTH=").unwrap_or(user.len())];
    let user = if user.is_empty() { None } else { Some(decode(user)?) };
    if host.is_empty() {
        return None;
    }
    Some((Some(UrlServer { user, host: host.to_owned() }), path))
}

/// What comes after `;URLAUTH=`, which is at `at` of the URL.
fn auth(at: usize, text: &str) -> Option<UrlAuth> {
    let (access, verifier) = match text.split_once(':') {
        Some((access, rest)) => {
            let (mechanism, token) = rest.split_once(':')?;
            (access, Some((mechanism.to_ascii_uppercase(), token.to_owned())))
        }
        None => (text, None),
    };
    let rump_len = at + ";URLAUTH=".len() + access.len();
    let user = |prefix: &str| {
        let head = access.get(..prefix.len()).filter(|head| head.eq_ignore_ascii_case(prefix))?;
        decode(&access[head.len()..]).filter(|user| !user.is_empty())
    };
    let access = if let Some(name) = user("submit+") {
        UrlAccess::Submit(name)
    } else if let Some(name) = user("user+") {
        UrlAccess::User(name)
    } else if access.eq_ignore_ascii_case("authuser") {
        UrlAccess::AuthUser
    } else if access.eq_ignore_ascii_case("anonymous") {
        UrlAccess::Anonymous
    } else {
        return None;
    };
    Some(UrlAuth { expires_at: None, access, rump_len, verifier })
}

/// The mailbox's part of the path.
fn url_path(path: &str, has_server: bool, has_validity: bool) -> Option<UrlPath> {
    // Clients write ";UID=1" and "/;UID=1" for the selected mailbox.
    if path.is_empty() || path == "/" {
        return (!has_server && !has_validity).then_some(UrlPath::Base);
    }
    if let Some(name) = path.strip_prefix('/') {
        return MailboxName::try_from(decode(name)?.as_str()).ok().map(UrlPath::Absolute);
    }
    // RFC 3986 §4.2: a colon in the first level would make it a scheme.
    let has_scheme = path.split('/').next().is_some_and(|level| level.contains(':'));
    if has_scheme { None } else { Some(UrlPath::Relative(decode(path)?)) }
}

/// `number ["." nz-number]`
fn partial(text: &str) -> Option<BytesRange> {
    let (offset, count) = match text.split_once('.') {
        Some((offset, count)) => (offset, number::<u64>(count).filter(|count| *count > 0)?),
        None => (text, u64::MAX),
    };
    Some(BytesRange { offset: number(offset)?, count })
}

fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// Where a word of the grammar is, whatever its case.
fn find(text: &str, word: &str) -> Option<usize> {
    text.as_bytes().windows(word.len()).position(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// What comes before and after a word. The slash before it is part of it unless the text begins with it.
fn split_last<'a>(text: &'a str, word: &str) -> (&'a str, Option<&'a str>) {
    match find(text, word) {
        Some(at) => {
            let before = &text[..at];
            (before.strip_suffix('/').unwrap_or(before), Some(&text[at + word.len()..]))
        }
        None => (text, None),
    }
}

/// RFC 3986 §2.1, into UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digits = [bytes.next()?, bytes.next()?];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SectionText;

    fn name(text: &str) -> MailboxName {
        MailboxName::try_from(text).unwrap()
    }

    fn parse(text: &str) -> ImapUrl {
        ImapUrl::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn urls_of_the_standards() {
        let url = parse("/Drafts;UIDVALIDITY=385759045/;UID=20/;section=1.MIME");
        assert_eq!(url.mailbox(None), Some(name("Drafts")));
        assert_eq!(url.uid_validity, UidValidity::new(385_759_045));
        assert_eq!((url.uid.get(), url.section.part.as_slice()), (20, &[1][..]));
        assert_eq!(url.section.text, Some(SectionText::Mime));
        assert!(url.server.is_none() && url.partial.is_none() && url.auth.is_none());

        let url = parse("imap://joe@example.com/INBOX/;uid=20/;section=1.2/;PARTIAL=0.1024");
        let server = UrlServer { user: Some("joe".into()), host: "example.com".into() };
        assert_eq!(url.server, Some(server));
        assert_eq!(url.partial, Some(BytesRange { offset: 0, count: 1024 }));

        let url = parse(
            "imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2007-01-01T00:00:00Z;urlauth=submit+fred:internal:91354a473744909de610943775f92038",
        );
        let auth = url.auth.unwrap();
        assert_eq!(auth.access, UrlAccess::Submit("fred".into()));
        assert_eq!(auth.expires_at, Some(1_167_609_600));
        assert_eq!(auth.verifier, Some(("INTERNAL".into(), "91354a473744909de610943775f92038".into())));
        assert_eq!(url.section.part, [1, 2]);
        let rump = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=anonymous";
        assert_eq!(parse(rump).auth.unwrap().rump_len, rump.len());
    }

    #[test]
    fn relative_ones_begin_at_the_selected_mailbox() {
        let selected = name("a/b");
        for (url, alone, from_a_b) in [
            (";UID=1", None, Some("a/b")),
            ("/;UID=1", None, Some("a/b")),
            ("/c/;UID=1", Some("c"), Some("c")),
            ("c/;UID=1", Some("c"), Some("a/c")),
            ("/c/d/;UID=1/;SECTION=TEXT", Some("c/d"), Some("c/d")),
            ("/%E5%8F%B0/;UID=1", Some("台"), Some("台")),
            ("/inbox/;UID=1", Some("INBOX"), Some("INBOX")),
        ] {
            let url = parse(url);
            assert_eq!(url.mailbox(None), alone.map(name));
            assert_eq!(url.mailbox(Some(&selected)), from_a_b.map(name));
        }
        assert_eq!(parse("//host/INBOX/;UID=1").mailbox(None), Some(MailboxName::inbox()));
    }

    #[test]
    fn others_are_none() {
        for url in [
            "",
            "/",
            "/INBOX",
            "/INBOX/;UID=0",
            "/INBOX/;UID=x",
            "/INBOX/;UID=4294967296",
            "/INBOX?SUBJECT%20x",
            "/INBOX/;UID=1/;SECTION=",
            "/INBOX/;UID=1/;SECTION=2x",
            "/INBOX/;UID=1/;SECTION=MIME",
            "/INBOX/;UID=1/;PARTIAL=",
            "/INBOX/;UID=1/;PARTIAL=1.0",
            "/INBOX/;UID=1/;PARTIAL=x.1",
            "/INBOX;UIDVALIDITY=0/;UID=1",
            "/IN%zzBOX/;UID=1",
            "/%ff/;UID=1",
            "/%00/;UID=1",
            "/a//b/;UID=1",
            "/../;UID=1",
            "http://host/INBOX/;UID=1",
            "imap:/INBOX/;UID=1",
            "imap:///INBOX/;UID=1",
            "imap://host/;UID=1",
            "/INBOX/;UID=1;URLAUTH=",
            "/INBOX/;UID=1;URLAUTH=user+",
            "/INBOX/;UID=1;EXPIRE=x;URLAUTH=anonymous",
            "/INBOX/;UID=1;EXPIRE=2007-01-01T00:00:00Z",
            "/INBOX/;UID=1;URLAUTH=anonymous:INTERNAL",
            "/INBOX/ ;UID=1",
            "/INBOX/;UID=1\n",
        ] {
            assert_eq!(ImapUrl::parse(url.as_bytes()), None, "{url}");
        }
        assert_eq!(ImapUrl::parse("/x".repeat(URL_BYTES_MAX).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(url in proptest::collection::vec(any::<u8>(), 0..80), tail in "[/;=%A-Za-z0-9+:.]*") {
            let _ = ImapUrl::parse(&url);
            for head in ["/INBOX/;UID=1", "imap://a@b/c/;UID=1/;SECTION=1", "/INBOX/;UID=1;URLAUTH=user+a"] {
                let _ = ImapUrl::parse(format!("{head}{tail}").as_bytes());
            }
        }
    }
}
