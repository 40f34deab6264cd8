"""Encrypts stored texts anew with the first of FIELD_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.field_keys import Rotation
from apps.router import ports


class Command(BaseCommand):
    """Runs beside the site; may be broken off and begun again."""

    help = "Encrypt all stored texts with the first of FIELD_ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and tell how many."""
        done = Rotation()
        for rotate in ports.key_rotations.all().values():
            rotate(done)
        self.stdout.write(f"{done.renewed} texts encrypted anew, {done.current} were already.")
        if done.unreadable:
            words = f"{done.unreadable} texts open with none of FIELD_ENCRYPTION_KEYS."
            raise CommandError(f"{words} Put the key that they need back.")
