"""The names of what stands in Redis. Pure."""

from typing import Final

EVENTS: Final = "mf:events"
LEASE: Final = "mf:lease"
FENCE: Final = "mf:fence"
SNAPSHOT: Final = "mf:snapshot"
VIEW: Final = "mf:view"
VIEW_VERSION: Final = "mf:view:version"


def inbox(gateway_id: str) -> str:
    """Return where the letters to a gateway stand."""
    return f"mf:in:{gateway_id}"


def journal(job_id: str) -> str:
    """Return where a job's journal stands."""
    return f"mf:job:{job_id}"


def bell(gateway_id: str) -> str:
    """Return where a gateway tells its own reading of journals that there is one more to read."""
    return f"mf:bell:{gateway_id}"
