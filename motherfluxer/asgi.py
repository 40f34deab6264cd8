"""The ASGI application: what each address is served by, and the live router's life."""

import os
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")
django_application = get_asgi_application()  # before the imports below: they need the apps loaded

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from apps.router.apart.runtime import running_part  # noqa: E402
from apps.router.routing import websocket_urlpatterns  # noqa: E402
from motherfluxer.bodies import with_bounded_body  # noqa: E402
from motherfluxer.hosts import cookie_name, site_name  # noqa: E402

Application = Callable[[Any, Any, Any], Awaitable[None]]


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    """Run the live router from the server's start to its stop."""
    await receive()
    async with running_part() as router:
        scope.get("state", {})["drain"] = router.drain
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


def with_session_key(application: Application) -> Application:
    """Give a plain application the session key of the site that the request's host names."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        name = cookie_name(
            settings.SESSION_COOKIE_NAME,
            site_name(headers.get(b"host", b"").decode("latin-1").lower()),
            is_secure=settings.SESSION_COOKIE_SECURE,
        )
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            cookies = SimpleCookie()
        key = cookies[name].value if name in cookies else None
        await application({**scope, "mf_session_key": key}, receive, send)

    return call


def _plain_application(app: str) -> Application:
    return import_module(f"{app}.asgi").application  # type: ignore[no-any-return]


def route(kind: Any, pattern: str, application: Application) -> Any:
    """Route to an ASGI application, which Channels allows where Django's types expect a view."""
    return kind(pattern, application)


async def no_websocket(scope: Any, receive: Any, send: Any) -> None:
    """Refuse a websocket at an address that has none; the server answers 403."""
    await receive()
    await send({"type": "websocket.close"})


http_routes = [route(re_path, r"", with_bounded_body(django_application))]
if apps.is_installed("apps.chat"):
    streams = with_session_key(_plain_application("apps.chat"))
    http_routes.insert(0, route(path, "chat/streams/<path:rest>", streams))
if apps.is_installed("apps.api"):
    http_routes.insert(0, route(path, "v1/<path:rest>", _plain_application("apps.api")))

http: Application = URLRouter(http_routes)
if apps.is_installed("apps.operations"):
    from apps.operations.asgi import counted

    http = counted(
        URLRouter([route(path, "metrics", _plain_application("apps.operations")), *http_routes])
    )

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": URLRouter([*websocket_urlpatterns, route(re_path, r"", no_websocket)]),
        "lifespan": lifespan,
    }
)
