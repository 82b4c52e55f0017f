"""Delivers a few mails by LMTP: Japanese in three charsets, a thread, an attachment with a Japanese name."""
import base64
import smtplib
import sys

PORT, USER = int(sys.argv[1]), sys.argv[2]


def mail(subject, body, *, charset="utf-8", sender="=?UTF-8?B?5bGx55Sw5aSq6YOO?= <taro@example.org>", day=2, extra=""):
    head = (
        f"From: {sender}\r\nTo: {USER}\r\nSubject: {subject}\r\nDate: Mon, {day} Nov 2026 10:00:00 +0900\r\n"
        f"MIME-Version: 1.0\r\n{extra}"
    )
    kind = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head.encode() + kind.encode() + body.encode(charset) + b"\r\n"


ATTACHMENT = base64.b64encode("会議の内容".encode()).decode()
MIXED = (
    f"From: hanako@example.org\r\nTo: {USER}\r\nSubject: Re: meeting\r\nDate: Mon, 2 Nov 2026 11:00:00 +0900\r\n"
    "Message-ID: <a2@example.org>\r\nReferences: <a1@example.org>\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    "資料を送ります\r\n--b\r\nContent-Type: application/octet-stream\r\n"
    "Content-Disposition: attachment; filename*=UTF-8''%E4%BC%9A%E8%AD%B0.txt\r\n"
    f"Content-Transfer-Encoding: base64\r\n\r\n{ATTACHMENT}\r\n--b--\r\n"
).encode()
MAILS = [
    mail("=?ISO-2022-JP?B?GyRCMnE1RBsoQg==?= meeting", "会議の資料", charset="iso-2022-jp", extra="Message-ID: <a1@example.org>\r\n"),
    MIXED,
    mail("=?Shift_JIS?B?k82CrYLM?=", "届くのはいつですか", charset="shift_jis", day=3),
    *(mail(f"Note {n}", f"number {n}", sender=f"bot{n}@example.org", day=4 + n % 9) for n in range(30)),
]
with smtplib.LMTP("127.0.0.1", PORT) as server:
    for octets in MAILS:
        server.sendmail("sender@example.org", [USER], octets)
print(f"{len(MAILS)} mails delivered")
