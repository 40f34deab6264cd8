"""What `/api/` answers beside its resources: its contents, and addresses with nothing there."""

from typing import NoReturn

from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.routers import APIRootView, DefaultRouter
from rest_framework.views import APIView


class Contents(APIRootView):
    """What there is here. `schema/` describes it for programs, `docs/` for people."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    name = "API"


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
