"""Which part of the router runs in a web process: all of it, or a gateway to one apart."""

import contextlib
import secrets
from collections.abc import AsyncIterator

from django.conf import settings

from apps.router.apart.gateway_process import ApartGateway
from apps.router.live.gateway_process import GatewayProcess
from apps.router.live.runtime import LiveRouter, running


@contextlib.asynccontextmanager
async def running_part() -> AsyncIterator[GatewayProcess]:
    """Run what the settings say in this event loop."""
    part: GatewayProcess
    if settings.ROUTER_APART:
        part = ApartGateway(redis_url=str(settings.REDIS_URL), own_id=secrets.token_hex(4))
    else:
        part = LiveRouter()
    async with running(part):
        yield part
