"""Verifies the public decision log: the one in the database, or one that was downloaded."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.router.records import log_file, selectors
from apps.router.records.chain import Verified
from apps.router.records.errors import BrokenLogError


class Command(BaseCommand):
    """Checks every entry's hash and their order."""

    help = "Verify the decision log, or a downloaded log.jsonl; exit status 1 names a bad entry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a file's name."""
        parser.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a log.jsonl")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify it and say so."""
        path: Path | None = options["file"]
        try:
            verified = log_file.verify_file(path) if path else selectors.log_verify()
        except BrokenLogError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror}.") from error
        self.stdout.write(_words(verified))


def _words(verified: Verified) -> str:
    if verified.first is None or verified.last is None:
        return "0 entries: the log is empty."
    entries = "entry" if verified.count == 1 else "entries"
    span = f"{verified.first.sequence} to {verified.last.sequence}"
    lines = [f"{verified.count} {entries} verified, {span}."]
    if verified.first.sequence > 1:
        lines.append(f"Entries before {verified.first.sequence} are not in it.")
    return "\n".join([*lines, f"The last hash is {verified.last.hash}."])
