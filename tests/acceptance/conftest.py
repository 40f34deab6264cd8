"""Sites for the acceptance tests: each a fresh copy of one that was prepared once."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import redis
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.sites import ROOT, Site, base_env, copy_var

SiteFactory = Callable[..., Site]


@dataclass
class Prepared:
    """A var folder with migrated tables and first users; with PostgreSQL a template database."""

    folder: Path
    database: str | None
    databases: list[str]


def database_url(name: str) -> str:
    """Return the suite's DATABASE_URL with another database's name."""
    parts = urlsplit(os.environ["DATABASE_URL"])
    return urlunsplit(parts._replace(path=f"/{name}"))


def run_sql(statement: str) -> None:
    """Run one administrative statement on the suite's PostgreSQL."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(statement.encode())


def redis_databases() -> int:
    """Return how many numbered databases the suite's Redis has."""
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        return int(client.config_get("databases")["databases"])


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """Prepare a site once, as `make run` does."""
    folder = tmp_path_factory.mktemp("prepared")
    env = {**base_env(), "MOTHERFLUXER_VAR": str(folder)}
    database = None
    if "DATABASE_URL" in os.environ:
        database = f"site_{secrets.token_hex(6)}"
        run_sql(f"CREATE DATABASE {database}")
        env["DATABASE_URL"] = database_url(database)
    made = Prepared(folder, database, [])
    subprocess.run(
        [sys.executable, "-m", "motherfluxer.local_setup"],
        cwd=ROOT,
        env=env,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    yield made
    for name in (*made.databases, *([database] if database else [])):
        run_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _new_site(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Site]:
    counter = iter(range(1, 1_000_000))

    def make(
        *, demo_limit: str = "1000/day", env: dict[str, str] | None = None, **options: Any
    ) -> Site:
        folder = tmp_path_factory.mktemp("site")
        copy_var(prepared.folder, folder)
        own = {**base_env(), "MOTHERFLUXER_VAR": str(folder), "DEMO_LIMIT": demo_limit}
        # All tests come from one address.
        own |= {"DEMO_ADDRESS_LIMIT": "10000/hour", "DEMO_CEILING": "10000/minute"}
        own["DEMO_ADDRESS_RUNNING"] = "1000"
        if prepared.database:
            name = f"site_{secrets.token_hex(6)}"
            prepared.databases.append(name)
            run_sql(f"CREATE DATABASE {name} TEMPLATE {prepared.database}")
            own["DATABASE_URL"] = database_url(name)
        if "REDIS_URL" in os.environ:
            parts = urlsplit(os.environ["REDIS_URL"])
            # Of its own, while there are enough: routers that share one would be one site's.
            own["REDIS_URL"] = urlunsplit(
                parts._replace(path=f"/{next(counter) % (redis_databases() - 1) + 1}")
            )
            with redis.Redis.from_url(own["REDIS_URL"]) as client:
                client.flushdb()
        return Site(folder, {**own, **(env or {})}, **options)

    return make


@pytest.fixture
def start_site(_new_site: SiteFactory) -> Iterator[SiteFactory]:
    """Start sites of one's own: `start_site(demo_limit="2/day", env={…})`."""
    started: list[Site] = []

    def start(**options: object) -> Site:
        site = _new_site(**options)
        started.append(site)
        return site.start()

    yield start
    for site in started:
        site.close()


@pytest.fixture
def site(start_site: SiteFactory) -> Site:
    """Return a fresh running site without an instance."""
    return start_site()


@pytest.fixture(scope="session")
def shared_site(_new_site: SiteFactory) -> Iterator[Site]:
    """Yield a running site that all tests share; leave nothing behind in it."""
    shared = _new_site().start()
    yield shared
    shared.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A fresh profile that remembers whatever the policy or a script complained about."""
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    complaints: list[str] = []
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    yield context
    context.close()
    # A refused question and a site that is away are no mistakes of the page.
    assert [words for words in complaints if "Failed to load resource" not in words] == []


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
