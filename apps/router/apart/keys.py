"""The names of what stands in Redis, and how long and how much of it. Pure."""

from typing import Final

EVENTS: Final = "mf:events"
LEASE: Final = "mf:lease"
FENCE: Final = "mf:fence"
SNAPSHOT: Final = "mf:snapshot"
VIEW: Final = "mf:view"
VIEW_VERSION: Final = "mf:view:version"

EVENTS_MOST: Final = 1_000_000
"""Routers trim the stream to a tenth of it; while none acts the oldest entries go beyond it."""

INBOX_KEPT_S: Final = 120
"""Inboxes end by themselves so long after the last that their gateway, or who writes, said."""

INBOX_MOST: Final = 100_000
"""More letters than that no gateway catches up with; the oldest go."""


def inbox(gateway_id: str) -> str:
    """Return where the letters to a gateway stand."""
    return f"mf:in:{gateway_id}"


def journal(job_id: str) -> str:
    """Return where a job's journal stands."""
    return f"mf:job:{job_id}"


def bell(gateway_id: str) -> str:
    """Return where a gateway tells its own reading of journals that there is one more to read."""
    return f"mf:bell:{gateway_id}"
