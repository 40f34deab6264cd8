"""The live page of the router: what it sees now, drawn by the server each time."""

import dataclasses

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from apps.router import selectors
from apps.router.core.settings import CoreSettings
from apps.router.selectors import RouterView
from apps.router.words import health_words


def page(request: HttpRequest) -> HttpResponse:
    """Show instances, jobs and models; the page asks for the fragment again and again."""
    view, settings = async_to_sync(_view_in_loop)()
    own = {
        "title": "The router, live",
        "view": view,
        "health_words": health_words(settings),
        "is_nav_sidebar_enabled": False,
    }
    context = {**admin.site.each_context(request), **own}
    return render(request, "superadmin/router.html", context)


def fragment(request: HttpRequest) -> HttpResponse:
    """Draw what changes on the page."""
    return render(request, "superadmin/_router.html", {"view": _view()})


def view_json(_: HttpRequest) -> JsonResponse:
    """Give the same figures to programs."""
    return JsonResponse(dataclasses.asdict(_view()))


def _view() -> RouterView:
    # Only the event loop that the router runs in may look at it; a sync view runs beside that.
    return async_to_sync(_view_in_loop)()[0]


async def _view_in_loop() -> tuple[RouterView, CoreSettings]:
    return selectors.router_view(), selectors.core_settings()
