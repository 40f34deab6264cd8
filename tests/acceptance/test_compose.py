"""The composition, really brought up: TLS on all four names, an instance by wss, nobody is root.

The tests share one composition and go from looking at it to breaking it, in the order they stand.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_container.tests.image.images import Builder
from tests.acceptance.composition import DOMAIN, SITES, SUBNET, Composition, service_of
from tests.sites import wait_until

STEPS = {"migrate", "setup"}
SERVERS = {"caddy", "web", "router", "worker", "beat", "postgres", "redis", "model"}
MODEL = "motherfluxer-tiny"
QUESTION = "What is MotherFluxer?"
NO_CAPABILITIES = "0000000000000000"
UP_S = 120.0


@pytest.fixture(scope="module")
def composition(
    builder: Builder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    """Give the site as `make up` leaves it."""
    composition = Composition(builder, tmp_path_factory.mktemp("site"))
    composition.prepare()
    try:
        said = composition.make("up")
        assert f"https://superadmin.{DOMAIN}:{composition.https_port}" in said
        composition.trust_authority()
        yield composition
    finally:
        composition.compose("down", "--volumes", "--remove-orphans")


def streamed(response: httpx.Response) -> tuple[str, str]:
    """Give the first piece of an event stream as it comes, and the whole of it."""
    pieces = [piece.decode() for piece in response.iter_raw()]
    return pieces[0], "".join(pieces)


def spoken(stream: str) -> str:
    """Give the text that a stream of completions holds."""
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    return "".join(event["choices"][0]["delta"].get("content") or "" for event in events)


@pytest.fixture(scope="module")
def key(composition: Composition) -> str:
    """Give an API key, made in a container."""
    return composition.manage(
        *("create_api_key", "--user", "reader@example.org", "--name", "test", "--create-user")
    )


def ask(composition: Composition, key: str) -> tuple[str, str]:
    """Ask at /v1; the first piece of the answer and all of it."""
    question = {"role": "user", "content": QUESTION}
    body = {"model": MODEL, "messages": [question], "stream": True}
    headers = {"Authorization": f"Bearer {key}"}
    with (
        composition.client() as client,
        client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        return streamed(response)


@pytest.mark.parametrize("site", SITES)
def test_each_name_answers_over_tls(composition: Composition, site: str) -> None:
    with composition.client(site) as client:
        response = client.get("/", headers={"Accept": "text/html"})
    assert response.status_code in {200, 302}, response.text
    assert response.headers["strict-transport-security"].startswith("max-age=63072000")
    assert "server" not in response.headers
    for cookie in response.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-mf-")
        assert "; Secure" in cookie


@pytest.mark.parametrize("site", SITES)
def test_http_leads_to_https(composition: Composition, site: str) -> None:
    host = f"{site}{DOMAIN}"
    url = f"http://127.0.0.1:{composition.http_port}/c/?q=1"
    response = httpx.get(url, headers={"Host": host}, trust_env=False)
    assert response.status_code == 308
    assert response.headers["location"] == f"https://{host}:{composition.https_port}/c/?q=1"


def test_a_name_that_is_not_ours_gets_no_certificate(composition: Composition) -> None:
    with composition.client("other.") as client, pytest.raises(httpx.ConnectError) as caught:
        client.get("/")
    assert isinstance(caught.value.__context__, Exception)
    assert "TLSV1_ALERT_INTERNAL_ERROR" in str(caught.value).upper().replace(" ", "_")


def test_the_instance_has_come_by_wss(composition: Composition) -> None:
    logs = composition.compose("logs", "model")
    assert f"connected to wss://{DOMAIN}/" in logs
    with composition.client() as client:
        assert client.get("/readyz").json()["status"] == "ready"


def test_a_visitor_reads_the_answer_as_it_is_written(composition: Composition) -> None:
    with composition.client() as client:
        page = client.get("/", headers={"Accept": "text/html"}).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token is not None
        form = {"text": QUESTION, "csrfmiddlewaretoken": token[1]}
        headers = {"Accept": "application/json", "Referer": f"{client.base_url}"}
        headers["Origin"] = f"https://{DOMAIN}:{composition.https_port}"
        asked = client.post("/chat/ask", data=form, headers=headers)
        assert asked.status_code == 201, asked.text
        stream = asked.json()["stream_url"]
        with client.stream("GET", stream, params={"from": "0"}) as response:
            first, whole = streamed(response)
    assert "event: end" not in first
    assert "event: text" in whole
    assert "event: end" in whole


def test_v1_streams_through_the_proxy(composition: Composition, key: str) -> None:
    first, whole = ask(composition, key)
    assert "[DONE]" not in first
    assert whole.rstrip().endswith("data: [DONE]")
    assert "MotherFluxer" in spoken(whole)


def test_who_asks_is_known_behind_the_proxy(composition: Composition) -> None:
    front = [
        network["IPAddress"]
        for one in composition.containers("caddy")
        for name, network in one["NetworkSettings"]["Networks"].items()
        if name.endswith("_front")
    ]
    assert [address.rpartition(".")[0] for address in front] == [SUBNET.rpartition(".")[0]]


def test_no_container_may_anything(composition: Composition) -> None:
    made = composition.containers()
    assert {service_of(one) for one in made} == STEPS | SERVERS
    for one in made:
        host, name = one["HostConfig"], one["Name"]
        assert one["Config"]["User"].split(":")[0] not in {"", "0", "root"}, name
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["Memory"] > 0, name
        assert host["PidsLimit"] > 0, name
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}, name


def test_no_process_is_root_or_may_anything(composition: Composition) -> None:
    for one in composition.containers():
        if not one["State"]["Running"]:
            continue
        status = composition.docker("exec", one["Id"], "cat", "/proc/1/status")
        lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert "0" not in lines["Uid"].split(), one["Name"]
        assert lines["CapEff"] == lines["CapBnd"] == NO_CAPABILITIES, one["Name"]
        assert lines["NoNewPrivs"] == "1", one["Name"]


def test_only_the_proxy_is_reached_from_outside(composition: Composition) -> None:
    published = {
        service_of(one) for one in composition.containers() if one["HostConfig"]["PortBindings"]
    }
    assert published == {"caddy"}
    for name in ("data", "front"):
        network = json.loads(
            composition.docker("network", "inspect", f"{composition.project}_{name}")
        )
        assert network[0]["Internal"]


def test_secrets_stand_in_files_alone(composition: Composition) -> None:
    folder: Path = composition.folder / "var" / "compose"
    assert folder.stat().st_mode & 0o777 == 0o700
    told = json.dumps(composition.containers()) + composition.compose("logs")
    for file in folder.iterdir():
        for word in file.read_text().split():
            assert len(word) < 16 or word not in told, file.name
    passwords = composition.compose(
        "exec", "-T", "web", "cat", "/var/lib/motherfluxer/first-run.txt"
    )
    assert f"superadmin@{DOMAIN}" in passwords
    assert not any(line.split()[-1] in told for line in passwords.splitlines())


def test_every_server_is_healthy(composition: Composition) -> None:
    def states() -> dict[str, str]:
        return {
            one["Name"]: one["State"].get("Health", {}).get("Status", "")
            for one in composition.containers()
            if service_of(one) in SERVERS
        }

    wait_until(lambda: set(states().values()) == {"healthy"}, "all healthy", UP_S)


def test_it_grows_to_four_web_processes(composition: Composition, key: str) -> None:
    composition.compose("up", "-d", "--no-recreate", "--scale", "web=4", "web")
    assert len(composition.containers("web")) == 4
    for _ in range(8):
        assert "MotherFluxer" in spoken(ask(composition, key)[1])


def test_a_killed_web_process_comes_back(composition: Composition, key: str) -> None:
    victim = composition.containers("web")[0]
    composition.kill9(victim)
    # Whoever asks now is answered by another.
    with composition.client() as client:
        for _ in range(20):
            assert client.get("/healthz").status_code == 200
    wait_until(lambda: was_restarted(composition, victim), "restarted", UP_S)
    wait_until(lambda: is_ready(composition), "the instance is back", UP_S)
    assert "MotherFluxer" in spoken(ask(composition, key)[1])


def was_restarted(composition: Composition, victim: dict[str, Any]) -> bool:
    """Whether Docker has started a killed container anew."""
    return any(
        one["RestartCount"] >= 1 and one["State"]["Running"]
        for one in composition.containers()
        if one["Id"] == victim["Id"]
    )


def is_ready(composition: Composition) -> bool:
    """Whether a question could be answered now."""
    with composition.client() as client:
        return client.get("/readyz").status_code == 200


def test_the_other_router_follows_a_killed_one(composition: Composition, key: str) -> None:
    wait_until(lambda: len(acting_since(composition)) > 0, "one of them acts", UP_S)
    before = acting_since(composition)
    victim = before[max(before)]
    composition.kill9(victim)

    def is_followed() -> bool:
        return any(
            at > max(before) and one["Id"] != victim["Id"]
            for at, one in acting_since(composition).items()
        )

    wait_until(is_followed, "the other acts", UP_S)
    wait_until(lambda: was_restarted(composition, victim), "restarted", UP_S)
    wait_until(lambda: is_ready(composition), "the instance is back", UP_S)
    assert "MotherFluxer" in spoken(ask(composition, key)[1])


def acting_since(composition: Composition) -> dict[str, dict[str, Any]]:
    """Give the routers that have ever acted, by when they last began to."""
    found = {}
    for one in composition.containers("router"):
        logs = composition.docker.run("docker", "logs", one["Id"]).stderr
        lines = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
        began = [line["at"] for line in lines if line["message"] == "router active"]
        found.update({max(began): one} if began else {})
    return found


def test_a_second_up_changes_nothing(composition: Composition) -> None:
    credential = composition.compose("exec", "-T", "model", "cat", "/instance/credential")
    assert "All are there" in composition.make("up", WEB="4")
    assert composition.compose("exec", "-T", "model", "cat", "/instance/credential") == credential


def test_down_keeps_what_was_said(composition: Composition) -> None:
    said = composition.make("down")
    assert "Everything is kept" in said
    assert composition.containers() == []
    volumes = composition.docker("volume", "ls", "-q").split()
    assert f"{composition.project}_postgres" in volumes
