"""A stream that is encrypted piece by piece, so that no piece can be changed, moved or left out.

The first line names the format and says what is inside; 16 random bytes follow, then the pieces:
65,536 bytes each, the last one shorter, each with its tag. The file's own key is derived (HKDF)
from the key, the random bytes and the first line; a piece's nonce is its number and whether it is
the last. That is the construction "STREAM" (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as age uses
it, over ChaCha20-Poly1305.
"""

import base64
import binascii
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from apps.operations.backups.errors import BackupKeyError, BrokenBackupError

KEY_BYTES: Final = 32
PIECE_BYTES: Final = 65_536
_TAG_BYTES: Final = 16
_SALT_BYTES: Final = 16
_MAGIC: Final = b"motherfluxer-backup/1 "
_MAX_LINE_BYTES: Final = 4096


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself; `vendor`: the kind of database."""

    vendor: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A backup that a key fits: what it says of itself, and what is in it."""

    about: About
    content: Iterator[bytes]


def key_decode(text: str) -> bytes:
    """Read a key as `Fernet.generate_key` writes it. Raises BackupKeyError."""
    try:
        key = base64.urlsafe_b64decode(text)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise BackupKeyError("BACKUP_KEY is no 32 bytes in URL-safe base64.")
    return key


def seal(content: Iterable[bytes], about: About, key: bytes) -> Iterator[bytes]:
    """Yield the encrypted file, in parts of any size."""
    line = _MAGIC + msgspec.json.encode(about) + b"\n"
    salt = os.urandom(_SALT_BYTES)
    yield line + salt
    cipher = _cipher(key, salt, line)
    held = b""
    for number, piece in enumerate(_pieces(content)):
        if number:
            yield cipher.encrypt(_nonce(number - 1, is_last=False), held, None)
        held, last = piece, number
    yield cipher.encrypt(_nonce(last, is_last=True), held, None)


def unseal(file: BinaryIO, keys: Sequence[bytes]) -> Opened:
    """Read the beginning of a file with whichever key fits. Raises BrokenBackupError.

    So does reading on, where the file was cut or changed.
    """
    line = file.readline(_MAX_LINE_BYTES)
    try:
        about = msgspec.json.decode(line.removeprefix(_MAGIC), type=About)
    except msgspec.DecodeError:
        line = b""
        about = None
    salt, first, second = file.read(_SALT_BYTES), _read_piece(file), _read_piece(file)
    if about is None or not line.startswith(_MAGIC):
        raise BrokenBackupError("This is no backup, or one of a later version.")
    for key in keys:
        cipher = _cipher(key, salt, line)
        try:
            plain = cipher.decrypt(_nonce(0, is_last=not second), first, None)
        except (InvalidTag, ValueError):
            continue
        return Opened(about, _rest(file, cipher, plain, second))
    raise BrokenBackupError("No key of BACKUP_KEY opens it, or its beginning was changed.")


def _rest(file: BinaryIO, cipher: ChaCha20Poly1305, plain: bytes, coming: bytes) -> Iterator[bytes]:
    yield plain
    number = 1
    while coming:
        sealed, coming = coming, _read_piece(file)
        try:
            yield cipher.decrypt(_nonce(number, is_last=not coming), sealed, None)
        except (InvalidTag, ValueError) as error:
            raise BrokenBackupError("The backup was cut off or changed.") from error
        number += 1


def _pieces(content: Iterable[bytes]) -> Iterator[bytes]:
    """Cut what comes into pieces of one size; the last one is shorter, and may be empty."""
    held = bytearray()
    for part in content:
        held += part
        while len(held) >= PIECE_BYTES:
            yield bytes(held[:PIECE_BYTES])
            del held[:PIECE_BYTES]
    yield bytes(held)


def _read_piece(file: BinaryIO) -> bytes:
    return file.read(PIECE_BYTES + _TAG_BYTES)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _cipher(key: bytes, salt: bytes, line: bytes) -> ChaCha20Poly1305:
    derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=line).derive(key)
    return ChaCha20Poly1305(derived)
