"""What `/api/` answers beside its resources: its contents, its description, and nothing."""

from typing import NoReturn

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.routers import APIRootView, DefaultRouter
from rest_framework.views import APIView

from apps.api.rest.reference import groups_of, shapes_of
from apps.api.rest.schema import schema_built


class Contents(APIRootView):
    """What there is here."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    name = "API"


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Show the schema to people."""
    schema = schema_built()
    context = {"groups": groups_of(schema), "shapes": shapes_of(schema)}
    return render(request, "rest/reference.html", context)


class Resources(DefaultRouter):
    """The addresses of all resources, and of the list of them."""

    APIRootView = Contents
    include_format_suffixes = False


class NothingHere(APIView):
    """Answers any request to an address that nobody has."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()
    schema = None

    def initial(self, request: Request, *args: object, **kwargs: object) -> NoReturn:
        """Refuse before anything is looked at."""
        raise NotFound
