"""How a visitor's conversations come to an account, over two sites that share no cookie.

The public site gives the visitor a signed token; the users' site takes it from whoever is signed in
there. It stands for the conversations that were begun before it was made: once they are kept they
are no visitor's any more, and the token finds nothing.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from django.core import signing
from django.db.models import QuerySet

from apps.chat.conf import CONF
from apps.chat.models import Conversation

_SALT: Final = "apps.chat.keeping"
_MAX_TOKEN_CHARS: Final = 400


@dataclass(frozen=True, slots=True)
class KeepToken:
    """What a token says: whose conversations, and until when they were begun."""

    visitor_key: str
    made_at: datetime


def keep_token_make(*, visitor_key: str) -> str:
    """Return a token for what a visitor has asked until now."""
    made_at = datetime.now(UTC).timestamp()
    return signing.dumps([visitor_key, made_at], salt=_SALT)


def keep_token_read(*, token: str) -> KeepToken | None:
    """Return what a token says; None for one that is made up or too old."""
    if len(token) > _MAX_TOKEN_CHARS:
        return None
    try:
        visitor_key, made_at = signing.loads(token, salt=_SALT, max_age=CONF.keep_token_s)
    except signing.BadSignature:
        return None
    return KeepToken(visitor_key, datetime.fromtimestamp(made_at, UTC))


def conversations_to_keep(*, token: KeepToken) -> list[Conversation]:
    """Return the conversations that a token stands for, the newest first."""
    return list(_meant_by(token))


def conversations_keep(*, token: KeepToken, user_id: int) -> Conversation | None:
    """Give what a token stands for to a user and return the newest; None if nothing is left."""
    newest = _meant_by(token).first()
    moved = _meant_by(token).update(owner_id=user_id, visitor_key="")
    return newest if moved else None


def _meant_by(token: KeepToken) -> QuerySet[Conversation]:
    return Conversation.objects.filter(
        owner=None, visitor_key=token.visitor_key, created__lte=token.made_at
    )
