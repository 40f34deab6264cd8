"""An answer survives its instance: the container's own command, started as an operator would.

`test_every_token` has every place; here it is the program as it is installed.
"""

import threading

from tests.acceptance.chats import StreamedAnswer
from tests.sites import Instance, Site, wait_until

WORDS = " ".join(f"wörd{n}🙂" for n in range(60))
SLOW = {"MOTHERFLUXER_ECHO_DELAY_MS": "15"}
LONG_QUESTION = "Tell me a story about a fluxer"


def test_only_instance_killed_and_another_started_goes_on(site: Site) -> None:
    key = site.api_key()
    first = site.start_instance("transformers", name="first").wait_connected()
    options = {"model": "motherfluxer-tiny", "temperature": 0}
    whole = StreamedAnswer(site, key, LONG_QUESTION, **options).read()
    assert len(whole.split()) > 100
    started: list[Instance] = []

    def kill() -> None:
        first.kill9()
        started.append(site.start_instance("transformers", name="second"))

    answer = StreamedAnswer(site, key, LONG_QUESTION, **options)
    assert answer.read(0, kill) == whole  # the engine says all of it within half a second
    assert started
    assert answer.finish_reason == "stop"


def test_client_that_hangs_up_frees_the_slot_and_stops_the_instance(site: Site) -> None:
    key = site.api_key()
    # The whole first answer would take two minutes, longer than any reader here waits.
    slow = {"MOTHERFLUXER_ECHO_DELAY_MS": "2000"}
    instance = site.start_instance(name="slow", slots=1, env=slow).wait_connected()
    answer = StreamedAnswer(site, key, WORDS, model="echo")
    next(answer.pieces())
    answer.hang_up()
    again = StreamedAnswer(site, key, "hello", model="echo")
    assert again.read() == "hello"
    assert instance.is_running


def test_waiting_readers_are_served_when_an_instance_comes_free(site: Site) -> None:
    key = site.api_key()
    site.start_instance(name="one", slots=1, env=SLOW).wait_connected()
    texts: list[str] = []

    def ask(n: int) -> None:
        texts.append(StreamedAnswer(site, key, f"question {n}", model="echo").read())

    readers = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert sorted(texts) == [f"question {n}" for n in range(8)]


def test_known_model_without_instance_is_503_with_retry_after(site: Site) -> None:
    key = site.api_key()
    site.start_instance(name="gone").wait_connected().stop()
    wait_until(lambda: site.get("/readyz").status == 503, "instance gone")
    answer = StreamedAnswer(site, key, "hello", model="echo")
    assert answer.response.status == 503
    assert answer.response.getheader("Retry-After")
    answer.hang_up()


def test_site_stopped_while_answering_lets_the_answer_end(site: Site) -> None:
    key = site.api_key()
    site.start_instance(name="one", env=SLOW).wait_connected()
    answer = StreamedAnswer(site, key, WORDS, model="echo")
    stopper = threading.Thread(target=site.stop)
    assert answer.read(2, stopper.start) == WORDS
    stopper.join(40)
