"""Makes backups, removes old ones, checks and restores them. Blocking."""

import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection

from apps.operations.backups.dumping import database_dump, database_is_empty, database_restore
from apps.operations.backups.errors import BackupKeyError, RestoreRefusedError
from apps.operations.backups.sealing import About, key_decode, seal, unseal

log = logging.getLogger(__name__)

SUFFIX: Final = ".mfbackup"
_PATTERN: Final = f"motherfluxer-*{SUFFIX}"


def backup_stream() -> Iterator[bytes]:
    """Yield an encrypted backup of this moment. Raises BackupError."""
    keys = _keys()
    about = About(vendor=connection.vendor, made_at=datetime.now(UTC))
    return seal(database_dump(), about, keys[0])


def backup_make(*, folder: Path) -> Path:
    """Write a backup into a folder, whole or not at all. Raises BackupError, OSError."""
    parts = backup_stream()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"motherfluxer-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}{SUFFIX}"
    fresh = path.with_suffix(".part")
    fresh.touch(mode=0o600)
    try:
        with fresh.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
    log.info("backup made", extra={"file": path.name, "bytes": path.stat().st_size})
    return path


def backups_remove_old(*, folder: Path, kept_days: float) -> int:
    """Remove the backups that are older, never the newest one; return how many."""
    oldest_at = time.time() - kept_days * 24 * 3600
    old = [path for path in sorted(folder.glob(_PATTERN))[:-1] if path.stat().st_mtime < oldest_at]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def backup_check(*, path: Path) -> tuple[About, int]:
    """Read a backup to its end; return what it says of itself and its content's bytes.

    Raises BackupError, OSError.
    """
    with path.open("rb") as file:
        opened = unseal(file, _keys())
        return opened.about, sum(map(len, opened.content))


def backup_restore(*, path: Path, replace: bool) -> About:
    """Put a backup into the database. `replace`: instead of what is there.

    The file is read to its end before anything is touched. Raises BackupError, OSError.
    """
    about, _ = backup_check(path=path)
    if about.vendor != connection.vendor:
        words = f"The backup is one of {about.vendor}, the database is {connection.vendor}."
        raise RestoreRefusedError(words)
    if not replace and not database_is_empty():
        raise RestoreRefusedError("The database is not empty.")
    with path.open("rb") as file:
        database_restore(unseal(file, _keys()).content)
    log.info("backup restored", extra={"file": path.name})
    return about


def _keys() -> list[bytes]:
    if not settings.BACKUP_KEYS:
        raise BackupKeyError("Set BACKUP_KEY.")
    return [key_decode(text) for text in settings.BACKUP_KEYS]
