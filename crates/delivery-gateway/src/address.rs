//! Mail addresses of the envelope. RFC 5321 §4.1.2, RFC 6531 §3.3.

use std::fmt;

/// Longest local part in octets, RFC 5321 §4.5.3.1.1. Beyond it: 501.
pub(crate) const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest domain in octets, RFC 5321 §4.5.3.1.2. Beyond it: 501.
pub(crate) const DOMAIN_BYTES_MAX: usize = 255;
/// Longest label of a domain in octets, RFC 1035 §2.3.4.
const LABEL_BYTES_MAX: usize = 63;

/// `Mailbox = Local-part "@" ( Domain / address-literal )`. Shown as `local@domain`, quoted only where it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Without quotes and backslashes.
    local: String,
    domain: String,
}

impl Address {
    /// Any domain, for `postmaster` without one.
    pub(crate) fn postmaster_at(domain: &str) -> Self {
        Self { local: "postmaster".to_owned(), domain: domain.to_owned() }
    }

    /// True for an address that only SMTPUTF8 can carry.
    pub(crate) fn is_international(&self) -> bool {
        !(self.local.is_ascii() && self.domain.is_ascii())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

/// `Reverse-path = Path / "<>"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReversePath {
    /// Of a bounce: nobody is to be told.
    Null,
    Address(Address),
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Whom RCPT names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ForwardPath {
    /// `<postmaster>` without a domain, in any case (RFC 5321 §4.5.1).
    Postmaster,
    Address(Address),
}

/// Why a path cannot be one. The text is for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("an address in angle brackets is needed")]
    NoBrackets,
    #[error("bad address syntax")]
    Syntax,
    #[error("the local part is too long")]
    LocalTooLong,
    #[error("the domain is too long")]
    DomainTooLong,
}

/// Reads a reverse path at the start of `text`; also returns what follows it.
pub(crate) fn reverse_path(text: &str) -> Result<(ReversePath, &str), AddressError> {
    if let Some(rest) = text.strip_prefix("<>") {
        return Ok((ReversePath::Null, rest));
    }
    let (address, rest) = path(text)?;
    Ok((ReversePath::Address(address), rest))
}

/// Reads a forward path at the start of `text`; also returns what follows it.
pub(crate) fn forward_path(text: &str) -> Result<(ForwardPath, &str), AddressError> {
    const POSTMASTER: &str = "<postmaster>";
    if let (Some(head), Some(rest)) = (text.get(..POSTMASTER.len()), text.get(POSTMASTER.len()..))
        && head.eq_ignore_ascii_case(POSTMASTER)
    {
        return Ok((ForwardPath::Postmaster, rest));
    }
    let (address, rest) = path(text)?;
    Ok((ForwardPath::Address(address), rest))
}

/// `Domain / address-literal`, as in the greeting of a client: what may stand in a Received field as it is.
pub(crate) fn is_domain_or_literal(text: &str) -> bool {
    check_domain(text).is_ok()
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`
fn path(text: &str) -> Result<(Address, &str), AddressError> {
    let inside = text.strip_prefix('<').ok_or(AddressError::NoBrackets)?;
    // RFC 5321 §4.1.1.3: a source route is to be accepted and ignored.
    let inside = match inside.strip_prefix('@') {
        Some(route) => source_route(route)?,
        None => inside,
    };
    let (local, rest) = local_part(inside)?;
    let rest = rest.strip_prefix('@').ok_or(AddressError::Syntax)?;
    let end = rest.find('>').ok_or(AddressError::Syntax)?;
    let domain = &rest[..end];
    check_domain(domain)?;
    Ok((Address { local, domain: domain.to_owned() }, &rest[end + 1..]))
}

/// What follows `At-domain *( "," At-domain ) ":"`, its first `@` read already.
fn source_route(route: &str) -> Result<&str, AddressError> {
    let (route, rest) = route.split_once(':').ok_or(AddressError::Syntax)?;
    for (at, hop) in route.split(',').enumerate() {
        let domain = if at == 0 { hop } else { hop.strip_prefix('@').ok_or(AddressError::Syntax)? };
        check_domain(domain)?;
    }
    Ok(rest)
}

/// `Local-part = Dot-string / Quoted-string`, unquoted, and what follows it.
fn local_part(text: &str) -> Result<(String, &str), AddressError> {
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted)?,
        None => {
            let end = text.find(['@', '>', ' ']).unwrap_or(text.len());
            let local = &text[..end];
            if local.len() <= LOCAL_PART_BYTES_MAX && !is_dot_string(local) {
                return Err(AddressError::Syntax);
            }
            (local.to_owned(), &text[end..])
        }
    };
    match local.len() {
        // `""@domain` is within the grammar, and names nobody anywhere.
        0 => Err(AddressError::Syntax),
        1..=LOCAL_PART_BYTES_MAX => Ok((local, rest)),
        _ => Err(AddressError::LocalTooLong),
    }
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, its first quote read already.
fn quoted_string(text: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let c = match c {
            '"' => return Ok((local, &text[at + 1..])),
            '\\' => chars.next().ok_or(AddressError::Syntax)?.1,
            other => other,
        };
        if c.is_control() {
            return Err(AddressError::Syntax);
        }
        local.push(c);
    }
    Err(AddressError::Syntax)
}

/// `Dot-string = Atom *("." Atom)`, `atext` extended by UTF8-non-ascii (RFC 6531 §3.3).
fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// `Domain = sub-domain *("." sub-domain)`, with U-labels (RFC 6531 §3.3) and the underscores that exist in practice.
fn check_domain(domain: &str) -> Result<(), AddressError> {
    if domain.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    if let Some(literal) = domain.strip_prefix('[') {
        let inside = literal.strip_suffix(']').ok_or(AddressError::Syntax)?;
        let fine = |c: char| c.is_ascii_alphanumeric() || ".:-".contains(c);
        return if !inside.is_empty() && inside.chars().all(fine) {
            Ok(())
        } else {
            Err(AddressError::Syntax)
        };
    }
    let label = |label: &str| {
        let fine =
            |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || (!c.is_ascii() && !c.is_control());
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(fine)
    };
    if domain.split('.').all(label) { Ok(()) } else { Err(AddressError::Syntax) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Result<(String, &str), AddressError> {
        path(text).map(|(address, rest)| (address.to_string(), rest))
    }

    #[test]
    fn reads_addresses() {
        for (text, address) in [
            ("<a@b>", "a@b"),
            ("<Joe.Q_x+tag@Example.COM>", "Joe.Q_x+tag@Example.COM"),
            ("<\"joe\"@b>", "joe@b"),
            ("<\"joe q\"@b>", "\"joe q\"@b"),
            ("<\"a\\\"b\\\\c@d\"@b>", "\"a\\\"b\\\\c@d\"@b"),
            ("<\">\"@b>", "\">\"@b"),
            ("<a@[192.0.2.1]>", "a@[192.0.2.1]"),
            ("<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"),
            ("<@hosta.int,@jkl.org:userc@d.bar.org>", "userc@d.bar.org"),
            ("<用户@例子.广告>", "用户@例子.广告"),
        ] {
            assert_eq!(shown(text), Ok((address.to_owned(), "")), "{text}");
        }
        assert_eq!(shown("<a@b> SIZE=1"), Ok(("a@b".to_owned(), " SIZE=1")));
        assert_eq!(reverse_path("<> X"), Ok((ReversePath::Null, " X")));
        assert_eq!(forward_path("<PostMaster>"), Ok((ForwardPath::Postmaster, "")));
        assert!(matches!(forward_path("<postmaster@b>"), Ok((ForwardPath::Address(_), ""))));
        assert!(path("<用户@b>").unwrap().0.is_international());
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "a@b",
            "<",
            "<>",
            "<@>",
            "<\"\">",
            "<\"\"@d>",
            "<\"\\\">",
            "<\"\\\"@d>",
            "<a>",
            "<a@>",
            "<@b>",
            "<a@b",
            "<a@@b>",
            "<a b@c>",
            "<.a@b>",
            "<a.@b>",
            "<a..b@c>",
            "<a@.b>",
            "<a@b.>",
            "<a@-b>",
            "<a@b-.c>",
            "<a@[]>",
            "<a@[1>",
            "<a@[1 2]>",
            "<a@b c>",
            "<\"a\"b@c>",
            "<@a:b>",
            "<@:a@b>",
            "<@a,b:c@d>",
            "<a\0@b>",
            "<\"\0\"@b>",
            "<a@b\u{7f}>",
            "<\"a\rb\"@c>",
            "<a<b@c>",
        ] {
            assert!(path(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lengths_end_where_the_rfc_says() {
        let local = |n: usize| shown(&format!("<{}@b>", "a".repeat(n))).map(|_| ());
        assert_eq!(local(64), Ok(()));
        assert_eq!(local(65), Err(AddressError::LocalTooLong));
        assert_eq!(local(64 * 1024), Err(AddressError::LocalTooLong));
        let quoted = |n: usize| shown(&format!("<\"{}\"@b>", " ".repeat(n))).map(|_| ());
        assert_eq!(quoted(64), Ok(()));
        assert_eq!(quoted(65), Err(AddressError::LocalTooLong));
        let domain = |n: usize| {
            let text = "abcdefg.".repeat(32);
            shown(&format!("<a@{}>", &text[..n])).map(|_| ())
        };
        assert_eq!(domain(255), Ok(()));
        assert_eq!(shown(&format!("<a@{}hh>", "abcdefg.".repeat(32))), Err(AddressError::DomainTooLong));
        assert_eq!(shown(&format!("<a@{}>", "a".repeat(63))).map(|_| ()), Ok(()));
        assert_eq!(shown(&format!("<a@{}>", "a".repeat(64))), Err(AddressError::Syntax));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_the_same(local in "[ -~é]{1,20}", domain in "[a-z0-9]{1,5}(\\.[a-z]{1,4}){0,2}") {
            let address = Address { local, domain };
            let text = format!("<{address}>");
            prop_assert_eq!(path(&text), Ok((address, "")));
        }

        #[test]
        fn never_panics(text in "\\PC{0,40}", more in "[<>@\"\\\\:,.a\\[\\]é]{0,20}") {
            let _ = (path(&text), path(&more), path(&format!("<{more}")), forward_path(&text), reverse_path(&more));
        }
    }
}
