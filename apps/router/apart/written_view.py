"""The router's view as it is written for web processes, and read by them. Pure."""

from typing import Final

import msgspec
from msgspec import Struct

from apps.router.core.cluster import Cluster
from apps.router.router_view import LinkDetail, RouterView, view_of

_NOTHING_KNOWN: Final = LinkDetail()


class WrittenView(Struct, frozen=True):
    """`sessions`: of the view's instances, in their order. `at_s`: by Redis' clock."""

    at_s: float
    token: int
    gateways: tuple[str, ...]
    sessions: tuple[str, ...]
    view: RouterView


def written_view_of(cluster: Cluster) -> WrittenView:
    """Return what a cluster shows now."""
    sessions = tuple(cluster.state.instances)
    view = view_of(
        cluster.state,
        cluster.now_s,
        details=dict.fromkeys(sessions, _NOTHING_KNOWN),
        submitted_at={},
        started_at=int(cluster.begun_at_s),
        failovers=cluster.takeovers_count,
        outcomes=cluster.outcomes,
    )
    staying = tuple(one for one, place in cluster.gateways.items() if not place.is_leaving)
    return WrittenView(cluster.now_s, cluster.token, staying, sessions, view)


def written_view_encode(written: WrittenView) -> bytes:
    """Write it down."""
    return msgspec.msgpack.encode(written)


def written_view_decode(data: bytes) -> WrittenView:
    """Read it. Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(data, type=WrittenView)
