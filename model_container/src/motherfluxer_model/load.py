"""How busy this machine is, as far as the system tells without being asked twice."""

import os

from motherfluxer_wire.frames import Load


def measure_load() -> Load:
    """Give the shares of processor and memory in use; what the system does not tell is left out."""
    return Load(cpu=_cpu_share(), memory=_memory_share())


def _cpu_share() -> float | None:
    try:
        waiting = os.getloadavg()[0]
    except (OSError, AttributeError):
        return None
    return round(min(1.0, waiting / (os.cpu_count() or 1)), 2)


def _memory_share() -> float | None:
    try:
        free, total = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None
    return round(1 - free / total, 2) if 0 <= free <= total and total else None
