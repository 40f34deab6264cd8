"""What is said over Redis while it is killed, paused, full of nothing or back: once, in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apps.router.apart import post as post_module
from apps.router.apart.connection import AWAY, cancelled, redis_connected
from apps.router.apart.post import Post
from apps.router.apart.router_post import RouterPost
from apps.router.core import events, letters
from apps.router.core.letters import Between
from apps.router.errors import PostFullError
from tests.servers import Server, running_valkey_server

COUNT = 300


@pytest.fixture(params=[True, False], ids=["with its data", "without its data"])
def valkey(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with running_valkey_server(tmp_path, keeps_data=request.param) as server:
        yield server


async def until(is_so: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 # what comes from Redis has no event here
            await asyncio.sleep(0.01)


class Talk:
    """Two gateways that tell each other and a router numbered things."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.posts = {name: Post(redis_url=url, gateway_id=name) for name in ("a", "b")}
        self.between: dict[str, list[str]] = {"a": [], "b": []}
        self.routed: dict[str, list[str]] = {"a": [], "b": []}
        self._next: dict[str, int] = {}
        for name, post in self.posts.items():
            post.inbox.receive_between = self._receiver(name)

    def _receiver(self, name: str) -> Callable[[str, list[Between]], None]:
        return lambda _, found: self.between[name].extend(one.job_id for one in found)  # type: ignore[attr-defined]

    def tell(self, number: int) -> None:
        for name, other in (("a", "b"), ("b", "a")):
            cancel = letters.CancelToLink(f"{other}.1", f"j{number}", 1, "why")
            self.posts[name].tell_gateway(other, cancel)
            self.posts[name].tell_router(events.JobCancelled(f"j{number}", "why"))

    async def route(self) -> None:
        """Hear the gateways as a router does: what has a number that it had is left out."""
        read_to = "0"
        async with redis_connected(self.url) as redis:
            router = RouterPost(redis)
            while True:
                try:
                    entries = await router.read(read_to, block_ms=100)
                except AWAY:
                    await asyncio.sleep(0.05)
                    continue
                for entry in entries:
                    read_to = entry.id
                    had = self._next.get(entry.source, 0)
                    self._next[entry.source] = max(had, entry.first + len(entry.letters))
                    for letter in entry.letters[max(0, had - entry.first) :]:
                        if isinstance(letter, events.JobCancelled):
                            self.routed[entry.source].append(letter.job_id)

    def has_all(self) -> bool:
        found = (*self.between.values(), *self.routed.values())
        return all(len(one) >= COUNT for one in found)


@asynccontextmanager
async def started(*posts: Post) -> AsyncIterator[None]:
    for post in posts:
        await post.start()
    try:
        yield
    finally:
        for post in posts:
            await post.stop(within_s=5)


async def talked(talk: Talk, faults: dict[int, Callable[[], None]]) -> None:
    """Tell everything while Redis suffers; all must be there, each once and in order."""
    async with started(*talk.posts.values()):
        router = asyncio.create_task(talk.route())
        for number in range(COUNT):
            talk.tell(number)
            if fault := faults.get(number):
                fault()
            await asyncio.sleep(0.003)
        await until(talk.has_all, "all there")
        await cancelled([router])
    expected = [f"j{number}" for number in range(COUNT)]
    for name in ("a", "b"):
        assert talk.between[name] == expected
        assert talk.routed[name] == expected


async def test_each_letter_arrives_once_in_order_though_redis_is_killed(
    valkey: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING", logger=post_module.__name__)
    faults = {60: valkey.kill9, 100: valkey.start, 180: valkey.kill9, 181: valkey.start}
    await talked(Talk(valkey.url), faults)
    said = [record.message.partition(":")[0] for record in caplog.records]
    assert said.count("Redis is away") == said.count("Redis is back") in (2, 3, 4)
    assert "letters never came" not in said


async def test_each_letter_arrives_once_in_order_though_redis_stands_still(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.router.apart.connection.ANSWER_WITHIN_S", 1.5)
    talk = Talk(valkey.url)
    loop = asyncio.get_running_loop()

    def stand_still() -> None:
        valkey.pause()
        loop.call_later(4.0, valkey.resume)  # longer than any answer is waited for

    await talked(talk, {60: stand_still})


async def test_a_connection_that_ended_unseen_is_no_way_to_write(valkey: Server) -> None:
    async with redis_connected(valkey.url) as redis:
        assert await redis.ping()
        valkey.kill9()
        valkey.start()
        await asyncio.sleep(0.05)  # the loop sees the connection's end, and nobody asks for it
        with pytest.raises(AWAY):
            await redis.ping()
        assert await redis.ping(), "now that it was said"


async def test_letters_wait_only_so_long(valkey: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post_module, "MOST_WAITING_BYTES", 10_000)
    post, other = posts = [Post(redis_url=valkey.url, gateway_id=name) for name in ("a", "b")]
    got: list[Between] = []
    other.inbox.receive_between = lambda _, found: got.extend(found)
    async with started(*posts):
        valkey.kill9()
        await until(lambda: not post.is_connected, "seen")
        cancel = letters.CancelToLink("b.1", "j1", 1, "why" * 100)
        told = 28
        for _ in range(told):
            post.tell_gateway("b", cancel)
        with pytest.raises(PostFullError):
            post.tell_gateway("b", cancel)
        valkey.start()
        await until(lambda: len(got) == told, "what was taken arrives")
        await until(lambda: not post.is_full, "the post knows")
        post.tell_gateway("b", cancel)
        await until(lambda: len(got) == told + 1, "there is room again")
