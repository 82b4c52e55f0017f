//! Addresses, and when two of them are the same.
//!
//! Two addresses are the same when their normalised forms are: domains are compared as A-labels in lower case, local
//! parts in lower case and Unicode normalisation form C. RFC 5321 §2.4 leaves it to the receiving host what a local part
//! means; nobody wants `Anna@` and `anna@` to be two people.

use idna::AsciiDenyList;
use unicode_normalization::UnicodeNormalization;

/// RFC 5321 §4.5.3.1.1, in octets.
const LOCAL_BYTES_MAX: usize = 64;
/// RFC 5321 §4.5.3.1.2 allows 255 octets, of which the DNS can hold 253.
const DOMAIN_BYTES_MAX: usize = 253;
/// RFC 1035 §2.3.4.
const LABEL_BYTES_MAX: usize = 63;
/// Separates user and detail (RFC 5233 §1).
const SUBADDRESS_SEPARATOR: char = '+';
/// May not be in a local part without quotes: RFC 5322 §3.2.3 `specials`, except the dot. Mail for addresses with dots
/// in odd places exists, and is delivered.
const SPECIALS: &str = "()<>[]:;@\\,\"";

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `@`, or nothing on one side of it.
    #[error("an address is written as name@domain")]
    Shape,
    /// A character that is not allowed.
    #[error("the part before the @ holds a character that is not allowed there")]
    Local,
    /// Longer than RFC 5321 §4.5.3.1 allows.
    #[error("the address is too long: 64 octets before the @ and 253 after it are the most")]
    TooLong,
    /// Not a domain name.
    #[error("the part after the @ is no domain name")]
    Domain,
}

/// An address in its normalised form, and as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    spelling: String,
    /// Unquoted, form C, as it was written.
    local: String,
    domain: String,
}

impl Address {
    /// Reads `local@domain`; the local part may be a quoted string (RFC 5321 §4.1.2).
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        let text: String = text.nfc().collect();
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Shape)?;
        let domain = normalise_domain(domain)?;
        let local = read_local(local)?;
        Ok(Self { local, domain, spelling: text })
    }

    /// The text that is equal for all spellings of the address, and for nothing else.
    pub(crate) fn normalised(&self) -> String {
        join(&lower_case(&self.local), &self.domain)
    }

    /// As it was written, in form C.
    pub(crate) fn spelling(&self) -> &str {
        &self.spelling
    }

    /// The domain as A-labels in lower case.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Normalised `user@domain` and `detail` of `user+detail@domain`.
    pub(crate) fn subaddress(&self) -> Option<(String, &str)> {
        let (user, detail) = self.local.split_once(SUBADDRESS_SEPARATOR)?;
        (!user.is_empty()).then(|| (join(&lower_case(user), &self.domain), detail))
    }
}

/// The normalised form that stands for every address of a domain.
pub(crate) fn catch_all(domain: &str) -> String {
    join("", domain)
}

/// A domain as A-labels in lower case.
pub(crate) fn normalise_domain(domain: &str) -> Result<String, AddressError> {
    if domain.is_empty() {
        return Err(AddressError::Shape);
    }
    // Longer than any spelling of a name that fits the DNS: not worth the work.
    if domain.len() > 4 * DOMAIN_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let ascii = idna::domain_to_ascii_cow(domain.as_bytes(), AsciiDenyList::STD3)
        .map_err(|_| AddressError::Domain)?;
    if ascii.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    if ascii.split('.').any(|label| label.is_empty() || label.len() > LABEL_BYTES_MAX) {
        return Err(AddressError::Domain);
    }
    Ok(ascii.into_owned())
}

fn join(local: &str, domain: &str) -> String {
    format!("{local}@{domain}")
}

fn read_local(written: &str) -> Result<String, AddressError> {
    let local = match written.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None if written.contains(|c: char| SPECIALS.contains(c) || c.is_whitespace()) => {
            return Err(AddressError::Local);
        }
        None => written.to_owned(),
    };
    if local.is_empty() {
        return Err(AddressError::Shape);
    }
    if local.len() > LOCAL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    if local.contains(char::is_control) {
        return Err(AddressError::Local);
    }
    Ok(local)
}

/// The content of a quoted string, whose first quote is already gone.
fn unquote(quoted: &str) -> Result<String, AddressError> {
    let mut local = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next() {
            Some('"') if chars.as_str().is_empty() => return Ok(local),
            Some('\\') => local.push(chars.next().ok_or(AddressError::Local)?),
            Some('"') | None => return Err(AddressError::Local),
            Some(other) => local.push(other),
        }
    }
}

