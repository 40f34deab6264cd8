"""What can go wrong with a backup.

BackupError
├── BackupKeyError      BACKUP_KEY is missing, or holds something that is no key
├── BrokenBackupError   a file is no backup, was cut or changed, or is of another key
├── DumpError           the database's own program failed; the words are its own
└── RestoreRefusedError the database is not empty, or of another kind
"""


class BackupError(Exception):
    """A backup can't be made or used."""


class BackupKeyError(BackupError):
    """BACKUP_KEY is missing, or holds something that is no key."""


class BrokenBackupError(BackupError):
    """A file is no backup, was cut or changed, or is of another key."""


class DumpError(BackupError):
    """The database's own program failed; the words are its own."""


class RestoreRefusedError(BackupError):
    """The database is not empty, or of another kind."""
