"""The demo's limit against a whole site: exact under a flood, and blind to made-up addresses."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.raw import Job, RawInstance, raw_instance
from tests.acceptance.visitors import Visitor
from tests.sites import Site

SiteFactory = Callable[..., Site]
FLOOD = 200


@contextlib.asynccontextmanager
async def visiting(site: Site, **options: Any) -> AsyncIterator[Visitor]:
    """Yield a visitor and close his connections."""
    visitor = Visitor(site, **options)
    async with visitor.client:
        yield visitor


@contextlib.asynccontextmanager
async def instance_of(site: Site, *, fails: bool = False) -> AsyncIterator[Counter[str]]:
    """Connect an instance; yield how many jobs it has had."""
    name = "failing" if fails else "counting"
    credential = await asyncio.to_thread(site.issue_credential, name)
    had: Counter[str] = Counter()

    async def work(instance: RawInstance, job: Job) -> None:
        had["jobs"] += 1
        if fails:
            await instance.fail(job, "engine_error")
        else:
            await instance.echo(job, ["Hello ", "you."])

    async with raw_instance(site.port, credential, name, work=work):
        yield had


async def flood(visitor: Visitor) -> Counter[str]:
    """Ask two hundred times at once over twenty connections; return what became of it."""
    replies = await asyncio.gather(*(visitor.try_ask() for _ in range(FLOOD)))
    return Counter(outcome(reply) for reply in replies)


def outcome(reply: httpx.Response) -> str:
    """Name what became of a question."""
    return "answered" if reply.status_code == 201 else str(reply.json()["error"]["code"])


async def ask_on(visitor: Visitor) -> int:
    """Ask one after the other until the limit; return how many were let in."""
    count = 0
    while (told := outcome(await visitor.try_ask())) != "demo_limit_reached":
        assert told in ("answered", "answer_running")
        count += told == "answered"
    return count


async def test_a_flood_of_one_visitor_gets_the_limit_and_no_more(start_site: SiteFactory) -> None:
    site = start_site(demo_limit="7/day")
    async with instance_of(site) as had, visiting(site) as visitor:
        await visitor.ask()
        told = await flood(visitor)
        assert told["answered"] > 0, told
        assert set(told) <= {"answered", "answer_running", "demo_limit_reached"}, told
        count = 1 + told["answered"] + await ask_on(visitor)
        assert await visitor.left() == "0 of 7 left today"
    assert count == had["jobs"] == 7


async def test_a_flood_of_new_cookies_gets_what_the_address_has(start_site: SiteFactory) -> None:
    site = start_site(env={"DEMO_ADDRESS_LIMIT": "7/hour"})
    async with instance_of(site) as had, visiting(site) as visitor:
        await visitor.page()

        async def as_new() -> str:
            async with visiting(site, connections=1) as fresh:
                return outcome(await fresh.try_ask())

        told: Counter[str] = Counter()
        for _ in range(2):
            told += Counter(await asyncio.gather(*(as_new() for _ in range(20))))
        assert told == {"answered": 7, "demo_limit_reached": 33}
        assert await visitor.left() == "0 of 7 left this hour for your network"
    assert had["jobs"] == 7


async def test_a_flood_of_answers_that_fail_costs_nothing(start_site: SiteFactory) -> None:
    site = start_site(demo_limit="7/day", env={"DEMO_ADDRESS_LIMIT": "7/hour"})
    async with visiting(site) as visitor:
        async with instance_of(site, fails=True) as had:
            await visitor.ask()
            told = await flood(visitor)
            assert set(told) <= {"answered", "answer_running"}, told
            while outcome(await visitor.try_ask()) == "answer_running":
                pass
            assert had["jobs"] > 0
        async with instance_of(site):
            while outcome(await visitor.try_ask()) == "answer_running":
                pass
            count = 1 + await ask_on(visitor)
    assert count == 7


@pytest.fixture(scope="module")
def once_an_hour(_new_site: SiteFactory) -> Iterator[Site]:
    """A site that answers an address once an hour and trusts the proxies of two networks."""
    limits = {"DEMO_ADDRESS_LIMIT": "1/hour", "TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8"}
    site = _new_site(env=limits).start()
    yield site
    site.close()


async def is_let_in(site: Site, forwarded: str, **options: Any) -> bool:
    """Ask as a new visitor, with that header."""
    header = {"X-Forwarded-For": forwarded}
    async with visiting(site, **options, **header) as visitor:
        told = outcome(await visitor.try_ask())
    assert told in ("answered", "demo_limit_reached")
    return told == "answered"


def told_of_proxies(site: Site) -> list[Any]:
    """Return the log's lines about peers that forward and are not trusted."""
    assert site.program is not None
    lines = [line for line in site.program.output.splitlines() if "forwarding" in line]
    return [json.loads(line) for line in lines]


SAME = [
    ("203.0.113.1", "203.0.113.1"),
    ("203.0.113.2", "9.9.9.9, 203.0.113.2"),
    ("203.0.113.3", "9.9.9.9, 203.0.113.3, 10.1.2.3"),
    ("203.0.113.4", "nonsense, <b>, 203.0.113.4 , 10.1.2.3, 127.0.0.1"),
    ("203.0.113.5:4711", "203.0.113.5:4712"),
    ("203.0.113.6", "::ffff:203.0.113.6"),
    ("2001:db8:1:1::5", "2001:db8:1:1:ffff::6"),
    ("2001:db8:1:2::5", "[2001:db8:1:2::6]:4711"),
    ("garbage", "other garbage" * 100),
]


@pytest.mark.parametrize(("first", "second"), SAME)
async def test_a_proxys_header_names_the_visitor_whatever_he_put_before(
    once_an_hour: Site, first: str, second: str
) -> None:
    assert await is_let_in(once_an_hour, first)
    assert not await is_let_in(once_an_hour, second)


async def test_visitors_behind_a_proxy_are_told_apart(once_an_hour: Site) -> None:
    for address in ("198.51.100.1", "198.51.100.2", "2001:db8:2:1::1", "2001:db8:2:2::1"):
        assert await is_let_in(once_an_hour, address)


async def test_header_of_an_untrusted_peer_is_nothing(once_an_hour: Site) -> None:
    assert await is_let_in(once_an_hour, "192.0.2.1", peer="[::1]")
    for forwarded in ("192.0.2.2", "2001:db8:3::1", "127.0.0.1", "10.1.2.3"):
        assert not await is_let_in(once_an_hour, forwarded, peer="[::1]")


async def test_header_is_nothing_where_no_proxy_is_named(start_site: SiteFactory) -> None:
    site = start_site(env={"DEMO_ADDRESS_LIMIT": "1/hour"})
    assert await is_let_in(site, "192.0.2.1")
    assert not await is_let_in(site, "192.0.2.2")
    [line] = told_of_proxies(site)
    assert (line["level"], line["peer"]) == ("warning", "127.0.0.1")


async def test_log_tells_of_a_peer_that_forwards_and_is_not_trusted(
    start_site: SiteFactory,
) -> None:
    site = start_site(env={"TRUSTED_PROXIES": "127.0.0.1"})
    assert await is_let_in(site, "192.0.2.1")
    assert told_of_proxies(site) == []
    assert await is_let_in(site, "192.0.2.2", peer="[::1]")
    assert [line["peer"] for line in told_of_proxies(site)] == ["::1"]
