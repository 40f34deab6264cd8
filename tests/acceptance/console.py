"""What the superadmin sees of the live router, as JSON."""

from typing import Any

from tests.signing_in import signed_in
from tests.sites import Site, wait_until


class Console:
    """A signed-in superadmin."""

    def __init__(self, site: Site) -> None:
        self._client = signed_in(site, "superadmin")

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
