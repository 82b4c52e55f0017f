"""Python's own mail libraries against the server: imaplib, poplib, smtplib.

python3 client.py WHAT IMAP IMAPS POP3 POP3S LMTP SMTP ADDRESS PASSWORD
"""

import email
import email.header
import email.policy
import hashlib
import imaplib
import poplib
import random
import smtplib
import socket
import ssl
import sys
import time
from email.message import EmailMessage
from email.mime.text import MIMEText

WHAT = sys.argv[1]
IMAP, IMAPS, POP3, POP3S, LMTP, SMTP = (int(port) for port in sys.argv[2:8])
ADDRESS, PASSWORD = sys.argv[8:10]
HOST = "127.0.0.1"
# A line of imaplib holds many UIDs.
imaplib._MAXLINE = 10_000_000


def untrusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def imap():
    client = imaplib.IMAP4(HOST, IMAP)
    client.login(ADDRESS, PASSWORD)
    return client


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def deliver(message, smtp=None):
    data = message if isinstance(message, bytes) else message.as_bytes(policy=email.policy.SMTP)
    with (smtp or smtplib.LMTP(HOST, LMTP)) as client:
        refused = client.sendmail("sender@far.example", [ADDRESS], data, mail_options=["BODY=8BITMIME"])
        assert refused == {}, refused
    return data


def fetch(client, number, item):
    return ok(client.fetch(str(number), item))[0][1]


def ends_with(stored, sent):
    assert stored.endswith(sent), (len(stored), len(sent), stored[:300])
    trace = stored[: len(stored) - len(sent)]
    assert trace.startswith(b"Return-Path: "), trace


def libraries():
    sent = deliver(b"Subject: one\r\n\r\n.dot\r\n..\r\nend\r\n")
    starttls = smtplib.SMTP(HOST, SMTP)
    starttls.starttls(context=untrusting())
    deliver(b"Subject: two\r\n\r\nby SMTP with STARTTLS\r\n", starttls)

    client = imap()
    assert ok(client.select()) == [b"2"]
    ends_with(fetch(client, 1, "(RFC822)"), sent)
    ok(client.append("INBOX", r"(\Flagged)", imaplib.Time2Internaldate(time.time()), b"Subject: three\r\n\r\nx\r\n"))
    ok(client.noop())
    assert ok(client.search(None, "FLAGGED")) == [b"3"]
    ok(client.store("1", "+FLAGS", r"(\Deleted)"))
    assert ok(client.expunge()) == [b"1"]
    ok(client.create("Archive/2024"))
    ok(client.uid("COPY", "2:3", "Archive/2024"))
    assert len(ok(client.list('""', "Archive/*"))) == 1
    assert ok(client.status("Archive/2024", "(MESSAGES UNSEEN)")) == [b"Archive/2024 (MESSAGES 2 UNSEEN 2)"]
    ok(client.close())
    ok(client.enable("CONDSTORE"))
    client.logout()

    for client in (
        imaplib.IMAP4_SSL(HOST, IMAPS, ssl_context=untrusting()),
        imaplib.IMAP4(HOST, IMAP),
    ):
        if not isinstance(client, imaplib.IMAP4_SSL):
            client.starttls(ssl_context=untrusting())
        client.authenticate("PLAIN", lambda _: f"\0{ADDRESS}\0{PASSWORD}".encode())
        assert ok(client.select(readonly=True)) == [b"2"]
        client.logout()

    plain = poplib.POP3(HOST, POP3)
    plain.stls(context=untrusting())
    for client in (poplib.POP3_SSL(HOST, POP3S, context=untrusting()), plain):
        client.user(ADDRESS)
        client.pass_(PASSWORD)
        assert client.stat()[0] == 2
        assert client.capa()["TOP"] == []
        assert b"by SMTP with STARTTLS" in client.retr(1)[1]
        assert client.top(1, 0)[1][-1] == b""
        assert len(client.uidl()[1]) == 2
        client.quit()
    client = poplib.POP3(HOST, POP3)
    client.user(ADDRESS)
    client.pass_(PASSWORD)
    client.dele(1)
    client.quit()
    client = imap()
    assert ok(client.select()) == [b"1"]
    client.logout()


