"""A sealed stream is read whole by its key, and by nobody else, and in no other form."""

import io
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet

from apps.operations.backups.errors import BackupKeyError, BrokenBackupError
from apps.operations.backups.sealing import PIECE_BYTES, About, key_decode, seal, unseal

ABOUT = About(vendor="postgresql", made_at=datetime(2026, 1, 2, tzinfo=UTC))
KEY, OTHER = b"k" * 32, b"o" * 32
SEALED_PIECE = PIECE_BYTES + 16


def sealed(content: bytes, key: bytes = KEY) -> bytes:
    return b"".join(seal([content[:7], content[7:]], ABOUT, key))


def unsealed(data: bytes, *keys: bytes) -> bytes:
    opened = unseal(io.BytesIO(data), keys or [KEY])
    assert opened.about == ABOUT
    return b"".join(opened.content)


@pytest.mark.parametrize(
    "size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 200_001]
)
def test_content_of_every_size_comes_back(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    data = sealed(content)
    assert unsealed(data) == content


def test_content_is_not_to_be_seen() -> None:
    content = bytes(range(200)) * 1_000
    data = sealed(content)
    assert not any(content[start : start + 16] in data for start in range(200))


def test_each_file_is_another() -> None:
    assert sealed(b"same") != sealed(b"same")


def test_older_key_still_opens_and_another_does_not() -> None:
    data = sealed(b"content")
    assert unsealed(data, OTHER, KEY) == b"content"
    with pytest.raises(BrokenBackupError, match="No key"):
        unsealed(data, OTHER)


def test_cut_anywhere_is_noticed() -> None:
    data = sealed(b"x" * (2 * PIECE_BYTES + 100))
    first = len(data) - 2 * SEALED_PIECE - 116
    at = [0, 5, first - 1, first, first + 20, first + SEALED_PIECE, first + 2 * SEALED_PIECE]
    for end in (*at, len(data) - 1):
        with pytest.raises(BrokenBackupError):
            unsealed(data[:end])


@pytest.mark.parametrize("where", [25, -200_000, -70_000, -1])
def test_changed_byte_is_noticed(where: int) -> None:
    data = bytearray(sealed(b"x" * 200_000))
    data[where] ^= 1
    with pytest.raises(BrokenBackupError):
        unsealed(bytes(data))


def test_pieces_can_not_change_places_nor_be_added() -> None:
    data = sealed(b"a" * PIECE_BYTES + b"b" * PIECE_BYTES + b"c")
    start = len(data) - 2 * SEALED_PIECE - 17
    one, two = data[start : start + SEALED_PIECE], data[start + SEALED_PIECE : -17]
    for changed in (data[:start] + two + one + data[-17:], data + data[-17:]):
        with pytest.raises(BrokenBackupError):
            unsealed(changed)


def test_what_is_no_backup_is_told() -> None:
    for data in (b"", b"hello\n", b"motherfluxer-backup/2 {}\n" + b"x" * 100):
        with pytest.raises(BrokenBackupError, match="no backup"):
            unsealed(data)


def test_keys_are_32_bytes() -> None:
    assert len(key_decode(Fernet.generate_key().decode())) == 32
    for text in ("", "short", "!" * 44):
        with pytest.raises(BackupKeyError):
            key_decode(text)
