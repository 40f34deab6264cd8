"""The composition, really brought up: TLS on all four names, an instance by wss, nobody is root.

The tests share one composition and go from looking at it to breaking it, in the order they stand.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_container.tests.image.images import Builder
from tests.acceptance.askers import Askers
from tests.acceptance.composition import DOMAIN, SITES, SUBNET, Composition, service_of
from tests.acceptance.composition_readers import ChatReader, V1Reader
from tests.sites import wait_until

STEPS = {"migrate", "setup"}
SERVERS = {"caddy", "web", "router", "worker", "beat", "postgres", "redis", "model"}
NO_CAPABILITIES = "0000000000000000"
UP_S = 120.0
# Into a database of its own.
RESTORED = """
site=$(cat $DATABASE_URL_FILE)
restored="${{site%/*}}/restored"
psql -q "$site" -c "CREATE DATABASE restored"
unset DATABASE_URL_FILE
DATABASE_URL="$restored" python3 manage.py restore {made}
psql -At "$restored" -c "SELECT email FROM accounts_user WHERE email LIKE 'reader@%'"
"""
ROLLED = {"web", "router", "worker", "beat"}
MANUAL = (Path(__file__).resolve().parents[2] / "docs/operations/secrets.md").read_text()
BLOCKS = MANUAL.partition("## In the composition")[2].split("```sh\n")[1:]
ROTATED, OLD_ONES_OUT = (block.partition("```")[0] for block in BLOCKS)
SCRAPED = """
python3 -c 'from urllib.request import Request, urlopen
token = {"Authorization": "Bearer another"}
print(urlopen(Request("http://web:8000/metrics", headers=token), timeout=10).status)'
"""


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


@pytest.fixture(scope="module")
def key(composition: Composition) -> str:
    """Give an API key, made in a container."""
    return composition.manage(
        *("create_api_key", "--user", "reader@example.org", "--name", "test", "--create-user")
    )


def ask(composition: Composition, key: str) -> str:
    """Ask at /v1; the whole answer."""
    return V1Reader(composition, key).read()


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
    reader = ChatReader(composition)
    with composition.slow_model():
        text = reader.read()
    assert "MotherFluxer" in text
    assert len(reader.first) < len(text)


def test_v1_streams_through_the_proxy(composition: Composition, key: str) -> None:
    reader = V1Reader(composition, key)
    assert "MotherFluxer" in reader.read()
    assert "[DONE]" not in reader.first


def test_who_asks_is_known_behind_the_proxy(composition: Composition) -> None:
    front = [
        network["IPAddress"]
        for one in composition.containers("caddy")
        for name, network in one["NetworkSettings"]["Networks"].items()
        if name.endswith("_front")
    ]
    assert [address.rpartition(".")[0] for address in front] == [SUBNET.rpartition(".")[0]]


def test_each_visitor_is_counted_whatever_it_says_of_itself(composition: Composition) -> None:
    # Three a minute of each address, and all of them come through the proxy.
    lies = [f"203.0.113.{number}" for number in range(8)]
    with composition.sleeping("edge") as liar, composition.sleeping("edge") as other:
        assert 429 in composition.visit(liar, "/api/fleet/", *lies)
        assert composition.visit(other, "/api/fleet/", "203.0.113.1") == [200]


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
        "exec", "-T", "worker", "cat", "/var/lib/motherfluxer/first-run.txt"
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


def test_nobody_is_refused_for_a_web_process_that_does_not_listen(
    composition: Composition,
) -> None:
    deaf = composition.sleeping("front", "--network-alias=web")
    with deaf, Askers(composition) as askers:
        askers.wait_for(200)
    assert set(askers.codes) == {401}, askers.codes


def test_it_grows_and_shrinks_while_it_is_asked(composition: Composition, key: str) -> None:
    for count in (4, 2):
        with Askers(composition) as askers:
            composition.compose("up", "-d", "--no-recreate", "--scale", f"web={count}", "web")
            askers.wait_for(100)
        assert set(askers.codes) == {401}, askers.codes
        assert len(composition.containers("web")) == count
        for _ in range(4):
            assert "MotherFluxer" in ask(composition, key)


def test_answers_go_on_while_a_web_process_stops(composition: Composition, key: str) -> None:
    stopped = composition.containers("web")[0]["Id"]
    answers = [V1Reader(composition, key) for _ in range(3)]
    chats = [ChatReader(composition) for _ in range(3)]
    with composition.slow_model(), ThreadPoolExecutor() as pool, composition.client() as client:
        # The proxy takes turns: both processes have some of both kinds.
        readings = [pool.submit(reader.read) for reader in answers]
        wait_until(lambda: all(reader.first for reader in answers), "answers have begun", UP_S)
        for reader in chats:
            readings.append(pool.submit(reader.read))
            wait_until(lambda: reader.connections_count > 0, "it reads", UP_S)  # noqa: B023 # at once
            client.get("/healthz")
        assert not any(reading.done() for reading in readings)
        with Askers(composition) as askers:
            composition.docker("stop", "--time=45", stopped)
        assert all("MotherFluxer" in reading.result(UP_S) for reading in readings)
    assert max(reader.connections_count for reader in chats) > 1
    assert set(askers.codes) == {401}, askers.codes
    composition.docker("start", stopped)


def test_a_killed_web_process_comes_back(composition: Composition, key: str) -> None:
    victim = composition.containers("web")[0]
    composition.kill9(victim)
    # Whoever asks now is answered by another.
    with composition.client() as client:
        for _ in range(20):
            assert client.get("/healthz").status_code == 200
    wait_until(lambda: was_restarted(composition, victim), "restarted", UP_S)
    wait_until(lambda: is_ready(composition), "the instance is back", UP_S)
    assert "MotherFluxer" in ask(composition, key)


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
    wait_until(lambda: len(reigns(composition)) > 0, "one of them acts", UP_S)
    token, victim = reigns(composition)[-1]
    # Docker would start it within the lease, and it might well be the next one itself.
    with composition.left_dead(victim):
        wait_until(lambda: reigns(composition)[-1][0] > token, "another acts", UP_S)
        wait_until(lambda: is_ready(composition), "the instance is back", UP_S)
        assert "MotherFluxer" in ask(composition, key)
    wait_until(lambda: stands_by(composition, victim), "it is back", UP_S)
    tokens = [token for token, _ in reigns(composition)]
    assert tokens == sorted(set(tokens))
    assert reigns(composition)[-1][1] != victim
    assert "MotherFluxer" in ask(composition, key)


def reigns(composition: Composition) -> list[tuple[int, str]]:
    """Give by when they began: the token of each that has acted, and which router it was."""
    found = [
        (line["at"], line["token"], one["Id"])
        for one in composition.containers("router")
        for line in composition.told(one["Id"])
        if line["message"] == "router active"
    ]
    return [(token, router) for _, token, router in sorted(found)]


def stands_by(composition: Composition, router: str) -> bool:
    """Whether the last that a router has told is that it does not act."""
    last = [line["message"] for line in composition.told(router)][-1]
    return last in {"router standby", "router begins from a snapshot"}


def test_a_backup_is_made_and_restored(composition: Composition) -> None:
    made = composition.manage("backup")
    assert made.startswith("/var/backups/motherfluxer/")
    assert composition.in_site(RESTORED.format(made=made)).split()[-1] == "reader@example.org"


def test_an_upgrade_replaces_one_after_the_other(composition: Composition, key: str) -> None:
    old = {one["Image"] for one in composition.containers("web")}
    with (composition.folder / "LICENSE").open("a") as file:
        file.write("\n")
    with Askers(composition) as askers:
        said = composition.make("up", WEB="2")
    assert said.count("A new web in the place") == 2
    assert said.count("A new router in the place") == 2
    assert set(askers.codes) == {401}, askers.codes
    for service, count in (("web", 2), ("router", 2), ("worker", 1), ("beat", 1)):
        made = composition.containers(service)
        assert len(made) == count
        assert not {one["Image"] for one in made} & old
    assert "MotherFluxer" in ask(composition, key)


def test_secrets_are_rotated_as_the_manual_says(composition: Composition, key: str) -> None:
    secrets = composition.folder / "var" / "compose"
    old = {one["Id"] for one in composition.containers() if service_of(one) in ROLLED}
    (secrets / "metrics_token").write_text("another\n")
    composition.script(ROTATED)
    with Askers(composition) as askers:
        composition.make("roll")
    assert set(askers.codes) == {401}, askers.codes
    new = [one for one in composition.containers() if service_of(one) in ROLLED]
    assert len(new) == len(old)
    assert not old & {one["Id"] for one in new}
    assert composition.in_site(SCRAPED) == "200"
    composition.script(OLD_ONES_OUT)
    composition.compose("restart", "redis")
    wait_until(lambda: is_ready(composition), "the instance is back", UP_S)
    assert "MotherFluxer" in ask(composition, key)


def test_no_other_secrets_are_made_for_data_that_are_here(composition: Composition) -> None:
    secrets = composition.folder / "var" / "compose"
    secrets.rename(secrets.with_name("away"))
    said = composition.run("make", "up")
    assert said.returncode != 0
    assert f"{composition.project}_postgres, but not their secrets" in said.stderr
    secrets.with_name("away").rename(secrets)


def test_a_second_up_changes_nothing(composition: Composition) -> None:
    credential = composition.compose("exec", "-T", "model", "cat", "/instance/credential")
    assert "All are there" in composition.make("up", WEB="2")
    assert composition.compose("exec", "-T", "model", "cat", "/instance/credential") == credential


def test_down_keeps_what_was_said(composition: Composition) -> None:
    said = composition.make("down")
    assert "Everything is kept" in said
    assert composition.containers() == []
    volumes = composition.docker("volume", "ls", "-q").split()
    assert f"{composition.project}_postgres" in volumes
