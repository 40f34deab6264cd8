"""Who a page's reader is: on the users' site whoever signed in, elsewhere a visitor."""

from dataclasses import replace
from typing import Any, cast

from django.http import HttpRequest, HttpResponseBase

from apps.chat.askers import Asker
from apps.router import ports


def is_users_site(request: HttpRequest) -> bool:
    """Whether this is the site of those who sign in."""
    return bool(cast(Any, request).sites.name == "user")


async def asker_of(request: HttpRequest) -> Asker | None:
    """Return the reader, a new visitor's key being empty; None: must sign in first."""
    address = request.META.get("REMOTE_ADDR") or ""
    user = await request.auser()
    # Templates ask for `request.user`, which would query the database from within the loop.
    request.user = user
    if is_users_site(request):
        return Asker(user_id=user.pk, address=address) if user.is_authenticated else None
    gate = ports.visitor_gate.get_or_none()
    if gate is None:
        return None
    return Asker(visitor_key=gate.visitor_key(request) or "", address=address)


def visitor_named(asker: Asker) -> Asker:
    """Give a new visitor a key; anybody else has one already."""
    if not asker.is_visitor or asker.visitor_key:
        return asker
    return replace(asker, visitor_key=ports.visitor_gate.get().new_visitor_key())


def visitor_remember(response: HttpResponseBase, asker: Asker) -> None:
    """Set a visitor's cookie."""
    if asker.is_visitor:
        ports.visitor_gate.get().remember(response, asker.visitor_key)
