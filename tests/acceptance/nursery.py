"""Model containers that start in a moment: forked from a process that has imported everything.

Each is the container's own program in a process of its own; only the import is saved. Its engine
can be told to stop for ever at an exact place: after as many tokens of a first attempt as the
request's `seed` says, which neither the echo engine nor greedy decoding looks at.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Final

from motherfluxer.processes import die_with_parent
from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.options import Options, parse_options
from motherfluxer_model.program import Program, build_engine, transformers_arguments
from motherfluxer_wire.frames import Job, Model
from tests.servers import free_port
from tests.sites import TINY_MODEL, Site, http_request, wait_until

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        __name__,
        "motherfluxer_model.engines.transformers",
        "transformers.models.phi.modeling_phi",  # the bundled model's kind: brings all the rest
    ]
)


class HoldingEngine:
    """An engine whose first attempt at a job stops for ever after `seed` tokens."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Load what is needed."""
        await self._engine.prepare()

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Call this after each change of the models."""
        self._engine.watch(when_changed)

    @property
    def models(self) -> list[Model]:
        """What is served."""
        return self._engine.models

    @property
    def hardware(self) -> dict[str, str | int | float]:
        """What it runs on."""
        return self._engine.hardware

    @property
    def status(self) -> dict[str, str | int | float]:
        """What the health report says of it."""
        return self._engine.status

    async def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Answer as the engine does, up to the place."""
        place, told = job.sampling.seed or 0, 0
        async for item in self._engine.generate(job):
            if isinstance(item, Piece):
                told += item.tokens
            yield item
            if job.attempt == 1 and told >= place:
                await asyncio.Event().wait()

    def cancel(self, job: str, attempt: int) -> None:
        """Stop this attempt."""
        self._engine.cancel(job, attempt)

    async def close(self) -> None:
        """Stop everything."""
        await self._engine.close()


def _live(arguments: list[str], log: str) -> None:
    """Be a container until killed. Runs in the forked process."""
    die_with_parent(os.getppid())
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", force=True)
    options = parse_options(arguments, {})
    asyncio.run(Program(options, HoldingEngine(_engine(options))).run())


def _engine(options: Options) -> Engine:
    """Make an engine in this process: the one that runs in another would import everything."""
    if options.engine == "transformers":
        from motherfluxer_model.engines.transformers import TransformersEngine

        return TransformersEngine(**transformers_arguments(options))
    return build_engine(options)


@dataclass
class Container:
    """One container's process."""

    name: str
    process: ForkServerProcess
    health_port: int
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def is_connected(self) -> bool:
        """Whether it says that the router has welcomed it."""
        with contextlib.suppress(OSError):
            return http_request(self.health_port, "GET", "/readyz").status == 200
        return False

    def wait_connected(self) -> "Container":
        """Wait until the router has welcomed it."""
        wait_until(lambda: self.is_connected, f"{self.name} connected")
        return self

    def kill9(self) -> None:
        """End it without a chance to say goodbye."""
        self.process.kill()

    def freeze(self) -> None:
        """Stop it where it is; its sockets stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


@dataclass
class Nursery:
    """The containers of one test at one site, all under one credential."""

    site: Site
    credential: str
    containers: dict[str, Container] = field(default_factory=dict)

    def start(
        self,
        name: str,
        engine: str = "echo",
        *,
        model_name: str = "",
        slots: int = 1,
        delay_ms: float = 0,
        port: int | None = None,
    ) -> Container:
        """Start one, which connects to the site or to another port. Does not wait for it."""
        kept = self.site.folder / f"{name}.credential"
        kept.touch(mode=0o600)
        kept.write_text(self.credential)
        log, health_port = self.site.folder / f"{name}.log", free_port()
        arguments = [
            *("run", f"--router=ws://127.0.0.1:{port or self.site.port}/", f"--name={name}"),
            *(f"--credential-file={kept}", f"--engine={engine}", f"--slots={slots}"),
            *(f"--model={TINY_MODEL if engine == 'transformers' else 'echo'}",),
            *(f"--echo-delay-ms={delay_ms}", f"--health-port={health_port}"),
            *([f"--model-name={model_name}"] if model_name else []),
        ]
        process = _forks.Process(target=_live, args=(arguments, str(log)), daemon=True)
        process.start()
        container = Container(name, process, health_port, log)
        self.containers[name] = container
        return container

    def close(self) -> None:
        """End them all."""
        for container in self.containers.values():
            container.kill9()
            container.process.join()


@contextlib.contextmanager
def open_nursery(site: Site, credential: str) -> Iterator[Nursery]:
    """Yield a nursery and end its containers."""
    nursery = Nursery(site, credential)
    try:
        yield nursery
    finally:
        nursery.close()


TOKENS: Final = [
    blank + shape.replace("#", str(number))
    for number, (blank, shape) in enumerate(
        zip(
            ["", *(" ",) * 59],
            (
                *("wörd#", "🙂#", "日本語#", "👩‍👩‍👧‍👦#", "é#"),
                *("#Ωmega", "שלום#", "🇪🇺#", "naïve#.", "\n**#**"),
            )
            * 6,
            strict=True,
        )
    )
]
