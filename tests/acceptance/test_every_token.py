"""An instance killed after token k, for every k: the reader's text is the undisturbed one."""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acceptance.chats import StreamedAnswer
from tests.acceptance.console import Console
from tests.acceptance.nursery import TOKENS, Container, Nursery, open_nursery
from tests.sites import Site

WHOLE = "".join(TOKENS)
READERS = 3
# Each reader holds one instance, and needs one to go on with when that is killed.
SPARES = 2 * READERS
COUNT_TO_THIRTY = "Count from one to thirty in words"
TINY = {"model": "motherfluxer-tiny", "temperature": 0}


@pytest.fixture
def nursery(site: Site) -> Iterator[Nursery]:
    with open_nursery(site, site.issue_credential("nursery")) as opened:
        yield opened


def read_and_kill(answer: StreamedAnswer, before: str, nursery: Nursery) -> str:
    """Read an answer; kill its instance when the text is exactly that; return whose it was."""
    name = answer.response.getheader("x-motherfluxer-instance")
    assert name
    for _ in answer.pieces():
        if answer.text == before:
            break
    assert answer.text == before
    nursery.containers[name].kill9()
    return name


def read_rest(answer: StreamedAnswer) -> str:
    """Read an answer to its end."""
    for _ in answer.pieces():
        pass
    answer.hang_up()
    assert answer.finish_reason == "stop"
    return answer.text


def assert_clear(site: Site) -> None:
    """Check that the router has nothing left."""
    with contextlib.closing(Console(site)) as console:
        console.wait_clear()


def test_answer_survives_a_kill_after_every_one_of_its_tokens(site: Site, nursery: Nursery) -> None:
    key, serials, killed = site.api_key(), itertools.count(), list[str]()
    lock = threading.Lock()

    def start_another() -> None:
        with lock:
            nursery.start(f"echo-{next(serials)}").wait_connected()

    def kill_after(place: int) -> None:
        start_another()
        answer = StreamedAnswer(site, key, WHOLE, model="echo", seed=place)
        killed.append(read_and_kill(answer, "".join(TOKENS[:place]), nursery))
        assert read_rest(answer) == WHOLE, place

    for _ in range(SPARES):
        start_another()
    with ThreadPoolExecutor(READERS) as readers:
        list(readers.map(kill_after, range(1, len(TOKENS) + 1)))
    assert len(set(killed)) == len(killed) == 60
    assert_clear(site)


def ask_undisturbed(site: Site, key: str) -> tuple[str, int]:
    """Return the real model's answer and how many tokens it has."""
    body = {"messages": [{"role": "user", "content": COUNT_TO_THIRTY}], **TINY}
    headers = {"Authorization": f"Bearer {key}"}
    answer = site.request("POST", "/v1/chat/completions", headers=headers, body=json.dumps(body))
    whole = answer.json()
    return whole["choices"][0]["message"]["content"], whole["usage"]["completion_tokens"]


def test_greedy_answer_of_the_real_model_survives_its_only_instance_at_ten_places(
    site: Site, nursery: Nursery
) -> None:
    key, serials = site.api_key(), itertools.count()

    def start_another() -> Container:
        return nursery.start(f"tiny-{next(serials)}", "transformers")

    def ask(**options: int) -> StreamedAnswer:
        return StreamedAnswer(site, key, COUNT_TO_THIRTY, **TINY, **options)

    living = start_another()
    living.wait_connected()
    whole, count = ask_undisturbed(site, key)
    places = sorted({1 + n * (count - 1) // 9 for n in range(10)})
    assert len(places) == 10
    for place in places:
        living.wait_connected()
        before = ask(max_tokens=place).read()
        assert whole.startswith(before)
        read_and_kill(answer := ask(seed=place), before, nursery)
        living = start_another()
        assert read_rest(answer) == whole, place
    assert_clear(site)
