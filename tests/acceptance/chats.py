"""A reader of `/v1` over a plain socket, so that it can hang up or watch every piece."""

import http.client
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.sites import Site


class StreamedAnswer:
    """One streamed chat completion."""

    def __init__(self, site: Site, key: str, question: str, **options: Any) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
        body = {"messages": [{"role": "user", "content": question}], "stream": True, **options}
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        self.response = self.connection.getresponse()
        self.text = ""
        self.finish_reason: str | None = None
        self.error: dict[str, Any] | None = None

    def pieces(self) -> Iterator[str]:
        """Yield pieces of text until the end."""
        for line in self.response:
            if not line.startswith(b"data: {"):
                continue
            event = json.loads(line[6:])
            if "error" in event:
                self.error = event["error"]
                return
            for choice in event["choices"]:
                self.finish_reason = choice["finish_reason"]
                if piece := choice["delta"].get("content"):
                    self.text += piece
                    yield piece

    def read(self, at_piece: int = -1, then: Callable[[], None] = lambda: None) -> str:
        """Read to the end; call something after a certain piece."""
        try:
            for n, _ in enumerate(self.pieces()):
                if n == at_piece:
                    then()
        finally:
            self.hang_up()
        return self.text

    def hang_up(self) -> None:
        """Close the connection, in the middle or at the end."""
        self.response.close()
        self.connection.close()
