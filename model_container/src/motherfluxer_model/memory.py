"""How much memory a process and a machine have, as far as Linux tells."""

import os
from pathlib import Path


def resident_bytes(pid: int) -> int | None:
    """Give what a process holds in memory; None: there is none, or the system does not tell.

    Reads the kernel's own memory: nothing that an event loop would wait for.
    """
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
