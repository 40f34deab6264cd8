"""A newcomer's first hour: one command, then every door that its greeting names."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.chats import StreamedAnswer
from tests.servers import free_port
from tests.sites import DOMAIN, Program, Site, base_env, wait_until

QUESTION = "What is MotherFluxer?"
OPTIONS = {"model": "motherfluxer-tiny", "temperature": 0}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """What `make run` starts, seen as a site."""
    folder = tmp_path_factory.mktemp("first-hour")
    env = {**base_env(), "MOTHERFLUXER_VAR": str(folder)}
    site = Site(folder, env, free_port())
    command = [sys.executable, "-m", "motherfluxer.local"]
    program = Program(command, {**env, "PORT": str(site.port)}, folder / "run.log")
    site.program = program
    wait_until(lambda: "MotherFluxer is running" in program.output, "ready", 120)
    yield site
    os.kill(program.process.pid, signal.SIGINT)
    assert program.process.wait(60) == 0
    site.close()


def test_the_greeting_says_where_to_look(local: Site) -> None:
    assert local.program is not None
    greeting = local.program.output
    for name in ("user", "admin", "superadmin"):
        assert f"http://{name}.{DOMAIN}:{local.port}" in greeting
    assert f"http://localhost:{local.port}" in greeting
    assert str(local.folder / "first-run.txt") in greeting


def test_an_instance_is_connected(local: Site) -> None:
    ready = local.get("/readyz")
    assert ready.status == 200
    assert json.loads(ready.body)["status"] == "ready"


@pytest.mark.parametrize(
    ("site", "path"), [("", "/"), ("user", "/accounts/login/"), ("admin", "/"), ("superadmin", "/")]
)
def test_every_door_opens(local: Site, site: str, path: str) -> None:
    with httpx.Client(follow_redirects=False) as client:
        for _ in range(3):
            answer = client.get(f"{local.url}{path}", headers={"Host": local.host(site)})
            if answer.status_code == 200:
                break
            path = answer.headers["location"].split(str(local.port))[-1]
    assert answer.status_code == 200
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', answer.text):
        file = local.get(address, site=site)
        assert file.status == 200, address
        assert file.headers["x-content-type-options"] == "nosniff"


def test_the_bundled_model_answers_over_the_api(local: Site) -> None:
    key = local.api_key()
    whole = StreamedAnswer(local, key, QUESTION, **OPTIONS).read()
    assert "MotherFluxer" in whole
    again = local.request(
        "POST",
        "/v1/chat/completions",
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        body=json.dumps({"messages": [{"role": "user", "content": QUESTION}], **OPTIONS}),
    )
    assert again.json()["choices"][0]["message"]["content"] == whole


def test_the_passwords_are_kept_for_their_owner_alone(local: Site) -> None:
    note: Path = local.folder / "first-run.txt"
    assert note.stat().st_mode & 0o777 == 0o600
    assert local.password("operator") != local.password("superadmin")
