"""Makes an encrypted backup of the database."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.operations.backups.errors import BackupError
from apps.operations.backups.services import backup_make, backup_stream


class Command(BaseCommand):
    """Writes a file into a folder and prints its path, or the backup itself to standard output."""

    help = "Make an encrypted backup of the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where it goes."""
        where = parser.add_mutually_exclusive_group()
        words = "the folder; BACKUP_DIR where not given"
        where.add_argument("--to", type=Path, metavar="FOLDER", help=words)
        words = "write the backup to standard output, for another program to store"
        where.add_argument("--stdout", action="store_true", help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it."""
        folder = options["to"] or settings.BACKUP_DIR
        try:
            if options["stdout"]:
                sys.stdout.buffer.writelines(backup_stream())
                sys.stdout.buffer.flush()
            elif folder is None:
                raise CommandError("Say where: --to FOLDER, --stdout, or set BACKUP_DIR.")
            else:
                self.stdout.write(str(backup_make(folder=folder)))
        except (BackupError, OSError) as error:
            raise CommandError(str(error)) from error
