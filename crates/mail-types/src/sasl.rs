//! The message of the SASL mechanism PLAIN, the same in IMAP and POP3.

use std::fmt;

/// Longest name taken, in octets. RFC 4616 §2 demands at least 255; this is an address at its limits and some.
pub const PLAIN_NAME_BYTES_MAX: usize = 512;
/// Longest password taken, in octets. RFC 4616 §2 demands at least 255.
pub const PLAIN_PASSWORD_BYTES_MAX: usize = 1024;

/// Who says to be whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Plain<'a> {
    /// Who to act as (authzid); empty is "as myself".
    pub authorize_as: &'a str,
    /// Whose password it is (authcid); never empty.
    pub username: &'a str,
    /// The password; never empty.
    pub password: &'a str,
}

impl fmt::Debug for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Why a PLAIN message is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlainError {
    /// Not three parts with a NUL between.
    #[error("a PLAIN message has three parts with a NUL between")]
    Parts,
    /// Not UTF-8.
    #[error("a PLAIN message is UTF-8")]
    Utf8,
    /// No user name or no password.
    #[error("user name and password must not be empty")]
    Empty,
    /// A part is too long.
    #[error("the user name or the password is too long")]
    TooLong,
}

/// Reads `[authzid] NUL authcid NUL passwd` (RFC 4616 §2), base64 already decoded.
///
/// # Errors
/// [`PlainError`]; the client's mistake, each of them.
pub fn parse_plain(message: &[u8]) -> Result<Plain<'_>, PlainError> {
    if message.len() > 2 * PLAIN_NAME_BYTES_MAX + PLAIN_PASSWORD_BYTES_MAX + 2 {
        return Err(PlainError::TooLong);
    }
    let text = std::str::from_utf8(message).map_err(|_| PlainError::Utf8)?;
    let mut parts = text.split('\0');
    let (Some(authorize_as), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(PlainError::Parts);
    };
    if username.is_empty() || password.is_empty() {
        return Err(PlainError::Empty);
    }
    if authorize_as.len().max(username.len()) > PLAIN_NAME_BYTES_MAX
        || password.len() > PLAIN_PASSWORD_BYTES_MAX
    {
        return Err(PlainError::TooLong);
    }
    Ok(Plain { authorize_as, username, password })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        // RFC 4616 §4.
        let tim = Plain { authorize_as: "", username: "tim", password: "tanstaaftanstaaf" };
        assert_eq!(parse_plain(b"\0tim\0tanstaaftanstaaf"), Ok(tim));
        let kurt = Plain { authorize_as: "Ursel", username: "Kurt", password: "xipj3plmq" };
        assert_eq!(parse_plain(b"Ursel\0Kurt\0xipj3plmq"), Ok(kurt));
    }

    #[test]
    fn what_is_not_plain_is_refused() {
        for parts in [&b""[..], b"tim", b"\0tim", b"a\0b\0c\0", b"a\0b\0c\0d"] {
            assert_eq!(parse_plain(parts), Err(PlainError::Parts), "{parts:?}");
        }
        assert_eq!(parse_plain(b"\0\0secret"), Err(PlainError::Empty));
        assert_eq!(parse_plain(b"\0tim\0"), Err(PlainError::Empty));
        assert_eq!(parse_plain(b"\0tim\0\xff\xfe"), Err(PlainError::Utf8));
    }

    #[test]
    fn lengths_at_their_edge() {
        let message = |authzid: usize, authcid: usize, password: usize| {
            format!("{}\0{}\0{}", "z".repeat(authzid), "c".repeat(authcid), "p".repeat(password))
        };
        let (name, password) = (PLAIN_NAME_BYTES_MAX, PLAIN_PASSWORD_BYTES_MAX);
        assert!(parse_plain(message(name, name, password).as_bytes()).is_ok());
        for (authzid, authcid, password) in
            [(name + 1, 1, 1), (1, name + 1, 1), (1, 1, password + 1), (name, name, password + 1)]
        {
            let message = message(authzid, authcid, password);
            assert_eq!(parse_plain(message.as_bytes()), Err(PlainError::TooLong));
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let shown = format!("{:?}", parse_plain(b"\0tim\0tanstaaf"));
        assert!(shown.contains("tim") && !shown.contains("tanstaaf"), "{shown}");
    }

    proptest! {
        #[test]
        fn there_and_back(authorize_as in "[^\0]{0,20}", username in "[^\0]{1,20}", password in "[^\0]{1,20}") {
            let message = format!("{authorize_as}\0{username}\0{password}");
            let expected = Plain { authorize_as: &authorize_as, username: &username, password: &password };
            prop_assert_eq!(parse_plain(message.as_bytes()), Ok(expected));
        }

        #[test]
        fn no_octets_make_it_panic(message in any::<Vec<u8>>()) {
            let _ = parse_plain(&message);
        }
    }
}
