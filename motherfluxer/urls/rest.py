"""`/api/`: the resources of all apps that are there, the schema, and its page."""

from importlib import import_module
from typing import Final

from django.apps import apps
from django.urls import include, path, re_path

from apps.api.rest.schema import Schema
from apps.api.rest.views import NothingHere, Resources, reference

_APPS: Final = ("apps.accounts", "apps.chat", "apps.instances", "apps.router")


def _resources() -> Resources:
    resources = Resources(use_regex_path=False)
    for app in _APPS:
        if apps.is_installed(app):
            for name, viewset in import_module(f"{app}.rest").ROUTES:
                resources.register(name, viewset, basename=f"rest-{name}")
    return resources


urlpatterns = [
    path("schema/", Schema.as_view(), name="rest-schema"),
    path("docs/", reference, name="rest-docs"),
    path("", include(_resources().urls)),
    re_path("", NothingHere.as_view()),
]
