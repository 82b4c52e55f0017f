//! Mails that servers are known to read differently, beside ordinary ones.

use std::fmt::Write as _;

/// A mail of the corpus.
pub(super) struct Mail {
    pub(super) name: &'static str,
    /// INTERNALDATE
    pub(super) received: String,
    pub(super) octets: Vec<u8>,
}

/// All mails, in the order in which they are appended.
pub(super) fn mails() -> Vec<Mail> {
    let mut mails = Vec::new();
    let mut add = |name: &'static str, octets: Vec<u8>| {
        let number = mails.len();
        // Neither ascending nor all different.
        let received =
            format!("{:2}-Nov-2026 {:02}:{:02}:00 +0900", 1 + number * 7 % 6, number * 5 % 24, number % 60);
        mails.push(Mail { name, received, octets });
    };
    for (name, header, body) in PLAIN {
        add(name, [header.replace('\n', "\r\n"), body.replace('\n', "\r\n")].join("\r\n").into_bytes());
    }
    for (name, octets) in RAW {
        add(name, octets.to_vec());
    }
    for (name, octets) in made() {
        add(name, octets);
    }
    mails
}

/// Name, header and body; every LF stands for CRLF.
const PLAIN: &[(&str, &str, &str)] = &[
    (
        "ordinary",
        "Date: Mon, 2 Nov 2026 10:00:00 +0900\nFrom: Taro Yamada <taro@example.org>\nTo: list@example.org\nSubject: Meeting tomorrow\nMessage-ID: <m1@example.org>\n",
        "hello world\nsecond line\n",
    ),
    (
        "reply",
        "Date: Mon, 2 Nov 2026 11:00:00 +0900\nFrom: \"Sato, Hanako\" <hanako@example.org>\nTo: Taro Yamada <taro@example.org>\nCc: hanako@example.org\nSubject: Re: Meeting tomorrow\nMessage-ID: <m2@example.org>\nIn-Reply-To: <m1@example.org>\nReferences: <m1@example.org>\n",
        "> hello world\nyes\n",
    ),
    (
        "reply-to-reply",
        "Date: Mon, 2 Nov 2026 09:30:00 +0000\nFrom: taro@example.org (Taro)\nTo: hanako@example.org\nSubject: RE: re[2]: Meeting  tomorrow (fwd)\nMessage-ID: <m3@example.org>\nReferences: <m1@example.org> <m2@example.org>\n",
        "ok\n",
    ),
    (
        "reply-to-absent",
        "Date: Tue, 3 Nov 2026 09:30:00 +0000\nFrom: c@example.org\nTo: d@example.org\nSubject: thread with a gap\nMessage-ID: <m5@example.org>\nReferences: <absent1@example.org> <absent2@example.org>\n",
        "gap\n",
    ),
    (
        "sibling-of-absent",
        "Date: Tue, 3 Nov 2026 10:30:00 +0000\nFrom: d@example.org\nTo: c@example.org\nSubject: Re: thread with a gap\nMessage-ID: <m6@example.org>\nReferences: <absent1@example.org>\n",
        "gap\n",
    ),
    (
        "reference-cycle-a",
        "Date: Tue, 3 Nov 2026 12:00:00 +0000\nFrom: e@example.org\nSubject: thread in a circle\nMessage-ID: <c1@example.org>\nReferences: <c2@example.org>\n",
        "a\n",
    ),
    (
        "reference-cycle-b",
        "Date: Tue, 3 Nov 2026 12:01:00 +0000\nFrom: e@example.org\nSubject: thread in a circle\nMessage-ID: <c2@example.org>\nReferences: <c1@example.org>\n",
        "b\n",
    ),
    (
        "same-subject-no-references",
        "Date: Wed, 4 Nov 2026 12:01:00 +0000\nFrom: f@example.org\nSubject: Re: Meeting tomorrow\nMessage-ID: <m7@example.org>\n",
        "I lost the references\n",
    ),
    (
        "in-reply-to-only",
        "Date: Wed, 4 Nov 2026 13:01:00 +0000\nFrom: g@example.org\nSubject: another thread\nMessage-ID: <m8@example.org>\nIn-Reply-To: Your message of Monday <m3@example.org>\n",
        "x\n",
    ),
    ("no-header-fields", "", "only a body, hello\n"),
    ("no-date", "From: h@example.org\nSubject: meeting without a date\n", "x\n"),
    ("bad-date", "Date: yesterday\nFrom: h@example.org\nSubject: meeting with a bad date\n", "x\n"),
    ("old-date", "Date: 02 Nov 26 10:00 JST\nFrom: h@example.org\nSubject: meeting in two digits\n", "x\n"),
    (
        "date-with-comment",
        "Date: Mon, 2 Nov 2026 10:00:00 -0500 (EST)\nFrom: h@example.org\nSubject: comments\n",
        "x\n",
    ),
    (
        "folded",
        "Date: Mon, 2 Nov 2026 10:00:00 +0900\nFrom: A\n B <a@example.org>\nTo: one@example.org,\n\ttwo@example.org\nSubject: folded\n  subject\n\tof three lines\nX-Test: value\n",
        "x\n",
    ),
    (
        "group",
        "From: a@example.org\nTo: friends: one@example.org, Two <two@example.org>;, three@example.org\nCc: undisclosed-recipients:;\nSubject: groups\n",
        "x\n",
    ),
    ("empty-addresses", "From: \nTo: <>\nCc: ,,\nBcc: secret@example.org\nSubject:\n", "x\n"),
    (
        "no-domain",
        "From: root\nTo: \"a b\"@example.org, <@route.example,@b.example:c@d.example>\nSender: s@example.org\nReply-To: r@example.org\nSubject: odd addresses\n",
        "x\n",
    ),
    (
        "quoted-specials",
        "From: \"A \\\"B\\\" \\\\ C\" <a@example.org>\nTo: (comment) x@example.org (y (nested) z)\nSubject: \"quoted\" \\ subject\n",
        "x\n",
    ),
    (
        "two-froms",
        "From: a@example.org, b@example.org\nFrom: c@example.org\nSubject: one\nSubject: two\nTo: a@example.org\nTo: b@example.org\n",
        "x\n",
    ),
    (
        "encoded-words",
        "From: =?UTF-8?B?5bGx55Sw?= <yamada@example.org>\nTo: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <y2@example.org>\nSubject: =?UTF-8?Q?=E4=BC=9A=E8=AD=B0?= =?UTF-8?B?44Gu6LOH5paZ?=\n",
        "x\n",
    ),
    (
        "encoded-words-split",
        "From: a@example.org\nSubject: =?UTF-8?B?5Lya?=\n =?UTF-8?B?6K2w?= tomorrow =?iso-8859-1?q?=C4rger?=\n",
        "x\n",
    ),
    (
        "quoted-printable",
        "From: a@example.org\nSubject: qp\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n",
        "=C4rger mit der Gr=F6=DFe, hel=\nlo\n",
    ),
    (
        "base64",
        "From: a@example.org\nSubject: b64\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: base64\n",
        "aGlkZGVuLWluLWJhc2U2NCDos4fmlpk=\n",
    ),
    (
        "half-width-kana",
        "From: a@example.org\nSubject: kana\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n",
        "これはテストです\n",
    ),
    (
        "html",
        "From: a@example.org\nSubject: html\nContent-Type: text/html; charset=utf-8\n",
        "<html><body><b>hello</b> second<i>part</i></body></html>\n",
    ),
    (
        "alternative",
        "From: a@example.org\nSubject: two forms\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"b1\"\n",
        "preamble\n--b1\nContent-Type: text/plain\n\nhello\n--b1\nContent-Type: text/html; charset=utf-8\n\n<p>second part</p>\n--b1--\nepilogue\n",
    ),
    (
        "mixed",
        "From: a@example.org\nSubject: attachment\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n",
        "--b1\n\nno header at all\n--b1\nContent-Type: application/pdf; name=\"a b.pdf\"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a b.pdf\"; size=12\nContent-ID: <part2@example.org>\nContent-Description: a report\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Language: ja, en\nContent-Location: http://example.org/a\n\nYXR0YWNoZWQtdGV4dA==\n--b1--\n",
    ),
    (
        "rfc2231",
        "From: a@example.org\nSubject: names\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b1\n",
        "--b1\nContent-Type: text/plain\n\nx\n--b1\nContent-Type: application/octet-stream; name*=UTF-8''%E4%BC%9A%E8%AD%B0.txt\nContent-Disposition: attachment; filename*0*=UTF-8''%E4%BC%9A; filename*1*=%E8%AD%B0; filename*2=.txt\n\ny\n--b1\nContent-Type: application/octet-stream; name=\"=?UTF-8?B?5Lya6K2wLnR4dA==?=\"\nContent-Disposition: ATTACHMENT; FileName=plain.txt\n\nz\n--b1--\n",
    ),
    (
        "nested-message",
        "From: a@example.org\nSubject: forwarded\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=out\n",
        "--out\nContent-Type: text/plain\n\nsee below\n--out\nContent-Type: message/rfc822\nContent-Disposition: inline\n\nFrom: inner@example.org\nTo: b@example.org\nSubject: inner-subject\nDate: Sun, 1 Nov 2026 08:00:00 +0000\nMessage-ID: <inner@example.org>\n\ninner-body hello\n--out--\n",
    ),
    (
        "nested-multipart-message",
        "From: a@example.org\nSubject: forwarded twice\nMIME-Version: 1.0\nContent-Type: message/rfc822\n",
        "From: inner@example.org\nSubject: inner-subject two\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=in\n\n--in\nContent-Type: text/plain; charset=us-ascii\n\none\n--in\nContent-Type: multipart/alternative; boundary=deep\n\n--deep\n\ntwo\n--deep\nContent-Type: text/html\n\n<p>three</p>\n--deep--\n--in--\n",
    ),
    (
        "digest",
        "From: a@example.org\nSubject: digest\nMIME-Version: 1.0\nContent-Type: multipart/digest; boundary=d\n",
        "--d\n\nFrom: x@example.org\nSubject: first of digest\n\none\n--d\n\nFrom: y@example.org\nSubject: second of digest\n\ntwo\n--d--\n",
    ),
    (
        "no-closing-boundary",
        "From: a@example.org\nSubject: open end\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
        "--b\nContent-Type: text/plain\n\nfirst\n--b\nContent-Type: text/plain\n\nsecond part\n",
    ),
    (
        "no-parts",
        "From: a@example.org\nSubject: empty multipart\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=never\n",
        "no boundary here\n",
    ),
    (
        "no-boundary-parameter",
        "From: a@example.org\nSubject: boundary forgotten\nMIME-Version: 1.0\nContent-Type: multipart/mixed\n",
        "--x\n\nhello\n--x--\n",
    ),
    (
        "boundary-prefix",
        "From: a@example.org\nSubject: boundaries alike\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
        "--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb--\n--b\n\ntwo\n--b--\n",
    ),
    (
        "boundary-blanks",
        "From: a@example.org\nSubject: blanks after the boundary\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
        "--b  \t\n\none\n--b--  \n",
    ),
    (
        "empty-parts",
        "From: a@example.org\nSubject: empty parts\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
        "--b\n\n--b\nContent-Type: text/plain\n\n--b\n--b--\n",
    ),
    ("bad-content-type", "From: a@example.org\nSubject: types\nContent-Type: nonsense\n", "x\n"),
    (
        "type-with-comments",
        "From: a@example.org\nSubject: types\nContent-Type: (c) text/plain (d) ; (e) charset (f) = (g) us-ascii (h); x=\"y\\\"z\"; format=flowed\n",
        "x\n",
    ),
    (
        "unknown-encoding",
        "From: a@example.org\nSubject: encodings\nContent-Type: text/plain\nContent-Transfer-Encoding: X-UUENCODE\n",
        "begin 644 x\n",
    ),
    (
        "encoding-upper",
        "From: a@example.org\nSubject: encodings\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\nContent-Transfer-Encoding: BASE64\n",
        "aGVsbG8=\n",
    ),
    (
        "bad-base64",
        "From: a@example.org\nSubject: broken base64\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n",
        "aGVs!bG8\n====\nZZ\n",
    ),
    (
        "bad-quoted-printable",
        "From: a@example.org\nSubject: broken qp\nContent-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n",
        "a=ZZb=\n c=4\nend=",
    ),
    ("empty-body", "From: a@example.org\nSubject: nothing\n", ""),
    (
        "message-id-odd",
        "From: a@example.org\nSubject: ids\nMessage-ID: <a b@example.org> (comment)\nIn-Reply-To: no id here\n",
        "x\n",
    ),
    (
        "received-and-bcc",
        "Received: from a by b; Mon, 2 Nov 2026 10:00:00 +0900\nFrom: a@example.org\nBcc: secret@example.org\nCc: Hanako <hanako@example.org>\nSubject: trace\nX-Test: other\n",
        "x\n",
    ),
    (
        "external-body",
        "From: a@example.org\nSubject: external\nContent-Type: message/external-body; access-type=URL; URL=\"http://example.org/\"\n",
        "Content-Type: image/png\nContent-ID: <x@example.org>\n\n",
    ),
    (
        "delivery-status",
        "From: a@example.org\nSubject: failed\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary=r\n",
        "--r\n\nIt failed.\n--r\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; example.org\n\nFinal-Recipient: rfc822; x@example.org\nAction: failed\n--r\nContent-Type: text/rfc822-headers\n\nSubject: original\n\n--r--\n",
    ),
    (
        "subject-of-re-only",
        "From: a@example.org\nSubject: Re: Re: [list] Fwd: [Fwd: thread in brackets]\nMessage-ID: <s1@example.org>\n",
        "x\n",
    ),
    (
        "blob-subject",
        "From: a@example.org\nSubject: [list] thread in brackets\nMessage-ID: <s2@example.org>\n",
        "x\n",
    ),
    (
        "list-address",
        "From: \"zeta\" <alpha@example.org>\nTo: \"=?UTF-8?B?44GC?=\" <omega@example.org>\nSubject: display names\n",
        "x\n",
    ),
    (
        "same-message-id",
        "Date: Mon, 2 Nov 2026 12:00:00 +0900\nFrom: a@example.org\nSubject: thread twice\nMessage-ID: <m1@example.org>\n",
        "another mail of the same id\n",
    ),
];

