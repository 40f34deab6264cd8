"""What a web process sees of a router that runs elsewhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.router.apart import keys
from apps.router.apart.connection import redis_connected
from apps.router.apart.views import LinkDetails, ViewReader
from apps.router.apart.written_view import written_view_encode, written_view_of
from apps.router.core import events, letters
from apps.router.core.cluster import ROUTER, Cluster, Told
from apps.router.core.cluster_step import cluster_step
from apps.router.core.values import ServedModel, ServiceClass
from apps.router.router_view import NO_VIEW, LinkDetail
from tests.servers import Server, running_valkey_server

TINY = ServedModel(name="tiny", context_tokens=8192, max_output_tokens=4096)
A = "aaaaaaaa"


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Server]:
    with running_valkey_server(tmp_path) as server:
        yield server


def busy_cluster() -> Cluster:
    cluster = Cluster(salt=b"s")
    cluster_step(cluster, ROUTER, 0, [events.TimePassed()], 1000, token=7)
    told: list[Told] = [
        letters.GatewayCame("1"),
        events.InstanceJoined(f"{A}.x", "i", "x", (TINY,), 1, (), "far"),
        events.JobSubmitted("j", "u", ServiceClass.REGISTERED),
        events.JobSubmitted("k", "u", ServiceClass.REGISTERED),
    ]
    cluster_step(cluster, A, 0, told, 2000)
    return cluster


async def test_the_view_is_read_with_what_gateways_know_of_their_links(valkey: Server) -> None:
    details = LinkDetails(A)
    details.put(f"{A}.x", LinkDetail("op@example.org", "c1", "mf/1"))
    reader = ViewReader(redis_url=valkey.url)
    async with redis_connected(valkey.url) as redis:
        await reader.read(redis)
        assert (reader.view, reader.age_s) == (NO_VIEW, None)
        pipe = redis.pipeline()
        details.commands(pipe)
        await pipe.execute()
        await redis.set(keys.VIEW, written_view_encode(written_view_of(busy_cluster())))
        await redis.set(keys.VIEW_VERSION, "1")
        await reader.read(redis)
    [instance] = reader.view.instances
    assert (instance.operator, instance.credential_id) == ("op@example.org", "c1")
    assert (instance.agent, instance.region, instance.running) == ("mf/1", "far", ("j",))
    assert [(job.job_id, job.instance_name) for job in reader.view.jobs] == [
        ("j", "x"),
        ("k", None),
    ]
    assert [model.name for model in reader.view.models] == ["tiny"]
    assert reader.age_s is not None
    assert reader.token == 7
