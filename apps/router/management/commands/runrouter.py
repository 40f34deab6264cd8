"""Runs a router process: two of them, one acts and the other stands by."""

import asyncio
import os
import signal
import socket
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.router.apart.connection import redis_connected
from apps.router.apart.duties import ActiveDuties
from apps.router.apart.lease import Lease
from apps.router.apart.router import RouterProcess
from apps.router.apart.router_post import RouterPost
from apps.router.errors import RedisTooOldError

LEASE_MS: Final = 2000
HEALTHY_WITHIN_S: Final = 10.0


class Command(BaseCommand):
    """Runs until SIGTERM; then another takes over at once."""

    help = "Run the router beside web processes (REDIS_URL); run two, one of them stands by."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a name, and the question for health."""
        name = socket.gethostname()
        parser.add_argument("--name", default=name, help="what the log calls it (host's name)")
        parser.add_argument("--lease-ms", type=int, default=LEASE_MS, help="how long it lasts")
        parser.add_argument("--health", action="store_true", help="exit 1 if it does not run here")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it, or say whether it runs."""
        sign = Path(settings.VAR_DIR) / f"router-{options['name']}.alive"
        if options["health"]:
            if not _is_fresh(sign):
                raise CommandError("no router of that name runs here")
            return
        if not settings.REDIS_URL:
            raise CommandError("REDIS_URL is not set: the router runs in the web process")
        name = f"{options['name']}/{os.getpid()}"
        sign.parent.mkdir(parents=True, exist_ok=True)
        try:
            asyncio.run(_serve(settings.REDIS_URL, name, options["lease_ms"], sign))
        except RedisTooOldError as error:
            raise CommandError(str(error)) from error
        finally:
            sign.unlink(missing_ok=True)


def _is_fresh(sign: Path) -> bool:
    try:
        return time.time() - sign.stat().st_mtime < HEALTHY_WITHIN_S
    except FileNotFoundError:
        return False


async def _serve(url: str, name: str, lease_ms: int, sign: Path) -> None:
    async with redis_connected(url) as redis:
        duties = ActiveDuties()
        router = RouterProcess(
            post=RouterPost(redis),
            lease=Lease(redis, name=name, lasts_ms=lease_ms),
            name=name,
            duties=duties,
            alive=sign.touch,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, router.stop)
        await router.run()
        await duties.finish()
