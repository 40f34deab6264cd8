"""How often web processes are shown what the router sees."""

from apps.router.apart.duties import ActiveDuties
from apps.router.core.cluster import Cluster
from apps.router.core.cluster_step import cluster_step
from apps.router.core.events import InstanceJoined, TimePassed
from apps.router.core.values import ServedModel

GATEWAY = "00000001"


def cluster_of(count: int) -> Cluster:
    cluster = Cluster(salt=b"salt")
    for number in range(count):
        join(cluster, number)
    return cluster


def join(cluster: Cluster, number: int) -> None:
    served = (ServedModel("echo", 100, 100),)
    session = f"{GATEWAY}.{number:016x}"
    joined = InstanceJoined(session, f"instance-{number}", f"name-{number}", served, 1)
    cluster_step(cluster, GATEWAY, number, [joined], 1_000_000)


def seen_after_a_change(count: int, later_ms: int) -> bool:
    cluster, duties = cluster_of(count), ActiveDuties()
    assert duties.view(cluster)
    join(cluster, count)
    cluster_step(cluster, "router", 0, [TimePassed()], 1_000_000 + later_ms, token=1)
    return duties.view(cluster) is not None


def test_change_in_a_small_fleet_is_seen_at_once() -> None:
    assert seen_after_a_change(3, later_ms=250)


def test_change_in_a_large_fleet_is_seen_within_a_second() -> None:
    assert not seen_after_a_change(1000, later_ms=250)
    assert seen_after_a_change(1000, later_ms=750)


def test_unchanged_view_is_shown_again_after_a_second() -> None:
    cluster, duties = cluster_of(3), ActiveDuties()
    assert duties.view(cluster)
    for later_ms, is_shown in ((500, False), (1_000, True)):
        cluster_step(cluster, "router", 0, [TimePassed()], 1_000_000 + later_ms, token=1)
        assert (duties.view(cluster) is not None) is is_shown
