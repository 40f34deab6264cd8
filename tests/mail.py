"""What the site has written to its mail folder."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from tests.sites import Site, wait_until

CODE = re.compile(r"^([A-Z0-9]{4}-[A-Z0-9]{4})$", re.MULTILINE)


def mails(site: Site) -> list[EmailMessage]:
    """Return all mails, oldest first."""
    files = sorted((site.folder / "mail").glob("*"), key=lambda file: file.stat().st_mtime_ns)
    return [mail for file in files for mail in _mails_of(file)]


def _mails_of(file: Path) -> list[EmailMessage]:
    """Read a file of Django's file backend: mails, each with a line of dashes after it."""
    parts = file.read_bytes().split(b"-" * 79 + b"\n")
    return [message_from_bytes(part, policy=policy.default) for part in parts if part.strip()]


def wait_mail(site: Site, to: str, subject: str = "") -> EmailMessage:
    """Wait for a mail to somebody whose subject holds some words; return the newest."""

    def found() -> list[EmailMessage]:
        return [
            one for one in mails(site) if to in str(one["To"]) and subject in str(one["Subject"])
        ]

    wait_until(lambda: bool(found()), f"a mail to {to}")
    return found()[-1]


def text_of(mail: EmailMessage) -> str:
    """Return a mail's plain text."""
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def code_in(text: str) -> str:
    """Return the code that stands in a line of its own."""
    found = CODE.search(text)
    assert found, text
    return found[1]
