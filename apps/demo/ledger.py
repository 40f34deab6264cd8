"""What a ledger of visitors' answers is: who has how many, and who has one running.

A ticket is written down under its visitor, under its network and under everybody, each for as
long as that limit's window; and, while its answer runs, under what runs of the visitor and of the
network. It is taken whole or not at all, and each entry ends by itself. So a window slides: each
answer comes back when its own time is over, and what is given back is that answer and no other.

`limits` counts one key at a time and cannot take a certain entry back; hence these.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from apps.demo.conf import CONF, Rules
from apps.router.ports import VisitorTicket


class Refused(IntEnum):
    """Why no ticket was given, in the order in which the reasons are looked at."""

    VISITOR_LIMIT = 1
    NETWORK_LIMIT = 2
    VISITOR_RUNNING = 3
    NETWORK_RUNNING = 4
    CEILING = 5
    PROOF_USED = 6
    PROOF_NEEDED = 7


@dataclass(frozen=True, slots=True)
class Proof:
    """A solved challenge that has been checked; it counts once until it ends."""

    name: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How many somebody has taken, and when the first of them comes back (None: none is taken)."""

    taken: int
    first_back_at: float | None


@dataclass(frozen=True, slots=True)
class Standings:
    """How it stands with a visitor and with a network."""

    visitor: Standing
    network: Standing


class Ledger(Protocol):
    """Hands out tickets, in memory or in Redis. Times are seconds since the epoch."""

    async def take(self, ticket: VisitorTicket, *, proof: Proof | None = None) -> Refused | None:
        """Write a ticket down everywhere, or nowhere and say why."""
        ...

    async def renew(self, ticket: VisitorTicket, *, now: float) -> None:
        """Say that a ticket's answer still runs."""
        ...

    async def end(self, ticket: VisitorTicket, *, is_used: bool, now: float) -> None:
        """Note that an answer runs no more; unless used, take the ticket back. Once is enough."""
        ...

    async def standings(self, *, visitor_key: str, network: str, now: float) -> Standings:
        """Return how it stands, changing nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One line for a ticket: under which key, how many may stand there, and until when it does.

    `kept_s`: how long the key itself is of use.
    """

    key: str
    most: int
    until: float
    kept_s: float


def counted_keys(visitor_key: str, network: str) -> tuple[str, str, str]:
    """Return the keys under which answers are counted: the visitor's, the network's, all."""
    return f"visitor:{visitor_key}", f"network:{network}", "everybody"


def running_keys(visitor_key: str, network: str) -> tuple[str, str]:
    """Return the keys under which running answers stand, in the order of the counted ones."""
    return f"running:visitor:{visitor_key}", f"running:network:{network}"


def counted_entries(ticket: VisitorTicket, rules: Rules) -> list[Entry]:
    """Return the lines that stay after a used answer."""
    limits = (rules.per_visitor, rules.per_network, rules.everybody)
    return [
        Entry(key, limit.most, ticket.taken_at + limit.window_s, limit.window_s)
        for key, limit in zip(counted_keys(ticket.visitor_key, ticket.network), limits, strict=True)
    ]


def all_entries(ticket: VisitorTicket, rules: Rules, proof: Proof | None) -> list[Entry]:
    """Return the lines of a fresh ticket, in the order of `Refused`."""
    counted = counted_entries(ticket, rules)
    lease_ends_at = ticket.taken_at + CONF.lease_s
    # A void lease is what tells that a ticket is to be taken back: its key lives on as long.
    running = [
        Entry(key, most, lease_ends_at, entry.kept_s)
        for key, most, entry in zip(
            running_keys(ticket.visitor_key, ticket.network),
            (1, rules.running_per_network),
            counted[:2],
            strict=True,
        )
    ]
    entries = [*counted[:2], *running, counted[2]]
    if proof is not None:
        entries.append(Entry(f"proof:{proof.name}", 1, proof.ends_at, CONF.proof_valid_s))
    return entries
