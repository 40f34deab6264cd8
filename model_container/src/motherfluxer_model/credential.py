"""The credential while the program runs: never shown, and taken anew from its file when rotated."""

import logging
import stat
from pathlib import Path
from typing import Final

from motherfluxer_model.errors import UsageError

logger = logging.getLogger(__name__)
STDIN: Final = "-"
MOUNTED_SECRETS: Final = Path("/run/secrets")  # an engine makes it, for one container alone


class Credential:
    """What lets this instance connect; `str` and `repr` do not give it away."""

    def __init__(self, text: str, file: Path | None = None) -> None:
        self.text = text
        self._file = file

    def __repr__(self) -> str:
        return "Credential(…)"

    def reread(self) -> bool:
        """Take what the file holds now; tells whether that is another credential. Blocks."""
        if self._file is None:
            return False
        try:
            text = fit_credential(self._file.read_text())
        except (OSError, UnicodeError, UsageError) as error:
            logger.debug("the credential's file gives none just now: %s", type(error).__name__)
            return False
        is_other, self.text = text != self.text, text
        return is_other


def read_credential(file: Path) -> str:
    """Read a credential's file. Raises UsageError."""
    try:
        text = file.read_text()
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the credential file cannot be read: {error}") from error
    return fit_credential(text)


def fit_credential(text: str) -> str:
    """Take a credential as an operator gives it. Raises UsageError, without quoting it."""
    text = text.strip()
    if not text:
        raise UsageError("no credential: give --credential-file (or --credential)")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError("the credential holds characters that no credential has")
    return text


def is_open_to_others(file: Path) -> bool:
    """Tell whether other users of this machine can read a file."""
    if file.is_relative_to(MOUNTED_SECRETS):
        return False
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRGRP | stat.S_IROTH))
