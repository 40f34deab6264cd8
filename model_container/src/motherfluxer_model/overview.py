"""What this instance is and does just now: the source of health, metrics and status page."""

import os
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from motherfluxer_model import __version__
from motherfluxer_model.desk import Desk
from motherfluxer_model.engines.port import Engine
from motherfluxer_model.link import Link, LinkState
from motherfluxer_model.memory import resident_bytes
from motherfluxer_model.options import Options
from motherfluxer_wire.frames import Model


class EngineState(StrEnum):
    """Where the engine stands, as seen from the program."""

    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"


class Overview:
    """Looks at the program's parts; holds nothing of a conversation."""

    def __init__(
        self, options: Options, engine: Engine, desk: Desk, clock: Callable[[], float]
    ) -> None:
        self.options = options
        self.engine = engine
        self.desk = desk
        self.link: Link | None = None  # once there is something to connect with
        self.prepared = EngineState.LOADING  # how far `prepare` has come
        self._clock = clock
        self._started_s = clock()

    @property
    def models(self) -> list[Model]:
        """What is served at present."""
        return self.engine.models if self.prepared is EngineState.READY else []

    @property
    def engine_state(self) -> EngineState:
        """Where the engine stands; a loaded engine that serves nothing is restarting."""
        is_down = self.prepared is EngineState.READY and not self.models
        return EngineState.RESTARTING if is_down else self.prepared

    @property
    def link_state(self) -> LinkState:
        """Where the link stands."""
        return self.link.state if self.link is not None else LinkState.WAITING

    @property
    def is_ready(self) -> bool:
        """Whether a job that the router sends now would be answered."""
        return bool(self.models) and self.link_state is LinkState.OPEN

    @property
    def uptime_s(self) -> float:
        """How long the program has been running."""
        return self._clock() - self._started_s

    def ago_s(self, at_s: float) -> float:
        """Say how long ago something was."""
        return self._clock() - at_s

    @property
    def reconnects_count(self) -> int:
        """How often the link has come back."""
        return max(0, self.link.connects_count - 1) if self.link is not None else 0

    @property
    def engine_restarts_count(self) -> int:
        """How often the engine's process has come back."""
        return int(self.engine.status.get("restarts", 0))

    def memory_bytes(self) -> dict[str, int]:
        """Give the memory of this process and of the engine's, where it has its own."""
        pids = {"main": os.getpid(), "engine": int(self.engine.status.get("pid", 0))}
        held = {name: resident_bytes(pid) for name, pid in pids.items() if pid}
        return {name: count for name, count in held.items() if count is not None}

    def report(self) -> dict[str, Any]:
        """Tell how things stand, for `/healthz`."""
        link = self.link
        return {
            "name": self.options.name,
            "version": __version__,
            "router": self.options.router_url,
            "engine": {
                "kind": self.options.engine,
                "state": self.engine_state,
                **self.engine.status,
            },
            "link": {
                "state": self.link_state,
                "session": link.session if link is not None else None,
            },
            "models": [model.name for model in self.models],
            "slots": self.desk.slots,
            "running": self.desk.running,
            "draining": self.desk.is_draining,
            "tokens_per_s": self.desk.tokens_per_s,
            "ready": self.is_ready,
        }
