"""What the superadmin sees of the live router, as JSON."""

import re
from typing import Any

import httpx

from tests.sites import Site, wait_until


class Console:
    """A signed-in superadmin."""

    def __init__(self, site: Site) -> None:
        host = f"{site.host('superadmin')}:{site.port}"
        self._client = httpx.Client(base_url=site.url, headers={"Host": host}, trust_env=False)
        page = self._client.get("/login/").text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        form = {
            "username": f"superadmin@{site.domain}",
            "password": site.password("superadmin"),
            "csrfmiddlewaretoken": token[1],
        }
        assert self._client.post("/login/", data=form).status_code == 302

    def view(self) -> dict[str, Any]:
        """Return what the router sees now."""
        answer = self._client.get("/router/view.json")
        assert answer.status_code == 200, answer.text
        view: dict[str, Any] = answer.json()
        return view

    def instance(self, name: str) -> dict[str, Any] | None:
        """Return one connected instance, or None where the router sees none."""
        return next((one for one in self.view()["instances"] if one["name"] == name), None)

    def is_clear(self) -> bool:
        """Whether the router holds no job and no instance an open slot."""
        view = self.view()
        return not view["jobs"] and not any(one["running"] for one in view["instances"])

    def wait_clear(self) -> None:
        """Wait until nothing is left."""
        wait_until(self.is_clear, "no job and no open slot left")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
