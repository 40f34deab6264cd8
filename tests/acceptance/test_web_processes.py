"""Several web processes and a router over Redis: any of them serves any request."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from benchmarks.sites import running_site
from tests.servers import running_servers
from tests.sites import Site
from tests.streams import ChatAnswer

WORDS = " ".join(f"word{n}" for n in range(60))
SLOW = {"MOTHERFLUXER_ECHO_DELAY_MS": "80"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose one instance is linked to its second web process."""
    folder = tmp_path_factory.mktemp("processes")
    with (
        running_servers() as servers,
        running_site(
            folder, DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url
        ) as started,
    ):
        started.add_web().start_instance(name="slow", slots=8, env=SLOW).wait_connected()
        yield started


class Browser:
    """A visitor with cookies, who may reach any process."""

    def __init__(self, web: Site) -> None:
        headers = {"Host": f"{web.host()}:{web.port}"}
        self._client = httpx.Client(headers=headers, trust_env=False, timeout=60)
        marker = 'name="csrfmiddlewaretoken" value="'
        self._token = self.get(web, "/").text.split(marker)[1].split('"')[0]

    def post(self, web: Site, path: str, **form: str) -> httpx.Response:
        """Send a form as the page's script does."""
        data = {**form, "csrfmiddlewaretoken": self._token}
        return self._client.post(web.url + path, data=data, headers={"Accept": "application/json"})

    def get(self, web: Site, path: str) -> httpx.Response:
        """Get a page or a whole stream."""
        return self._client.get(web.url + path)

    def close(self) -> None:
        """Go away."""
        self._client.close()


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    made = Browser(site)
    yield made
    made.close()


def events_of(response: httpx.Response) -> tuple[str, dict[str, Any] | None]:
    """Return the text of a stream and its end."""
    told = ChatAnswer()
    for line in response.text.split("\n"):
        told.take(line)
    return told.text, told.end


def test_answer_is_read_and_stopped_at_another_process(site: Site, browser: Browser) -> None:
    [other] = site.webs
    told = browser.post(site, "/chat/ask", text=WORDS).json()
    refused = browser.post(other, "/chat/ask", text="And?", conversation=told["conversation_id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "answer_running")
    text, end = events_of(browser.get(other, told["stream_url"]))
    assert text == WORDS
    assert end is not None
    assert end["finish_reason"] == "stop"
    assert WORDS in browser.get(site, told["conversation_url"]).text
    told = browser.post(other, "/chat/ask", text=WORDS, conversation=told["conversation_id"]).json()
    assert browser.post(site, "/chat/stop", answer=told["answer_id"]).status_code == 200
    assert 'data-state="stopped"' in browser.get(other, told["conversation_url"]).text


def test_named_request_is_answered_once(site: Site) -> None:
    [other] = site.webs
    headers = {
        "Authorization": f"Bearer {site.api_key()}",
        "Content-Type": "application/json",
        "Idempotency-Key": "once",
    }
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": WORDS}]})
    replies = [
        web.request("POST", "/v1/chat/completions", headers=headers, body=body)
        for web in (site, other)
    ]
    assert [reply.status for reply in replies] == [200, 200], replies[1].text
    assert replies[0].json() == replies[1].json()
    assert replies[1].headers["idempotent-replayed"] == "true"


def test_answer_outlives_the_process_that_was_asked(site: Site, browser: Browser) -> None:
    [other] = site.webs
    asked = site.add_web()
    told = browser.post(asked, "/chat/ask", text=WORDS).json()
    assert asked.program is not None
    asked.program.kill9()
    text, end = events_of(browser.get(other, told["stream_url"]))
    assert text == WORDS
    assert end is not None
    assert end["finish_reason"] == "stop"
    assert WORDS in browser.get(site, told["conversation_url"]).text
