"""What the local pages say of a running instance, and what they never say."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from motherfluxer_model.core.tally import Failure
from motherfluxer_model.desk import Desk
from motherfluxer_model.link import Identity, Link, LinkState, Trouble
from motherfluxer_model.options import Options
from motherfluxer_model.overview import EngineState, Overview
from motherfluxer_model.pages import make_pages
from motherfluxer_model.statuspage import ADVICE, Standing, find_standing, show_duration
from motherfluxer_model.testing.engine import FedEngine
from motherfluxer_model.testing.router import make_job

README = Path(__file__).parent.parent / "README.md"
SECRET = "mfi_abcdef_verysecret"
QUESTION = "what a visitor asked"


class Instance:
    """The parts that the pages look at, without a router."""

    def __init__(self) -> None:
        self.engine = FedEngine()
        self.desk = Desk(self.engine, 4, time.monotonic)
        url = "wss://motherfluxer.test/ws/instances/"
        self.options = Options(url, "models/phi", SECRET, name="box-1", model_name="phi")
        self.view = Overview(self.options, self.engine, self.desk, time.monotonic)
        self.pages = make_pages(self.view)
        self.link = Link(Identity(url, "box-1", SECRET), self.desk)

    def become_ready(self) -> None:
        self.view.prepared = EngineState.READY
        self.view.link = self.link
        self.link.state = LinkState.OPEN
        self.link.connects_count = 3

    def text(self, path: str) -> str:
        return self.pages[path]().body.decode()

    def figures(self) -> dict[tuple[str, str], float]:
        """Give every sample by its name and its only label's value."""
        families = text_string_to_metric_families(self.text("/metrics"))
        return {
            (sample.name.removeprefix("motherfluxer_model_"), "".join(sample.labels.values())): (
                sample.value
            )
            for family in families
            for sample in family.samples
        }


@pytest.fixture
async def instance() -> AsyncIterator[Instance]:
    instance = Instance()
    yield instance
    await instance.desk.close()


async def answer(instance: Instance, job: str = "j1") -> None:
    """Let one job be answered to its end."""
    instance.engine.say(job, "some words")
    instance.engine.say(job, " more")
    instance.engine.finish(job)
    instance.desk.take_in(make_job(job, QUESTION))
    async with asyncio.timeout(20):
        while instance.desk.running:
            instance.desk.news.clear()
            await instance.desk.news.wait()


async def test_living_and_serving_are_two_things(instance: Instance) -> None:
    assert instance.pages["/healthz"]().status == 200
    assert instance.pages["/readyz"]().status == 503
    instance.become_ready()
    assert instance.pages["/readyz"]().status == 200
    report = json.loads(instance.text("/readyz"))
    assert (report["name"], report["models"], report["ready"]) == ("box-1", ["echo"], True)


async def test_metrics_count_what_was_done(instance: Instance) -> None:
    instance.become_ready()
    await answer(instance)
    instance.desk.take_in(make_job("j2", QUESTION))
    figures = instance.figures()
    assert figures["jobs_total", "stop"] == 1
    assert figures["jobs_total", "engine_error"] == 0
    assert figures["output_tokens_total", ""] == 2
    assert figures["prompt_tokens_total", ""] == 1
    assert figures["first_token_seconds_count", ""] == 1
    assert figures["token_gap_seconds_bucket", "+Inf"] == 1
    assert (figures["slots", ""], figures["jobs_running", ""]) == (4, 1)
    assert figures["link_reconnects_total", ""] == 2
    assert figures["link_state", "open"] == figures["engine_state", "ready"] == 1
    assert figures["link_state", "waiting"] == figures["engine_state", "failed"] == 0
    assert figures["unacknowledged_chars", ""] == len("some words more")
    assert figures["memory_bytes", "main"] > 1_000_000
    assert figures["ready", ""] == 1


async def test_every_metric_stands_in_the_readme_and_no_other(instance: Instance) -> None:
    instance.become_ready()
    given = set(re.findall(r"^# TYPE (\S+)", instance.text("/metrics"), re.MULTILINE))
    documented = set(re.findall(r"^\| `(motherfluxer_model_\w+)", README.read_text(), re.MULTILINE))
    assert given == documented


async def test_engine_that_is_down_is_shown(instance: Instance) -> None:
    instance.become_ready()
    instance.engine.serve()
    assert instance.figures()["engine_state", "restarting"] == 1
    assert instance.pages["/readyz"]().status == 503
    assert "Engine down" in instance.text("/")


async def test_no_page_holds_the_credential_or_what_was_said(instance: Instance) -> None:
    instance.become_ready()
    await answer(instance)
    for path in ("/", "/healthz", "/readyz", "/metrics"):
        text = instance.text(path)
        for secret in (SECRET, QUESTION, "some words"):
            assert secret not in text


async def test_status_page_says_what_is_served_to_whom(instance: Instance) -> None:
    instance.become_ready()
    await answer(instance)
    instance.desk.take_in(make_job("j2"))
    page = instance.text("/")
    for words in ("box-1", "Serving", "motherfluxer.test", "1 of 4", "echo", "100 tokens"):
        assert words in page
    assert "<script src=" in page
    assert "<style" not in page
    assert "http://" not in page.replace("http-equiv", "")


async def test_status_page_tells_troubles_with_what_to_do(instance: Instance) -> None:
    instance.become_ready()
    assert "so far" in instance.text("/")
    instance.link.trouble = Trouble("no way to <b>there</b>", time.monotonic())
    instance.desk.tally.last_failure = Failure("engine_error", time.monotonic())
    page = instance.text("/")
    assert "no way to &lt;b&gt;there&lt;/b&gt;" in page
    assert ADVICE["engine_error"] in page


async def test_standing_follows_engine_and_link(instance: Instance) -> None:
    assert find_standing(instance.view) is Standing.LOADING
    instance.become_ready()
    assert find_standing(instance.view) is Standing.SERVING
    instance.link.state = LinkState.DIALLING
    assert find_standing(instance.view) is Standing.CONNECTING
    instance.desk.is_draining = True
    assert find_standing(instance.view) is Standing.DRAINING
    instance.view.prepared = EngineState.FAILED
    assert find_standing(instance.view) is Standing.FAILED


@pytest.mark.parametrize("path", ["/status.css", "/status.js", "/icon.svg"])
async def test_files_of_the_page_are_there_and_need_nothing_from_elsewhere(
    instance: Instance, path: str
) -> None:
    assert f'"{path}"' in instance.text("/")
    assert not re.search(r"(?<!xmlns=\")https?://", instance.text(path))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (61, "1 min 1 s"), (3720, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_said_in_two_units(seconds: float, words: str) -> None:
    assert show_duration(seconds) == words