/// Octets that need care.
const RAW: &[(&str, &[u8])] = &[
    ("raw-8bit-header", b"From: \xe5\xb1\xb1\xe7\x94\xb0 <y@example.org>\r\nSubject: \xe4\xbc\x9a\xe8\xad\xb0\r\n\r\nx\r\n"),
    ("raw-latin1-header", b"From: \xc4rger <y@example.org>\r\nSubject: Gr\xf6\xdfe\r\n\r\nx\r\n"),
    ("bare-lf", b"From: a@example.org\nSubject: bare line feeds\n\nhello\nsecond\n"),
    ("no-empty-line", b"From: a@example.org\r\nSubject: header alone\r\n"),
    ("cut-in-a-field", b"From: a@example.org\r\nSubject: cut he"),
    ("not-a-field", b"From: a@example.org\r\nthis is no field\r\nSubject: after it\r\n\r\nbody\r\n"),
    ("blank-before-colon", b"From : a@example.org\r\nSubject\t: blank before the colon\r\n\r\nbody\r\n"),
    ("mbox-from", b"From someone Mon Nov  2 10:00:00 2026\r\nFrom: a@example.org\r\nSubject: mbox\r\n\r\nbody\r\n"),
    ("blank-first", b"\r\nFrom: a@example.org\r\nSubject: in the body\r\n\r\nhello\r\n"),
    ("jis-body", b"From: a@example.org\r\nSubject: =?ISO-2022-JP?B?GyRCMnE1RBsoQg==?=\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\x1b$B2q5D$N;qNA\x1b(B\r\n"),
    ("sjis-body", b"From: a@example.org\r\nSubject: sjis\r\nContent-Type: text/plain; charset=Shift_JIS\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\x89\xef\x8bc\x82\xcc\x8e\x91\x97\xbf\r\n"),
];

