"""Puts an encrypted backup into the database, or checks that it can be read."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operations.backups.errors import BackupError, RestoreRefusedError
from apps.operations.backups.services import backup_check, backup_restore


class Command(BaseCommand):
    """Restores into an empty database, or with --replace instead of what is there."""

    help = "Restore an encrypted backup, or check it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and what to do with it."""
        parser.add_argument("file", type=Path)
        words = "delete everything that is in the database now"
        parser.add_argument("--replace", action="store_true", help=words)
        words = "read the backup to its end and change nothing"
        parser.add_argument("--check", action="store_true", help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it."""
        path = options["file"]
        try:
            if options["check"]:
                about, count = backup_check(path=path)
                told = f"{about.vendor} of {about.made_at:%Y-%m-%d %H:%M:%S} UTC, {count:,} bytes"
                self.stdout.write(f"Whole: {told}")
                return
            about = backup_restore(path=path, replace=options["replace"])
        except RestoreRefusedError as error:
            raise CommandError(f"{error} Nothing was changed; see --replace.") from error
        except (BackupError, OSError) as error:
            raise CommandError(f"{error} Nothing was changed.") from error
        self.stdout.write(f"Restored the state of {about.made_at:%Y-%m-%d %H:%M:%S} UTC.")
        self.stdout.write("Now: manage.py migrate, and start the site.")