def samples():
    messages = []
    for charset in ("iso-2022-jp", "shift_jis", "utf-8", "euc-jp"):
        text = MIMEText("日本語のメールです。\n半角と全角。\n", "plain", charset)
        text["Subject"] = email.header.Header("会議のお知らせ", charset)
        text["From"] = "山田 <yamada@far.example>"
        text["To"] = ADDRESS
        messages.append(text.as_bytes(policy=email.policy.compat32.clone(linesep="\r\n")))
    attached = EmailMessage(policy=email.policy.SMTP)
    attached["Subject"] = "attachments"
    attached.set_content("see attachments\n")
    attached.add_alternative("<p>see attachments</p>\n", subtype="html")
    attached.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="見積書.pdf")
    attached.add_attachment(b"x" * 3000, maintype="image", subtype="png", filename="plain.png")
    messages.append(attached.as_bytes())
    # As Outlook writes names: an encoded word inside the quotes.
    messages.append(
        b"Subject: outlook\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b'Content-Type: application/pdf; name="=?UTF-8?B?6KaL56mN5pu4LnBkZg==?="\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--b--\r\n"
    )
    forwarded = EmailMessage(policy=email.policy.SMTP)
    forwarded["Subject"] = "forwarded"
    forwarded.set_content("look\n")
    forwarded.add_attachment(email.message_from_bytes(messages[4], policy=email.policy.SMTP))
    messages.append(forwarded.as_bytes())
    for message in messages:
        deliver(message)

    client = imap()
    assert ok(client.select()) == [str(len(messages)).encode()]
    for number, message in enumerate(messages, 1):
        ends_with(fetch(client, number, "(BODY.PEEK[])"), message)
    client.literal = "日本語".encode()
    assert ok(client.uid("SEARCH", "CHARSET", "UTF-8", "BODY")) == [b"1 2 3 4"]
    client.literal = "会議".encode()
    assert ok(client.uid("SEARCH", "CHARSET", "UTF-8", "SUBJECT")) == [b"1 2 3 4"]
    structure = b"".join(
        part if isinstance(part, bytes) else part[0] + part[1] for part in ok(client.fetch("5", "(BODYSTRUCTURE)"))
    )
    assert structure.count(b'"pdf"') + structure.count(b'"PDF"') == 1, structure
    assert b"alternative" in structure.lower() and b"3000" not in structure, structure
    assert fetch(client, 5, "(BINARY.PEEK[3])") == b"x" * 3000
    # The forwarded message's own attachment, and its header.
    assert b"attachments" in fetch(client, 7, "(BODY.PEEK[2.HEADER.FIELDS (SUBJECT)])")
    assert b"JVBERg==" in fetch(client, 7, "(BODY.PEEK[2.2])")
    client.logout()


def large():
    random.seed(7)
    content = random.randbytes(25 << 20)
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "25 MiB"
    message.set_content("large\n")
    message.add_attachment(content, maintype="application", subtype="octet-stream", filename="large.bin")
    data = deliver(message.as_bytes())
    client = imap()
    ok(client.select())
    stored = fetch(client, 1, "(BODY.PEEK[])")
    ends_with(stored, data)
    assert fetch(client, 1, "(BODY.PEEK[]<20000000.1000>)") == stored[20000000:20001000]
    found = email.message_from_bytes(stored, policy=email.policy.default)
    attachment = next(found.iter_attachments()).get_content()
    assert hashlib.sha256(attachment).digest() == hashlib.sha256(content).digest()
    ok(client.append("Sent", None, None, data))
    ok(client.copy("1", "Archive"))
    client.logout()
    pop = poplib.POP3(HOST, POP3)
    pop.user(ADDRESS)
    pop.pass_(PASSWORD)
    assert pop.stat() == (1, len(stored))
    lines = pop.retr(1)[1]
    assert b"\r\n".join(lines) + b"\r\n" == stored
    pop.quit()


def ten_thousand():
    """Filled by APPENDs of many messages each, which is quick; then read as clients read."""
    count, at_once = 10_000, 500
    raw = socket.create_connection((HOST, IMAP))
    answers = raw.makefile("rb")
    answers.readline()

    def command(octets, tag):
        raw.sendall(octets)
        while not (line := answers.readline()).startswith(tag):
            assert line, "closed"
        assert b" OK " in line, line

    command(b'a LOGIN "%s" "%s"\r\n' % (ADDRESS.encode(), PASSWORD.encode()), b"a ")
    for first in range(0, count, at_once):
        parts = [b"b APPEND INBOX"]
        for number in range(first, first + at_once):
            text = b"From: a@far.example\r\nSubject: number %d\r\n\r\nbody %d\r\n" % (number, number)
            parts.append(b" {%d+}\r\n%s" % (len(text), text))
        command(b"".join(parts) + b"\r\n", b"b ")
    raw.close()

    client = imap()
    assert ok(client.select()) == [b"10000"]
    everything = ok(client.fetch("1:*", "(UID FLAGS RFC822.SIZE ENVELOPE)"))
    assert len(everything) == count and b'"number 0"' in everything[0] and b'"number 9999"' in everything[-1]
    assert ok(client.uid("SEARCH", "SUBJECT", '"number 77"'))[0].split()[0] == b"78"
    assert ok(client.uid("SEARCH", "BODY", '"body 9999"')) == [b"10000"]
    ok(client.uid("STORE", "1:*", "+FLAGS.SILENT", r"(\Seen)"))
    assert ok(client.status("INBOX", "(UNSEEN)")) == [b"INBOX (UNSEEN 0)"]
    ok(client.uid("STORE", "1:9000", "+FLAGS.SILENT", r"(\Deleted)"))
    assert len(ok(client.expunge())) == 9000
    assert ok(client.status("INBOX", "(MESSAGES)")) == [b"INBOX (MESSAGES 1000)"]
    client.logout()
    pop = poplib.POP3(HOST, POP3)
    pop.user(ADDRESS)
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 1000 and len(pop.uidl()[1]) == 1000
    pop.quit()


{"libraries": libraries, "samples": samples, "large": large, "ten_thousand": ten_thousand}[WHAT]()
