"""The package that operators download: made of the container's sources, always the same bytes."""

import gzip
import hashlib
import io
import re
import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings

_LEFT_OUT: Final = frozenset(
    {"__pycache__", "tests", "build", "dist", "var", "node_modules", "secrets", "venv"}
)
_MTIME_S: Final = 1_580_601_600  # 2020-02-02, as in reproducible wheels
_VERSION: Final = re.compile(r'^__version__ = "([0-9A-Za-z.+-]+)"', re.MULTILINE)


class PackageMissingError(Exception):
    """The container's sources are not where the settings say."""


@dataclass(frozen=True, slots=True)
class Package:
    """The archive and what a page says about it."""

    version: str
    content: bytes
    sha256: str

    @property
    def folder(self) -> str:
        """The one folder that everything in the archive is in."""
        return f"motherfluxer-model-{self.version}"

    @property
    def filename(self) -> str:
        """The archive's name."""
        return f"{self.folder}.tar.gz"

    @property
    def size_bytes(self) -> int:
        """The archive's size."""
        return len(self.content)


def package() -> Package:
    """Return the package as its sources are now. Raises PackageMissingError."""
    version = package_version()
    root = Path(settings.MODEL_CONTAINER_DIR)
    files = tuple(_files(root))
    state = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _build(root, version, tuple(file.relative_to(root).as_posix() for file in files), state)


def package_version() -> str:
    """Return the version that the sources state. Raises PackageMissingError."""
    source = Path(settings.MODEL_CONTAINER_DIR) / "src" / "motherfluxer_model" / "__init__.py"
    found = _VERSION.search(source.read_text()) if source.is_file() else None
    if found is None:
        raise PackageMissingError(f"no version in {source}")
    return found[1]


@lru_cache(maxsize=1)
def _build(
    root: Path, version: str, names: tuple[str, ...], _state: tuple[tuple[int, int], ...]
) -> Package:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=_MTIME_S) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in names:
            _add(archive, root / name, f"motherfluxer-model-{version}/{name}")
    content = packed.getvalue()
    return Package(version, content, hashlib.sha256(content).hexdigest())


def _add(archive: tarfile.TarFile, file: Path, name: str) -> None:
    content = file.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mtime = _MTIME_S
    entry.mode = 0o755 if file.stat().st_mode & 0o100 else 0o644
    archive.addfile(entry, io.BytesIO(content))


def _files(root: Path) -> list[Path]:
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and not any(_is_left_out(part) for part in path.relative_to(root).parts)
    )


def _is_left_out(part: str) -> bool:
    if part == ".dockerignore":  # keeps an operator's credential out of the builder's hands
        return False
    return part in _LEFT_OUT or part.endswith(".egg-info") or part.startswith(".")
