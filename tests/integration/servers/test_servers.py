"""The suite's own PostgreSQL and Valkey: they start, they are real, they end."""

import psutil
import psycopg
import redis

from tests.servers import running_servers


def test_both_servers_serve_and_leave_nothing_behind() -> None:
    before = set(psutil.Process().children(recursive=True))
    with running_servers() as servers:
        started = set(psutil.Process().children(recursive=True)) - before
        with psycopg.connect(servers.database_url) as connection:
            row = connection.execute("SELECT version()").fetchone()
            assert row is not None
            assert row[0].startswith("PostgreSQL")
        with redis.Redis.from_url(servers.redis_url) as client:
            client.set("a", "b")
            assert client.get("a") == b"b"
    assert started
    assert not any(process.is_running() for process in started)
