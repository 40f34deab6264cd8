"""How much the instances of one credential may tell the routers, whatever they call themselves."""

from collections import deque
from typing import Final

from apps.router.errors import TooMuchSaidError

WITHIN_S: Final = 60.0
# For each link. Of more only the last is told, when there is room for it.
CHANGES_MOST: Final = 60
# Models and offers in hellos: 2,000 instances with 15 are within it.
SAID_MOST: Final = 30_000


class CredentialLimits:
    """Counts by credential: new links and new names make no more room."""

    def __init__(self) -> None:
        self._changes: dict[str, deque[float]] = {}
        self._said: dict[str, tuple[float, int]] = {}

    def may_change(self, credential_id: str, *, links_count: int, now: float) -> bool:
        """Count a change of what an instance serves, if there is room for it."""
        changes = self._changes.setdefault(credential_id, deque())
        while changes and now - changes[0] >= WITHIN_S:
            changes.popleft()
        if len(changes) >= CHANGES_MOST * links_count:
            return False
        changes.append(now)
        return True

    def count_said(self, credential_id: str, count: int, *, now: float) -> None:
        """Count what an instance introduces itself with. Raises TooMuchSaidError."""
        since, before = self._said.get(credential_id, (now, 0))
        if now - since >= WITHIN_S:
            since, before = now, 0
        if before + count > SAID_MOST:
            raise TooMuchSaidError
        self._said[credential_id] = since, before + count

    def forget_old(self, now: float) -> None:
        """Forget what was counted long ago."""
        for credential_id, changes in list(self._changes.items()):
            if not changes or now - changes[-1] >= WITHIN_S:
                del self._changes[credential_id]
        for credential_id, (since, _) in list(self._said.items()):
            if now - since >= WITHIN_S:
                del self._said[credential_id]
