"""Who asks a composition and reads the answer to its end, at /v1 and on the chat page."""

import contextlib
import re
from dataclasses import dataclass, field
from typing import Final

import httpx

from tests.acceptance.composition import DOMAIN, Composition
from tests.streams import ChatAnswer, api_text

MODEL: Final = "motherfluxer-tiny"
QUESTION: Final = "What is MotherFluxer?"


@dataclass
class V1Reader:
    """Asks by a key, and reads over one connection."""

    composition: Composition
    key: str
    first: str = ""
    whole: str = ""

    def read(self) -> str:
        """Ask and read; the answer's text."""
        question = {"role": "user", "content": QUESTION}
        body = {"model": MODEL, "messages": [question], "stream": True}
        headers = {"Authorization": f"Bearer {self.key}"}
        with (
            self.composition.client() as client,
            client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response,
        ):
            assert response.status_code == 200, response.read()
            for piece in response.iter_raw():
                self.first = self.first or piece.decode()
                self.whole += piece.decode()
        assert self.whole.rstrip().endswith("data: [DONE]"), self.whole[-200:]
        return api_text(self.whole)


@dataclass
class ChatReader:
    """A visitor of the public page, who comes back when the stream breaks, as the page does."""

    composition: Composition
    first: str = ""
    connections_count: int = 0
    told: ChatAnswer = field(default_factory=ChatAnswer)

    def read(self) -> str:
        """Ask and read; the answer's text."""
        with self.composition.client() as client:
            stream = self._ask(client)
            while self.told.end is None:
                with contextlib.suppress(httpx.TransportError):
                    self._read_some(client, stream)
        assert self.told.end["error"] is None, self.told.end
        return self.told.text

    def _ask(self, client: httpx.Client) -> str:
        page = client.get("/", headers={"Accept": "text/html"}).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        form = {"text": QUESTION, "csrfmiddlewaretoken": token[1]}
        headers = {"Accept": "application/json", "Referer": f"{client.base_url}"}
        headers["Origin"] = f"https://{DOMAIN}:{self.composition.https_port}"
        asked = client.post("/chat/ask", data=form, headers=headers)
        assert asked.status_code == 201, asked.text
        return str(asked.json()["stream_url"])

    def _read_some(self, client: httpx.Client, url: str) -> None:
        with client.stream("GET", url, params={"from": str(len(self.told.text))}) as response:
            assert response.status_code == 200, response.read()
            self.connections_count += 1
            self.told.connect()
            for line in response.iter_lines():
                self.told.take(line)
                self.first = self.first or self.told.text
