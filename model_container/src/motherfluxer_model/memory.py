"""How much memory a process and a machine have, as far as Linux tells."""

import os
from pathlib import Path
from typing import Final

_GROUP: Final = Path("/sys/fs/cgroup")
_GROUP_FILES: Final = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # of the older kind
)


def resident_bytes(pid: int) -> int | None:
    """Give what a process holds in memory; None: there is none, or the system does not tell.

    Reads the kernel's own memory: nothing that an event loop would wait for.
    """
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def available_bytes() -> int | None:
    """Give the memory that can still be had: the machine's, or what is left to this container."""
    counts = [count for count in (_machine_available(), _group_available()) if count is not None]
    return min(counts, default=None)


def _machine_available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return int(kib) * 1024


def _group_available() -> int | None:
    for most_file, used_file in _GROUP_FILES:
        try:
            most = int((_GROUP / most_file).read_text())  # "max" where there is no limit
            return max(0, most - int((_GROUP / used_file).read_text()))
        except (OSError, ValueError):
            continue
    return None