/// Character by character, so that the end of a word makes no difference (as it does for the Greek sigma).
fn lower_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normalised(text: &str) -> String {
        Address::parse(text).expect(text).normalised()
    }

    #[test]
    fn spellings_of_one_address() {
        for (one, other) in [
            ("Anna@Example.ORG", "anna@example.org"),
            ("\"anna\"@example.org", "anna@example.org"),
            ("\"a\\nna\"@example.org", "anna@example.org"),
            ("anna@bücher.example", "anna@xn--bcher-kva.example"),
            ("anna@BÜCHER.example", "anna@XN--BCHER-KVA.example"),
            ("J\u{e9}r@example.org", "JE\u{301}R@example.org"),
            ("ΟΔΟΣ@example.org", "οδοσ@example.org"),
            ("anna@example\u{3002}org", "anna@example.org"),
        ] {
            assert_eq!(normalised(one), normalised(other));
        }
        assert_eq!(Address::parse("Anna@Example.ORG").unwrap().spelling(), "Anna@Example.ORG");
    }

    #[test]
    fn odd_but_good() {
        for good in [
            "a@localhost",
            "a..b.@example.org",
            "\"a@b\"@example.org",
            "!#$%&'*+-/=?^_`{|}~@a.b",
            "用户@例子.广告",
        ] {
            assert!(Address::parse(good).is_ok(), "{good}");
        }
        assert_eq!(normalised("\"a@b\"@example.org"), "a@b@example.org");
    }

    #[test]
    fn what_is_no_address() {
        for (bad, why) in [
            ("", AddressError::Shape),
            ("anna", AddressError::Shape),
            ("@example.org", AddressError::Shape),
            ("\"\"@example.org", AddressError::Shape),
            ("anna@", AddressError::Shape),
            ("a@b@example.org", AddressError::Local),
            ("an na@example.org", AddressError::Local),
            ("anna\r\n@example.org", AddressError::Local),
            ("anna\0@example.org", AddressError::Local),
            ("\"anna\0\"@example.org", AddressError::Local),
            ("\"anna@example.org", AddressError::Local),
            ("\"an\"na\"@example.org", AddressError::Local),
            ("\"\\\"@example.org", AddressError::Local),
            ("anna@exa mple.org", AddressError::Domain),
            ("anna@[192.0.2.1]", AddressError::Domain),
            ("anna@example..org", AddressError::Domain),
            ("anna@.example.org", AddressError::Domain),
            ("anna@example.org.", AddressError::Domain),
            ("anna@exa\0mple.org", AddressError::Domain),
            ("anna@exa\r\nmple.org", AddressError::Domain),
        ] {
            assert_eq!(Address::parse(bad), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn lengths_at_their_edge() {
        let address = |local: usize, domain: usize| {
            let domain = "d.".repeat(domain.div_ceil(2));
            format!("{}@{}", "l".repeat(local), domain.trim_end_matches('.'))
        };
        assert!(Address::parse(&address(64, 253)).is_ok());
        assert_eq!(Address::parse(&address(65, 253)), Err(AddressError::TooLong));
        assert_eq!(Address::parse(&address(64, 255)), Err(AddressError::TooLong));
        assert!(Address::parse(&format!("a@{}.org", "d".repeat(63))).is_ok());
        assert_eq!(Address::parse(&format!("a@{}.org", "d".repeat(64))), Err(AddressError::Domain));
        assert_eq!(Address::parse(&format!("a@{}", "d.".repeat(1 << 20))), Err(AddressError::TooLong));
    }

    #[test]
    fn user_and_detail() {
        // RFC 5233 §4.
        let address = Address::parse("Ken+Sieve@Example.org").unwrap();
        assert_eq!(address.subaddress(), Some(("ken@example.org".to_owned(), "Sieve")));
        let many = Address::parse("ken+a+b@example.org").unwrap();
        assert_eq!(many.subaddress(), Some(("ken@example.org".to_owned(), "a+b")));
        assert_eq!(Address::parse("+detail@example.org").unwrap().subaddress(), None);
        assert_eq!(Address::parse("ken@example.org").unwrap().subaddress(), None);
    }

    proptest! {
        #[test]
        fn the_normalised_form_is_its_own(local in "[^\\p{Cc}\\p{Zs}()<>\\[\\]:;@\\\\,\"]{1,12}", domain in "[a-zäöA-Z]{1,9}") {
            if let Ok(address) = Address::parse(&format!("{local}@{domain}.org")) {
                let normalised = address.normalised();
                if let Ok(again) = Address::parse(&normalised) {
                    prop_assert_eq!(again.normalised(), normalised);
                }
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Address::parse(&text);
            let _ = Address::parse(&format!("{text}@example.org"));
            let _ = Address::parse(&format!("\"{text}\"@example.org"));
        }
    }
}
