"""An operator's instances as they are now: the record, and over it what the live router sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from asgiref.sync import async_to_sync

from apps.instances import selectors
from apps.instances.models import KnownInstance
from apps.router.selectors import InstanceView, router_view


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceRow:
    """One line of the list. `state`: the router's word for its health, or "offline"."""

    id: int
    name: str
    credential_id: str
    credential_name: str
    operator: str
    state: str
    models: tuple[str, ...]
    running: int
    slots: int
    agent: str
    last_seen: datetime
    connected_s: float | None

    @property
    def is_connected(self) -> bool:
        """Whether it is connected now."""
        return self.state != "offline"


Live = dict[tuple[str, str], InstanceView]


def live_instances() -> Live | None:
    """Return connected instances by credential and name; None where no router runs."""
    try:
        return async_to_sync(_live_in_loop)()
    except RuntimeError:  # a process without the live router, such as a command: the record counts
        return None


def is_connected(instance: KnownInstance, live: Live | None) -> bool:
    """Whether an instance is connected now, as far as this process can tell."""
    if live is None:
        return selectors.is_recorded_connected(instance)
    return (instance.credential.token_id, instance.name) in live


def instance_rows(*, operator_id: int | None) -> list[InstanceRow]:
    """List an operator's instances (everybody's for None), connected ones first.

    Those of revoked credentials are left out once they are gone: they cannot come back.
    """
    live = live_instances()
    known = selectors.instances_known(operator_id=operator_id)
    rows = [_row(one, live) for one in known if _is_of_interest(one, live)]
    return sorted(rows, key=lambda row: (not row.is_connected, row.name))


def instance_rows_of(known: Iterable[KnownInstance]) -> list[InstanceRow]:
    """Return the rows of certain instances, in their order."""
    live = live_instances()
    return [_row(one, live) for one in known]


def connected_count(credential_id: str, live: Live | None, known: Iterable[KnownInstance]) -> int:
    """Count the instances that are connected with one credential."""
    if live is not None:
        return sum(1 for token_id, _ in live if token_id == credential_id)
    return sum(1 for instance in known if selectors.is_recorded_connected(instance))


def _is_of_interest(instance: KnownInstance, live: Live | None) -> bool:
    return instance.credential.revoked_at is None or is_connected(instance, live)


def _row(instance: KnownInstance, live: Live | None) -> InstanceRow:
    view = (live or {}).get((instance.credential.token_id, instance.name))
    recorded = "healthy" if is_connected(instance, live) else "offline"
    return InstanceRow(
        id=instance.pk,
        name=instance.name,
        credential_id=instance.credential.token_id,
        credential_name=instance.credential.name,
        operator=instance.credential.operator.email,
        state=view.state if view else recorded,
        models=view.models if view else tuple(one["name"] for one in instance.served_models),
        running=len(view.running) if view else 0,
        slots=view.slots if view else instance.slots,
        agent=view.agent if view else instance.agent,
        last_seen=instance.last_seen,
        connected_s=view.connected_s if view else None,
    )


async def _live_in_loop() -> Live:
    """Look at the router from the event loop that it runs in."""
    return {(one.credential_id, one.name): one for one in router_view().instances}
