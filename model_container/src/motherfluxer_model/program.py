"""The whole container put together: engine, desk, link, health, and how it stops."""

import asyncio
import logging
import signal
import time
from typing import Any, Final

from motherfluxer_model.desk import Desk
from motherfluxer_model.dialling import show_proxy
from motherfluxer_model.engines.echo import EchoEngine
from motherfluxer_model.engines.isolated import IsolatedEngine, Recipe
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.errors import EngineLoadError
from motherfluxer_model.greeting import describe_machine, describe_model, introduce
from motherfluxer_model.health import HealthServer
from motherfluxer_model.link import Identity, Link
from motherfluxer_model.memory import available_bytes
from motherfluxer_model.options import Options
from motherfluxer_model.overview import EngineState, Overview
from motherfluxer_model.pages import make_pages
from motherfluxer_model.upstream import Upstream

logger = logging.getLogger(__name__)
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
TRANSFORMERS: Final = "motherfluxer_model.engines.transformers:TransformersEngine"
# The second brings what the library imports only with its first model, whatever the kind.
PRELOAD: Final = (
    "motherfluxer_model.engines.transformers",
    "transformers.models.llama.modeling_llama",
)


def build_engine(options: Options) -> Engine:
    """Make the engine that was asked for. Raises EngineLoadError where it is not installed."""
    if options.engine == "echo":
        return EchoEngine(options.model_name, delay_s=options.echo_delay_ms / 1000)
    if options.upstream is not None:
        return _build_openai(options, options.upstream)
    return IsolatedEngine(Recipe(TRANSFORMERS, transformers_arguments(options), PRELOAD))


def _build_openai(options: Options, upstream: Upstream) -> Engine:
    try:
        # its libraries are installed only where this engine runs
        from motherfluxer_model.engines.openai import OpenAIEngine
    except ImportError as error:
        words = f"{error}; install what it needs: pip install '.[openai]'"
        raise EngineLoadError(words) from error
    return OpenAIEngine(upstream, model_name=options.model_name, revision=options.revision)


def transformers_arguments(options: Options) -> dict[str, Any]:
    """Name what `TransformersEngine` is made with."""
    return {
        "model": options.model,
        "model_name": options.model_name,
        "revision": options.revision,
        "dtype": options.dtype,
        "quantize": options.quantize,
        "threads": options.threads,
        "kept_bytes": None if options.kept_mib is None else options.kept_mib * 2**20,
    }


class Program:
    """Runs until drained, stopped or refused."""

    def __init__(self, options: Options, engine: Engine) -> None:
        self._options = options
        self._engine = engine
        self._desk = Desk(engine, options.slots, time.monotonic)
        self._overview = Overview(options, engine, self._desk, time.monotonic)
        self._link: Link | None = None
        self._work: asyncio.Task[None] | None = None
        self._signals_count = 0

    async def run(self) -> None:
        """Do everything. Raises ContainerError."""
        self._listen_to_signals()
        health = HealthServer(make_pages(self._overview))
        options = self._options
        for line in introduce(options.name, options.source, options.engine):
            logger.info("%s", line)
        may_move = not options.is_health_port_chosen
        await health.start(options.health_host, options.health_port, may_move=may_move)
        logger.info("status page at %s/, health at %s/healthz", health.url, health.url)
        try:
            self._work = asyncio.create_task(self._serve())
            if self._signals_count:
                self._leave()
            await self._work
        except asyncio.CancelledError:
            logger.info("stopped")
        finally:
            await self._desk.close()
            await self._engine.close()
            await health.close()

    async def _serve(self) -> None:
        options = self._options
        started = time.monotonic()
        try:
            await self._engine.prepare()
        except BaseException:
            self._overview.prepared = EngineState.FAILED
            raise
        self._overview.prepared = EngineState.READY
        self._describe(time.monotonic() - started)
        identity = Identity(
            options.router_url,
            options.name,
            options.credential,
            options.region,
            credential_file=options.credential_file,
            ca_file=options.ca_file,
        )
        hardware = self._engine.hardware
        self._link = Link(identity, self._desk, hardware=hardware)
        self._overview.link = self._link
        logger.info("connecting to %s%s", options.router_url, show_proxy(options.router_url))
        await self._link.run()
        logger.info("drained, leaving")

    def _describe(self, took_s: float) -> None:
        for model in self._engine.models:
            logger.info("%s", describe_model(model, self._options.slots, took_s))
        taken = sum(self._overview.memory_bytes().values())
        logger.info("%s", describe_machine(self._engine.hardware, taken, available_bytes()))

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self._on_signal)

    def _on_signal(self) -> None:
        """Finish what runs, within a limit; the second time, or with nothing loaded, leave."""
        self._signals_count += 1
        if self._link is None or self._signals_count > 1:
            self._leave()
            return
        logger.info(
            "stopping: %d running jobs may take %.0f s to end; once more to leave at once",
            len(self._desk.running),
            self._options.drain_s,
        )
        self._link.drain()
        asyncio.get_running_loop().call_later(self._options.drain_s, self._leave)

    def _leave(self) -> None:
        if self._work is not None:
            self._work.cancel()
