"""What the routers of a site share: who is there, and which gateway holds which job. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import msgspec

from apps.router.core import effects
from apps.router.core.effects import Effect
from apps.router.core.events import Event
from apps.router.core.letters import Letter
from apps.router.core.state import RouterState

ROUTER: Final = "router"
"""The source of ticks and of what the active router learns from the database."""

NOBODY: Final = ""
"""The home of a job while no gateway lives that could be it."""

FORMAT: Final = 1
"""Of what `cluster_encode` writes; another version's is not read."""

Told = Event | Letter | None


class Addressed(NamedTuple):
    """An effect, whose it is (None: the router's own), and its number there."""

    gateway: str | None
    number: int
    effect: Effect


class Witness(Protocol):
    """Sees what the core is given and what follows, in order."""

    def before(self, event: Event, at: float) -> None:
        """See an event that the core has yet to be given."""
        ...

    def after(self, told: Iterable[Effect]) -> None:
        """See what followed."""
        ...


@dataclass(slots=True)
class GatewayPlace:
    """One gateway. `next_letter` is expected from it, `next_effect` is the next one's number.

    `missed_count`: letters that never came, by the gaps in their numbers. `is_unknown`: it is to
    tell all anew; what it says before that refers to what a router before knew.
    """

    heard_at: float
    next_letter: int
    next_effect: int
    version: str = ""
    is_leaving: bool = False
    missed_count: int = 0
    is_unknown: bool = False


@dataclass(slots=True)
class Ending:
    """How a job ended a moment ago, and which gateway was told."""

    at: float
    gateway: str
    effect: effects.FinishJob | effects.RefuseJob


@dataclass(slots=True)
class Cluster:
    """All that routers share, as plain data; changed by `cluster_step` alone.

    homes: the gateway that holds each job's stream, NOBODY for the moment when none lives.
    gone: gateways that were taken for dead, by when; one that wakes up goes on with its numbers.
    endings: the last jobs' ends, told again if their gateway dies before its readers saw them.
    takeovers_count: how often another router began to act. `outcomes`: ended attempts by outcome.
    mishaps: letters that could not be acted on; whoever applies takes them out.
    """

    salt: bytes
    state: RouterState = field(default_factory=RouterState)
    gateways: dict[str, GatewayPlace] = field(default_factory=dict)
    gone: dict[str, GatewayPlace] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    endings: list[Ending] = field(default_factory=list)
    token: int = 0
    begun_at_s: float = 0.0
    now_s: float = 0.0
    ticked_at: float | None = None
    takeovers_count: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    mishaps: list[str] = field(default_factory=list)

    @property
    def orphans(self) -> list[str]:
        """The jobs that no gateway holds."""
        return [job_id for job_id, home in self.homes.items() if home == NOBODY]


def cluster_encode(cluster: Cluster) -> bytes:
    """Write all of it down."""
    return msgspec.msgpack.encode(cluster)


def cluster_decode(data: bytes) -> Cluster:
    """Read it back. Raises msgspec.DecodeError."""
    cluster = msgspec.msgpack.decode(data, type=Cluster)
    for instance in cluster.state.instances.values():
        instance.record = cluster.state.records[instance.instance_id]
    return cluster
