"""Somebody without an account on the public page, as a program that does what its script does."""

import re
from typing import Any

import httpx

from tests.acceptance.raw import PATIENCE_S
from tests.sites import Site


class Visitor:
    """A browser with its cookies. `peer`, `port`: where it connects to, if not to the site."""

    def __init__(
        self,
        site: Site,
        *,
        peer: str = "127.0.0.1",
        port: int | None = None,
        connections: int = 20,
        **headers: str,
    ) -> None:
        port = port or site.port
        own = {"Host": f"{site.host()}:{port}", "Accept": "application/json", **headers}
        self.client = httpx.AsyncClient(
            base_url=f"http://{peer}:{port}",
            headers=own,
            timeout=PATIENCE_S,
            trust_env=False,
            limits=httpx.Limits(max_connections=connections),
        )
        self._token = ""

    async def page(self) -> str:
        """Return the chat page."""
        text = (await self.client.get("/", headers={"Accept": "text/html"})).text
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', text)
        assert found, text
        self._token = found[1]
        return text

    async def left(self) -> str:
        """Return what the page says is left."""
        found = re.search(r"data-remaining>([^<]*)<", await self.page())
        assert found
        return found[1]

    async def try_ask(self, question: str = "Hello?") -> httpx.Response:
        """Ask and return the reply; the answer goes on without a reader."""
        if not self._token:
            await self.page()
        form: dict[str, Any] = {"text": question, "csrfmiddlewaretoken": self._token}
        return await self.client.post("/chat/ask", data=form)

    async def ask(self, question: str = "Hello?") -> dict[str, Any]:
        """Ask what is not refused; return what the page's script is told."""
        response = await self.try_ask(question)
        assert response.status_code == 201, response.text
        told: dict[str, Any] = response.json()
        return told
