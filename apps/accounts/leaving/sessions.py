"""Finds and ends the sessions of a user, those of a sign-in that was never finished included."""

from collections.abc import Iterator
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.db.models import Q

_READ_AT_ONCE = 500


def sessions_of(*, user_id: int, addresses: frozenset[str]) -> Iterator[Session]:
    """Yield the sessions that name a user by number or address.

    They lie encoded in the table, so each is opened: this is for a rare task, not for a request
    that somebody waits for.
    """
    for session in Session.objects.iterator(chunk_size=_READ_AT_ONCE):
        if _names(session.get_decoded(), str(user_id), addresses):
            yield session


def sessions_end(
    *, user_id: int, addresses: frozenset[str] = frozenset(), but: str | None = None
) -> int:
    """End a user's sessions but one, and return how many they were."""
    found = sessions_of(user_id=user_id, addresses=addresses)
    keys = [session.pk for session in found if session.pk != but]
    for start in range(0, len(keys), _READ_AT_ONCE):
        Session.objects.filter(Q(pk__in=keys[start : start + _READ_AT_ONCE])).delete()
    return len(keys)


def _names(value: Any, user_id: str, addresses: frozenset[str], key: str = "") -> bool:
    """Whether decoded session data names the user, however deep."""
    if isinstance(value, dict):
        return any(_names(part, user_id, addresses, str(name)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return any(_names(part, user_id, addresses, key) for part in value)
    text = str(value)
    if text == user_id and (key == SESSION_KEY or "user" in key):
        return True
    return any(address in text.lower() for address in addresses)
