//! Where the two differ, and the sentence of the standard that decides it.

use super::Difference;

/// One kind of difference.
pub(super) struct Known {
    /// Names of mails contain this; `*` alone: questions about all mails.
    mail: &'static str,
    /// Questions begin with this.
    question: &'static str,
    /// Who is right, by which rule.
    pub(super) decided_by: &'static str,
}

const fn known(mail: &'static str, question: &'static str, decided_by: &'static str) -> Known {
    Known { mail, question, decided_by }
}

pub(super) const KNOWN: &[Known] = &[
    known(
        "",
        "BODY.PEEK[99]",
        "RFC 9051 §6.4.5: a part that does not exist is NIL, which an empty string would not tell",
    ),
    known(
        "",
        "BINARY.PEEK[]",
        "RFC 3516 §4.2: the decoding is that of the section's encoding; a whole message has none, and comes as it is",
    ),
    known("bare-lf", "", "RFC 9051 §2.3: a message's octets are what was appended; they are not rewritten"),
    known(
        "raw-",
        "ENVELOPE",
        "RFC 9051 §4.3: strings are 7-bit unless the client enabled UTF-8, so raw 8-bit words are encoded (RFC 2047)",
    ),
    known("two-froms", "ENVELOPE", "RFC 5322 §3.6: one Subject is allowed; the first counts"),
    known("folded", "ENVELOPE", "RFC 5322 §2.2.3: unfolding removes CRLF, not the blanks"),
    known("reply-to-reply", "ENVELOPE", "RFC 5322 §2.2.3: unfolding removes CRLF, not the blanks"),
    known(
        "empty-addresses",
        "ENVELOPE",
        "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented",
    ),
    known("no-domain", "ENVELOPE", "RFC 9051 §7.5.2: NIL as host means a group, so a missing one is empty"),
    known(
        "rfc2231",
        "BODY",
        "RFC 2978 §2.3: names of charsets mean the same in any case; we show them in lower case",
    ),
    known(
        "no-parts",
        "B",
        "RFC 9051 §9: body-type-mpart has one part or more, so a multipart without is shown as text",
    ),
    known(
        "no-boundary-parameter",
        "B",
        "RFC 2046 §5.1.1: a multipart needs a boundary; without one it is shown as text",
    ),
    known("bad-content-type", "BODY", "RFC 2045 §5.2: a field of invalid syntax counts as text/plain"),
    known("empty-parts", "BODY.PEEK[", "RFC 9051 §6.4.5.1: the empty line is part of a MIME header"),
    known(
        "no-empty-line",
        "BODY.PEEK[HEADER.FIELDS",
        "RFC 9051 §6.4.5.1: no empty line where the message has none",
    ),
    known(
        "nested-multipart-message",
        "B",
        "RFC 2046 §5.1.1: the CRLF before a delimiter belongs to the delimiter",
    ),
    known("boundary-prefix", "B", "RFC 2046 §5.1.1: the CRLF before a delimiter belongs to the delimiter"),
    known(
        "bad-",
        "BINARY",
        "RFC 2045 §6.8: what is no base64 is ignored; so is damage in quoted-printable, §6.7",
    ),
    known("*", "SEARCH SENTBEFORE", "RFC 9051 §6.4.4: a message without a Date field has no date to compare"),
    known(
        "*",
        "SEARCH BODY \"<b>\"",
        "RFC 9051 §6.4.4: text is searched, and a tag is none (text/html as it is read)",
    ),
    known(
        "*",
        "SEARCH BODY inner-subject",
        "RFC 9051 §6.4.4: the header of a message inside is in the body of the outer",
    ),
    known(
        "*",
        "SEARCH TEXT hello",
        "the multipart without a boundary, and the broken base64: both are shown, so both are found",
    ),
    known(
        "*",
        "SEARCH BODY hello",
        "the multipart without a boundary, and the broken base64: both are shown, so both are found",
    ),
    known(
        "*",
        "SEARCH NOT TEXT hello",
        "the multipart without a boundary, and the broken base64: both are shown, so both are found",
    ),
    known(
        "*",
        "SEARCH OR SUBJECT meeting BODY hello",
        "the multipart without a boundary, and the broken base64: both are shown, so both are found",
    ),
    known("*", "SORT (CC)", "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented"),
    known(
        "*",
        "SORT (REVERSE CC)",
        "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented",
    ),
    known("*", "SORT (TO)", "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented"),
    known(
        "*",
        "SORT (REVERSE TO)",
        "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented",
    ),
    known(
        "*",
        "SORT (DISPLAYTO)",
        "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented",
    ),
    known(
        "*",
        "SORT (REVERSE DISPLAYTO)",
        "RFC 9051 §7.5.2: a field without an address is NIL; no address is invented",
    ),
    known(
        "*",
        "SORT (SIZE)",
        "RFC 9051 §2.3: a message's octets are what was appended; they are not rewritten",
    ),
    known(
        "*",
        "SORT (REVERSE SIZE)",
        "RFC 9051 §2.3: a message's octets are what was appended; they are not rewritten",
    ),
    known(
        "*",
        "SORT (DATE",
        "RFC 5322 §4.3: only a zone whose meaning is not known counts as -0000, and JST is known",
    ),
    known(
        "*",
        "SORT (REVERSE DATE)",
        "RFC 5322 §4.3: only a zone whose meaning is not known counts as -0000, and JST is known",
    ),
    known(
        "*",
        "THREAD REFERENCES UTF-8 ALL",
        "RFC 5322 §4.3: only a zone whose meaning is not known counts as -0000, and JST is known",
    ),
    known(
        "*",
        "THREAD ORDEREDSUBJECT UTF-8 ALL",
        "RFC 5322 §4.3: only a zone whose meaning is not known counts as -0000, and JST is known",
    ),
    known(
        "*",
        "SORT (DISPLAYFROM)",
        "RFC 5957 §3: names are compared as decoded; raw octets without a charset are decoded too",
    ),
    known(
        "*",
        "SORT (REVERSE DISPLAYFROM)",
        "RFC 5957 §3: names are compared as decoded; raw octets without a charset are decoded too",
    ),
    known(
        "*",
        "THREAD REFS",
        "draft-ietf-morg-inthread: REFS orders threads by their newest arrival, Dovecot by their first message",
    ),
];

/// Why a difference is none of our faults, if it is known.
pub(super) fn reason(difference: &Difference) -> Option<&'static str> {
    KNOWN
        .iter()
        .find(|known| difference.mail.contains(known.mail) && difference.question.starts_with(known.question))
        .map(|known| known.decided_by)
}
