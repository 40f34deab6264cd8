"""Going from old keys of FIELD_ENCRYPTION_KEYS to the first one, text by text."""

from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


@dataclass(slots=True)
class Rotation:
    """How many texts were encrypted anew, had the first key already, and open with no key."""

    renewed: int = 0
    current: int = 0
    unreadable: int = 0

    def fresh(self, stored: str) -> str | None:
        """Return a text under the first key; None, and counted, where that can't or needn't be."""
        keys = [Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS]
        data = stored.encode()
        try:
            keys[0].decrypt(data)
        except InvalidToken:
            pass
        else:
            self.current += 1
            return None
        try:
            return MultiFernet(keys).rotate(data).decode()
        except InvalidToken:
            self.unreadable += 1
            return None
