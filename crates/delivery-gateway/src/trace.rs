//! The header fields that a delivery puts on top of a message. RFC 5321 §4.4.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

use crate::address::{self, Address, ReversePath};
use crate::server::Protocol;

/// Longest value taken from others, in octets; what is longer is cut. Keeps every line below the 998 of RFC 5322 §2.1.1.
const VALUE_BYTES_MAX: usize = 400;

/// What the session knows of where a message came from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// As the client greeted.
    pub(crate) helo: String,
    pub(crate) client: IpAddr,
    /// The `with` of Received.
    pub(crate) with: With,
    /// Our name.
    pub(crate) host: String,
    /// This transaction in our logs.
    pub(crate) id: String,
    pub(crate) received_at: Timestamp,
}

/// How a message came: RFC 3848's keywords, RFC 6531 §3.7.3 for UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct With {
    pub(crate) protocol: Protocol,
    /// Greeted with EHLO or LHLO, not HELO.
    pub(crate) extended: bool,
    pub(crate) tls: bool,
    pub(crate) smtputf8: bool,
}

impl With {
    fn keyword(self) -> &'static str {
        match (self.protocol, self.smtputf8, self.tls) {
            (Protocol::Lmtp, false, false) => "LMTP",
            (Protocol::Lmtp, false, true) => "LMTPS",
            (Protocol::Lmtp, true, false) => "UTF8LMTP",
            (Protocol::Lmtp, true, true) => "UTF8LMTPS",
            (Protocol::Smtp, true, false) => "UTF8SMTP",
            (Protocol::Smtp, true, true) => "UTF8SMTPS",
            (Protocol::Smtp, false, _) if !self.extended => "SMTP",
            (Protocol::Smtp, false, false) => "ESMTP",
            (Protocol::Smtp, false, true) => "ESMTPS",
        }
    }
}

impl Origin {
    /// Return-Path, Delivered-To and Received for one recipient, each line with its CRLF.
    pub(crate) fn header(&self, sender: &ReversePath, recipient: &Address, account: &str) -> Vec<u8> {
        let literal = literal(self.client);
        // A greeting that is no name cannot stand in the field, whatever the client meant by it.
        let helo =
            if address::is_domain_or_literal(&self.helo) && (self.with.smtputf8 || self.helo.is_ascii()) {
                self.helo.as_str()
            } else {
                "unknown"
            };
        let mut out = String::with_capacity(512);
        let written = write!(
            out,
            "Return-Path: <{}>\r\nDelivered-To: {}\r\nReceived: from {} ({literal})\r\n\tby {} with {} id {}\r\n\tfor <{}>; {}\r\n",
            clean(&sender.to_string()),
            clean(account),
            clean(helo),
            clean(&self.host),
            self.with.keyword(),
            self.id,
            clean(&recipient.to_string()),
            date(self.received_at),
        );
        debug_assert!(written.is_ok(), "a String takes everything");
        out.into_bytes()
    }
}

fn date(at: Timestamp) -> String {
    rfc2822::to_string(&at.to_zoned_datetime(jiff::tz::TimeZone::UTC))
        .unwrap_or_else(|_| "Thu, 1 Jan 1970 00:00:00 +0000".to_owned())
}

/// `address-literal`, RFC 5321 §4.1.3.
fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("[{v4}]"),
        IpAddr::V6(v6) => format!("[IPv6:{v6}]"),
    }
}

/// Nothing from outside may begin a line of its own.
fn clean(text: &str) -> String {
    let mut out: String = text.chars().filter(|c| !c.is_control()).collect();
    while out.len() > VALUE_BYTES_MAX {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        match address::forward_path(text).unwrap().0 {
            address::ForwardPath::Address(address) => address,
            address::ForwardPath::Postmaster => panic!("no address"),
        }
    }

    fn origin(helo: &str) -> Origin {
        Origin {
            helo: helo.to_owned(),
            client: "::ffff:192.0.2.7".parse().unwrap(),
            with: With { protocol: Protocol::Lmtp, extended: true, tls: false, smtputf8: false },
            host: "mx.example".to_owned(),
            id: "4f2a".to_owned(),
            received_at: Timestamp::from_second(880_127_706).unwrap(),
        }
    }

    fn header(origin: &Origin) -> String {
        String::from_utf8(origin.header(&ReversePath::Null, &address("<a@b>"), "alice@b")).unwrap()
    }

    #[test]
    fn says_who_and_when() {
        let expected = concat!(
            "Return-Path: <>\r\n",
            "Delivered-To: alice@b\r\n",
            "Received: from foo.edu ([192.0.2.7])\r\n",
            "\tby mx.example with LMTP id 4f2a\r\n",
            "\tfor <a@b>; Fri, 21 Nov 1997 15:55:06 +0000\r\n"
        );
        assert_eq!(header(&origin("foo.edu")), expected);
    }

    #[test]
    fn keywords_of_every_way_in() {
        use Protocol::{Lmtp, Smtp};
        for (protocol, extended, tls, smtputf8, keyword) in [
            (Smtp, false, false, false, "SMTP"),
            (Smtp, true, false, false, "ESMTP"),
            (Smtp, true, true, false, "ESMTPS"),
            (Smtp, true, false, true, "UTF8SMTP"),
            (Smtp, true, true, true, "UTF8SMTPS"),
            (Lmtp, true, true, false, "LMTPS"),
            (Lmtp, true, false, true, "UTF8LMTP"),
            (Lmtp, true, true, true, "UTF8LMTPS"),
        ] {
            assert_eq!(With { protocol, extended, tls, smtputf8 }.keyword(), keyword);
        }
    }

    #[test]
    fn six_has_its_own_literal() {
        assert_eq!(literal("2001:db8::1".parse().unwrap()), "[IPv6:2001:db8::1]");
    }

    #[test]
    fn a_false_greeting_is_left_out() {
        for helo in ["a b", "x)\r\nEvil: 1", "é.example", "[x", "<script>"] {
            assert!(header(&origin(helo)).contains("from unknown ([192.0.2.7])"), "{helo:?}");
        }
        assert!(header(&origin("[192.0.2.9]")).contains("from [192.0.2.9] ("));
    }

    proptest! {
        #[test]
        fn is_always_five_short_lines(helo in "\\PC{0,300}|[\\x00-\\x7f]{0,20}", account in "[\\x00-\\xff]{0,600}") {
            let bytes = origin(&helo).header(&ReversePath::Address(address("<\"a b\"@c>")), &address("<a@b>"), &account);
            let text = String::from_utf8(bytes).unwrap();
            prop_assert!(text.ends_with("\r\n"));
            let lines: Vec<_> = text.trim_end_matches("\r\n").split("\r\n").collect();
            prop_assert_eq!(lines.len(), 5);
            prop_assert!(lines.iter().all(|line| line.len() < 998 && !line.contains(['\r', '\n', '\0'])));
        }
    }
}
