"""All that routers share, written down with the place in the stream that it is of. Pure."""

import logging
from typing import Final

import msgspec
from msgspec import Struct

from apps.router.core.cluster import FORMAT, Cluster, cluster_decode, cluster_encode

log = logging.getLogger(__name__)

BEGINNING: Final = "0-0"


class Snapshot(Struct, array_like=True):
    """`entry_id`: the last one that was applied. `format`: of `cluster`, which is encoded."""

    format: int
    entry_id: str
    cluster: bytes


def snapshot_encode(entry_id: str, cluster: Cluster) -> bytes:
    """Write a snapshot down."""
    return msgspec.msgpack.encode(Snapshot(FORMAT, entry_id, cluster_encode(cluster)))


def snapshot_decode(data: bytes) -> tuple[str, Cluster] | None:
    """Read a snapshot; None when it is another version's or broken."""
    try:
        found = msgspec.msgpack.decode(data, type=Snapshot)
        if found.format != FORMAT:
            log.warning("a snapshot of another version is left: %d", found.format)
            return None
        return found.entry_id, cluster_decode(found.cluster)
    except msgspec.DecodeError as error:
        log.error("the snapshot can't be read: %s", error)
        return None


def is_after(entry_id: str, other: str) -> bool:
    """Whether one entry of the stream stands after another."""
    return _parts(entry_id) > _parts(other)


def _parts(entry_id: str) -> tuple[int, int]:
    time_ms, _, number = entry_id.partition("-")
    return int(time_ms), int(number or 0)
