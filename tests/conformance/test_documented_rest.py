"""The commands of `docs/rest.md`, each run as it stands there against a live site."""

import json
import os
import re
import subprocess
from typing import Any, Final

import pytest

from tests.sites import ROOT, Site

PAGE: Final = (ROOT / "docs" / "rest.md").read_text()
COMMANDS: Final = re.findall(r"```sh\n(curl.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def key(shared_site: Site) -> str:
    return shared_site.api_key(f"operator@{shared_site.domain}")


def run(site: Site, key: str, command: str) -> Any:
    address = command.replace("http://localhost:8000", site.url)
    assert address != command
    done = subprocess.run(
        ["sh", "-ec", address],
        env={**os.environ, "OPENAI_API_KEY": key},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_a_key_tells_whose_it_is(shared_site: Site, key: str) -> None:
    [command] = [one for one in COMMANDS if one.rstrip().endswith("/api/account/")]
    assert run(shared_site, key, command)["email"] == f"operator@{shared_site.domain}"


def test_a_credential_is_issued(shared_site: Site, key: str) -> None:
    [command] = [one for one in COMMANDS if "POST" in one]
    made = run(shared_site, key, command)
    assert (made["name"], made["allowed_models"]) == ("gpu-1", ["microsoft/phi-2"])
    assert made["credential"].startswith(f"{made['prefix']}_")


def test_every_command_is_tried_here() -> None:
    assert len(COMMANDS) == 2


def test_the_problem_shown_is_the_problem_told(shared_site: Site, key: str) -> None:
    [shown] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    told = shared_site.request("POST", "/api/credentials/", headers=headers, body="{}")
    assert told.headers["content-type"] == "application/problem+json"
    assert told.json() == json.loads(shown)


def test_every_resource_has_its_line(shared_site: Site) -> None:
    there = {f"/api/{name}/" for name in shared_site.get("/api/", Accept="application/json").json()}
    assert there == set(re.findall(r"^\| `(/api/[a-z]+/)` \|", PAGE, re.MULTILINE))
