"""The way of a visitor's conversations into an account: the links, and the page that takes them."""

from typing import Any, cast
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps.chat.askers import Asker
from apps.chat.conf import CONF
from apps.chat.keeping import (
    KeepToken,
    conversations_keep,
    conversations_to_keep,
    keep_token_make,
    keep_token_read,
)
from apps.chat.models import Conversation
from apps.chat.views import for_asker
from apps.chat.visits import asker_of


@never_cache
@require_safe
async def offer(request: HttpRequest) -> HttpResponse:
    """Send a visitor to the sign-up page, and from there to what has been asked so far."""
    return await _led(request, "signup")


@never_cache
@require_safe
async def sign_in(request: HttpRequest) -> HttpResponse:
    """Send a visitor to the sign-in page, and from there to what has been asked so far."""
    return await _led(request, "login")


async def _led(request: HttpRequest, page: str) -> HttpResponse:
    asker = await asker_of(request)
    if asker is not None and not asker.is_visitor:
        return HttpResponseRedirect(reverse("chat:home"))
    url = f"{cast(Any, request).sites.user}/accounts/{page}/"
    if asker is not None and asker.visitor_key:
        token = keep_token_make(visitor_key=asker.visitor_key)
        if await _found(keep_token_read(token=token)):
            url += "?" + urlencode({"next": reverse("chat:keep", args=[token])})
    return HttpResponseRedirect(url)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@for_asker
async def keep(request: HttpRequest, asker: Asker, token: str) -> HttpResponse:
    """Show what a visitor has asked, and take it into the account at the press of a button."""
    if asker.user_id is None:
        raise Http404
    read = keep_token_read(token=token)
    if request.method == "POST" and read is not None:
        take = sync_to_async(conversations_keep)
        newest = await take(token=read, user_id=asker.user_id)
        if newest is not None:
            return HttpResponseRedirect(reverse("chat:conversation", args=[newest.pk]))
    return await _page(request, read)


async def _found(read: KeepToken | None) -> list[Conversation]:
    find = sync_to_async(conversations_to_keep)
    return await find(token=read) if read is not None else []


async def _page(request: HttpRequest, read: KeepToken | None) -> HttpResponse:
    found = await _found(read)
    context = {"conversations": found, "retention_h": CONF.demo_retention_h}
    return render(request, "chat/keep.html", context, status=200 if found else 410)
