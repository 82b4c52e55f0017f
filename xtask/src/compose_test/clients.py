"""Mail clients: what Python's library brings, and IDLE."""

import imaplib
import poplib
import smtplib
import ssl
import time

from stack import HOST, PORTS, check

ADDRESS = "alice@localhost"
PASSWORD = "correct horse battery staple"
SECONDS = 40

# Certificates are the stack's own: encrypted is all that is asked here.
TLS = ssl.create_default_context()
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


def imap(tls=True):
    if tls:
        client = imaplib.IMAP4_SSL(HOST, PORTS["imaps"], ssl_context=TLS, timeout=SECONDS)
    else:
        client = imaplib.IMAP4(HOST, PORTS["imap"], timeout=SECONDS)
        client.starttls(TLS)
    ok(client.login(ADDRESS, PASSWORD))
    ok(client.select("INBOX"))
    return client


def ok(answer):
    status, data = answer
    check(status == "OK", f"IMAP: {status} {data}")
    return data


def message_ids(client):
    """Message-IDs of the selected mailbox, in the order of arrival."""
    ok(client.noop())
    if not int(ok(client.select("INBOX"))[0]):
        return []
    data = ok(client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"))
    return [part[1].decode().split(":", 1)[1].strip() for part in data if isinstance(part, tuple)]


def fetch_all(client):
    """The content of all messages."""
    data = ok(client.fetch("1:*", "(BODY.PEEK[])"))
    return [part[1] for part in data if isinstance(part, tuple)]


class Idle:
    """A session that waits for news."""

    def __init__(self):
        self.client = imap()
        self.tag = self.client._new_tag()
        self.client.send(self.tag + b" IDLE\r\n")
        self.until(b"+")

    def until(self, start, contains=b""):
        while True:
            line = self.client.readline()
            check(line, "IDLE: the connection is closed")
            if line.startswith(start) and contains in line:
                return time.monotonic()

    def exists(self):
        """When the next EXISTS came."""
        return self.until(b"* ", b" EXISTS")

    def done(self):
        self.client.send(b"DONE\r\n")
        self.until(self.tag)


def pop3(tls=True):
    if tls:
        client = poplib.POP3_SSL(HOST, PORTS["pop3s"], context=TLS, timeout=SECONDS)
    else:
        client = poplib.POP3(HOST, PORTS["pop3"], timeout=SECONDS)
        client.stls(TLS)
    client.user(ADDRESS)
    client.pass_(PASSWORD)
    return client


def lmtp():
    return smtplib.LMTP(HOST, PORTS["lmtp"], timeout=SECONDS)


def smtp():
    client = smtplib.SMTP(HOST, PORTS["smtp"], timeout=SECONDS)
    client.starttls(context=TLS)
    return client


def message(number):
    """A mail and its Message-ID."""
    name = f"<{number}.{time.time_ns()}@example.net>"
    text = f"From: bob@example.net\r\nTo: {ADDRESS}\r\nSubject: Mail {number}\r\nMessage-ID: {name}\r\n\r\n"
    return name, (text + f"Line of mail {number}\r\n" * (1 + number % 50)).encode()


def send(client, number):
    """Delivers a mail and returns its Message-ID."""
    name, content = message(number)
    refused = client.sendmail("bob@example.net", [ADDRESS], content)
    check(not refused, f"refused: {refused}")
    return name


class Sender:
    """An MTA: keeps what was not accepted and tries again, over new connections if need be."""

    def __init__(self):
        self.deferred = 0
        self.broken = 0
        self.client = None

    def deliver(self, number, patience):
        name, content = message(number)
        deadline = time.monotonic() + patience
        while not self.attempt(content):
            check(time.monotonic() < deadline, f"mail {number} is not accepted in {patience} s")
            time.sleep(0.1)
        return name

    def attempt(self, content):
        try:
            self.client = self.client or lmtp()
            self.client.sendmail("bob@example.net", [ADDRESS], content)
            return True
        except smtplib.SMTPRecipientsRefused as error:
            return self.later(*error.recipients[ADDRESS])
        except smtplib.SMTPServerDisconnected:
            self.broken += 1
        except smtplib.SMTPResponseException as error:
            return self.later(error.smtp_code, error.smtp_error)
        except OSError:
            self.broken += 1
        self.client = None
        return False

    def later(self, code, text):
        check(400 <= code < 500, f"refused for good: {code} {text}")
        self.deferred += 1
        # sendmail may have closed it (421).
        if self.client is not None and self.client.sock is None:
            self.client = None
        return False