/// Mails too long to write down.
fn made() -> Vec<(&'static str, Vec<u8>)> {
    let mut many = String::from(
        "From: a@example.org\r\nSubject: many parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
    );
    for number in 0..150 {
        let _ = write!(many, "--b\r\nContent-Type: text/plain; name=\"{number}\"\r\n\r\npart {number}\r\n");
    }
    many.push_str("--b--\r\n");
    let mut deep = String::from("From: a@example.org\r\nSubject: deep\r\nMIME-Version: 1.0\r\n");
    for depth in 0..20 {
        let _ = write!(deep, "Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
    }
    deep.push_str("Content-Type: text/plain\r\n\r\nhello at the bottom\r\n");
    let recipients: Vec<String> = (0..300).map(|number| format!("r{number}@example.org")).collect();
    let wide =
        format!("From: a@example.org\r\nTo: {}\r\nSubject: wide\r\n\r\nx\r\n", recipients.join(",\r\n "));
    let long = format!(
        "From: a@example.org\r\nSubject: {}\r\n\r\n{}\r\n",
        "long ".repeat(400),
        "hello ".repeat(20_000)
    );
    [("many-parts", many), ("deep", deep), ("many-recipients", wide), ("long-lines", long)]
        .map(|(name, text)| (name, text.into_bytes()))
        .into()
}
