"""Gives a browser the cookie by which it is known again, once somebody has signed in there."""

from django.http import HttpRequest, HttpResponse

from apps.accounts.guarding.devices import device_remember
from apps.middleware import AsyncMiddleware

# Where the signals say whose browser this is.
REMEMBERED = "mf_known_device_of"


class DeviceMiddleware(AsyncMiddleware):
    """Sets the cookie on the answer to a sign-in or a reset of a password."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and remember the browser where a signal said so."""
        response = await self.get_response(request)
        digests: list[str] = getattr(request, REMEMBERED, [])
        if digests:
            device_remember(request, response, digests)
        return response
