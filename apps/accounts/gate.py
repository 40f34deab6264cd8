"""Fills the router's `caller_gate`: whose API key a token is."""

from channels.db import database_sync_to_async
from django.utils import timezone

from apps.accounts import selectors, services
from apps.router.ports import Caller
from motherfluxer_wire.tokens import API_KEY_PREFIX, presented_token


class ApiKeyGate:
    """Identifies callers by API key."""

    async def identify(self, token: str | None) -> Caller | None:
        """Return the key's owner, or None for an unknown, revoked or expired key."""
        find = database_sync_to_async(_identify, thread_sensitive=False)
        caller: Caller | None = await find(token or "")
        return caller


def _identify(text: str) -> Caller | None:
    token = presented_token(API_KEY_PREFIX, text)
    key = selectors.api_key_of_token(token_id=token.id)
    is_right = token.matches(None if key is None else key.digest)
    now = timezone.now()
    if key is None or not is_right or not key.is_valid_at(now) or not key.user.may_act:
        return None
    services.api_key_used(key=key, now=now)
    return Caller(requester=f"user:{key.user_id}", user_id=key.user_id, key_id=key.token_id)
