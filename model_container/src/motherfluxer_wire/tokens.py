"""Credentials and API keys: `<prefix>_<id>_<secret><checksum>`. Pure; randomness is an argument.

The secret holds 256 bits; the checksum tells a mistyped token from a wrong one without a look-up,
and a secret scanner a real token from a look-alike.
"""

import hashlib
import hmac
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

INSTANCE_PREFIX: Final = "mfi"
API_KEY_PREFIX: Final = "mf"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS: Final = 12
_SECRET_CHARS: Final = 43  # 62 ** 43 > 2 ** 256
_CHECKSUM_CHARS: Final = 6  # 62 ** 6 > 2 ** 32
_SHAPE: Final = re.compile(
    rf"([a-z]+)_([0-9A-Za-z]{{{_ID_CHARS}}})_([0-9A-Za-z]{{{_SECRET_CHARS + _CHECKSUM_CHARS}}})"
)

_NO_DIGEST: Final = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Token:
    """A whole token: shown once as `text`, looked up by `id`, stored as `digest` alone."""

    prefix: str
    id: str
    text: str

    @property
    def digest(self) -> str:
        """SHA-256 in hex. A slow hash would add nothing to 256 random bits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def matches(self, stored_digest: str | None) -> bool:
        """Compare with what is stored under the id, in the same time when nothing is."""
        is_same = hmac.compare_digest(self.digest, stored_digest or _NO_DIGEST)
        return is_same and stored_digest is not None


def make_token(prefix: str, draw_below: Callable[[int], int]) -> Token:
    """Make a token. `draw_below(n)` returns a secret random integer from 0 to n - 1."""
    id_ = "".join(_ALPHABET[draw_below(62)] for _ in range(_ID_CHARS))
    return rotate_token(prefix, id_, draw_below)


def rotate_token(prefix: str, id_: str, draw_below: Callable[[int], int]) -> Token:
    """Make a token with a new secret under an id that there is already."""
    secret = "".join(_ALPHABET[draw_below(62)] for _ in range(_SECRET_CHARS))
    body = f"{prefix}_{id_}_{secret}"
    return Token(prefix, id_, body + _checksum(body))


def parse_token(prefix: str, text: str) -> Token | None:
    """Read a token; None when its shape, prefix or checksum is wrong."""
    found = _SHAPE.fullmatch(text)
    if found is None or found[1] != prefix:
        return None
    body, checksum = text[:-_CHECKSUM_CHARS], text[-_CHECKSUM_CHARS:]
    return Token(prefix, found[2], text) if _checksum(body) == checksum else None


def presented_token(prefix: str, text: str) -> Token:
    """Read a token that somebody presents, whatever its shape.

    What is malformed becomes a token that nobody has, so that every refusal does the same work.
    """
    return parse_token(prefix, text) or Token(prefix, "-", "nobody")


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_CHARS):
        value, digit = divmod(value, 62)
        digits = _ALPHABET[digit] + digits
    return digits
