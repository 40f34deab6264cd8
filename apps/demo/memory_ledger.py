"""The ledger of a site that is one process."""

import heapq
from collections import defaultdict

from apps.demo.conf import CONF, Rules
from apps.demo.ledger import (
    Proof,
    Refused,
    Standing,
    Standings,
    all_entries,
    counted_entries,
    counted_keys,
    running_keys,
)
from apps.router.ports import VisitorTicket


class MemoryLedger:
    """Keeps the entries in this process. Nothing in it waits, so each call is atomic."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._entries: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._ends: list[tuple[float, str, str]] = []
        # What runs, by ticket and key: under which key it is counted as well.
        self._counted_as: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        """How many keys have an entry."""
        return len(self._entries)

    async def take(self, ticket: VisitorTicket, *, proof: Proof | None = None) -> Refused | None:
        """Write a ticket down everywhere, or nowhere and say why."""
        self._drop_ended(ticket.taken_at)
        entries = all_entries(ticket, self._rules, proof)
        for number, entry in enumerate(entries, 1):
            if self._count(entry.key) >= entry.most:
                return Refused(number)
        after = self._rules.proof_after
        counts = [self._count(entry.key) for entry in entries[:2]]
        if proof is None and after is not None and max(counts) >= after:
            return Refused.PROOF_NEEDED
        for entry in entries:
            self._write(entry.key, ticket.id, entry.until)
        for counted, running in zip(entries[:2], entries[2:4], strict=True):
            self._counted_as[ticket.id, running.key] = counted.key
        return None

    async def renew(self, ticket: VisitorTicket, *, now: float) -> None:
        """Say that a ticket's answer still runs."""
        self._drop_ended(now)
        for key in running_keys(ticket.visitor_key, ticket.network):
            if ticket.id in self._entries.get(key, ()):
                self._write(key, ticket.id, now + CONF.lease_s)

    async def end(self, ticket: VisitorTicket, *, is_used: bool, now: float) -> None:
        """Note that an answer runs no more; unless used, take the ticket back. Once is enough."""
        self._drop_ended(now)
        was_running = [
            self._remove(key, ticket.id) for key in running_keys(ticket.visitor_key, ticket.network)
        ]
        for entry in counted_entries(ticket, self._rules):
            if is_used and entry.until > now:
                self._write(entry.key, ticket.id, entry.until)
            elif not is_used and any(was_running):
                self._remove(entry.key, ticket.id)

    async def standings(self, *, visitor_key: str, network: str, now: float) -> Standings:
        """Return how it stands, changing nothing."""
        self._drop_ended(now)
        return Standings(*map(self._standing, counted_keys(visitor_key, network)[:2]))

    def _standing(self, key: str) -> Standing:
        entries = self._entries.get(key, {})
        return Standing(len(entries), min(entries.values(), default=None))

    def _count(self, key: str) -> int:
        return len(self._entries.get(key, ()))

    def _write(self, key: str, ticket_id: str, until: float) -> None:
        if self._entries[key].get(ticket_id) != until:
            self._entries[key][ticket_id] = until
            heapq.heappush(self._ends, (until, key, ticket_id))

    def _remove(self, key: str, ticket_id: str) -> bool:
        self._counted_as.pop((ticket_id, key), None)
        entries = self._entries.get(key, {})
        was_there = entries.pop(ticket_id, None) is not None
        if not entries:
            self._entries.pop(key, None)
        return was_there

    def _drop_ended(self, now: float) -> None:
        """Drop each entry at its end; what ran until then without an end is taken back."""
        while self._ends and self._ends[0][0] <= now:
            until, key, ticket_id = heapq.heappop(self._ends)
            if self._entries.get(key, {}).get(ticket_id) != until:
                continue  # renewed or given back meanwhile
            counted_key = self._counted_as.get((ticket_id, key))
            self._remove(key, ticket_id)
            if counted_key is not None:
                self._remove(counted_key, ticket_id)
