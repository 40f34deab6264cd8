"""Parts of a site that are there while their app is installed."""

from django.apps import apps
from django.urls import URLPattern, URLResolver, include, path


def part(route: str, urls: str) -> list[URLPattern | URLResolver]:
    """Include an app's addresses under a route; nothing when the app is left out."""
    app = urls.rpartition(".")[0]
    return [path(route, include(urls))] if apps.is_installed(app) else []


def rest_part() -> list[URLPattern | URLResolver]:
    """Include `/api/` where the app of the API is there."""
    is_there = apps.is_installed("apps.api")
    return [path("api/", include("motherfluxer.urls.rest"))] if is_there else []
