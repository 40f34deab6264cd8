"""The script of the hosts, run with stand-ins for the programs that it calls."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
import yaml
from cryptography.fernet import Fernet

from tests.integration.aws.templates import FOLDER, properties_of, template_read

BIN: Final = Path(sys.executable).parent
SITE: Final = template_read("site")
SCRIPT: Final[str] = SITE["Mappings"]["Host"]["Script"]["Text"]
FUNCTIONS: Final = SCRIPT.rpartition('"${@:-start}"')[0]
SECRETS: Final = {
    "DATABASE_PASSWORD": "db-password",
    "REDIS_TOKEN": "redis-token",
    "FIELD_ENCRYPTION_KEYS": "a1B2" * 10 + "xyz",
    "EMAIL_URL": "none",
}
AWS: Final = """#!/bin/bash
if [ "$1" != secretsmanager ]; then printf '%s\\n' aws "$@"; exit; fi
while [ "$1" != --secret-id ]; do shift; done
name=SECRET_${2#motherfluxer/}; printf '%s\\n' "${!name-some-$2}"
"""


DOCKER: Final = """#!/bin/bash
printf '%s\\n' docker "$@"
if [ "$1" = login ]; then cat > /dev/null; fi
"""


def said_before(role: str) -> str:
    """Return the lines that a role's template puts in front of the script."""
    template = properties_of(SITE, "AWS::EC2::LaunchTemplate")[f"{role}Template"]
    parts = template["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Join"][1]
    return str(parts[0]["Fn::Sub"][0]).replace("${Images}", "registry/motherfluxer")


def called(folder: Path, command: str, role: str = "Web") -> str:
    """Run a function of the script in a folder of its own; return what it prints."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name, text in (("aws", AWS), ("docker", DOCKER)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "secrets").mkdir()
    own = (
        f"HOME_DIR={folder}; SECRETS={folder}/secrets; VAR={folder}/var; SITE_USER={os.getuid()}\n"
    )
    done = subprocess.run(
        ["bash", "-c", said_before(role) + FUNCTIONS + own + command],
        capture_output=True,
        text=True,
        env={
            "PATH": f"{programs}:/usr/bin:/bin",
            **{f"SECRET_{name}": value for name, value in SECRETS.items()},
        },
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("role", ["Web", "Router", "Housekeeping"])
def test_shellcheck_finds_nothing(role: str) -> None:
    text = said_before(role).replace("${AWS::Region}", "${Region}") + SCRIPT
    done = subprocess.run(
        # Single words are set by CloudFormation before the shell sees them.
        [BIN / "shellcheck", "--shell=bash", "--exclude=SC2154", "-"],
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_secrets_are_files_that_the_site_alone_may_read(tmp_path: Path) -> None:
    called(tmp_path, "DATABASE_HOST=db REDIS_HOST=cache; keep_secrets")
    kept = {path.name: path for path in (tmp_path / "secrets").iterdir()}
    assert all(path.stat().st_mode & 0o777 == 0o400 for path in kept.values())
    database = urlsplit(kept["DATABASE_URL"].read_text())
    assert (database.hostname, database.password, database.path) == (
        *("db", "db-password", "/motherfluxer"),
    )
    redis = urlsplit(kept["REDIS_URL"].read_text())
    assert (redis.scheme, redis.password, redis.hostname) == ("rediss", "redis-token", "cache")
    Fernet(kept["FIELD_ENCRYPTION_KEYS"].read_text())
    assert kept["EMAIL_URL"].read_text() == ""  # not given yet


@pytest.mark.parametrize("name", ["DATABASE_PASSWORD", "METRICS_TOKEN"])
def test_secret_that_cannot_be_had_is_not_an_empty_one(tmp_path: Path, name: str) -> None:
    refuses = f'aws() {{ [[ "$*" != *{name}* ]] && command aws "$@"; }}'
    said = (
        f"{refuses}; DATABASE_HOST=db REDIS_HOST=cache; (set +e; (set -e; keep_secrets); echo $?)"
    )
    assert called(tmp_path, said) == "1\n"
    assert not (tmp_path / "secrets" / "PGPASS").exists()


def test_keys_that_were_rotated_stay_as_they_are(tmp_path: Path) -> None:
    keys = f"{Fernet.generate_key().decode()},{Fernet.generate_key().decode()}"
    called(tmp_path, f"export SECRET_FIELD_ENCRYPTION_KEYS='{keys}'; keep_secrets")
    assert (tmp_path / "secrets" / "FIELD_ENCRYPTION_KEYS").read_text() == keys


@pytest.mark.parametrize(
    ("role", "containers"),
    [("Web", ["web"]), ("Router", ["router"]), ("Housekeeping", ["worker", "beat"])],
)
def test_container_is_nobody_and_writes_nowhere(
    tmp_path: Path, role: str, containers: list[str]
) -> None:
    words = called(tmp_path, "start_containers", role).split("\n")
    runs = "\n".join(words).split("docker\nrun\n")[1:]
    assert [run.split("\n")[1] for run in runs] == containers
    for run in runs:
        flags = run.split("\n")
        assert "--read-only" in flags
        assert flags[flags.index("--user") + 1] == f"{os.getuid()}:{os.getuid()}"
        assert flags[flags.index("--cap-drop") + 1] == "ALL"
        assert flags[flags.index("--security-opt") + 1] == "no-new-privileges"
        assert flags[flags.index("--restart") + 1] == "always"
        assert "--privileged" not in flags
        assert ("8000:8000" in flags) == (role == "Web")


@pytest.mark.parametrize("name", ["router", "worker", "beat"])
def test_container_that_hangs_is_told_as_in_the_composition(tmp_path: Path, name: str) -> None:
    role = "Router" if name == "router" else "Housekeeping"
    words = called(tmp_path, f"CONTAINERS={name}; start_containers", role).split("\n")
    services = yaml.safe_load((FOLDER.parents[1] / "docker-compose.yml").read_text())["services"]
    asked = services[name]["healthcheck"]["test"][1].replace("$$", "$")
    assert words[words.index("--health-cmd") + 1] == asked


@pytest.mark.parametrize(("ids", "said"), [("", ""), ("a\nb\n", "docker\nrestart\na\nb\n")])
def test_container_that_hangs_is_started_again(tmp_path: Path, ids: str, said: str) -> None:
    stand_in = (
        f'docker() {{ [ "$*" = "ps --quiet --filter health=unhealthy" ] && printf "{ids}"; }}'
    )
    assert called(tmp_path, f"{stand_in}; heal") == said


def test_release_migrates_before_it_publishes(tmp_path: Path) -> None:
    said = called(tmp_path, "release 1.2.4", "Housekeeping")
    order = ["motherfluxer:1.2.4\npython\nmanage.py\nmigrate", "collectstatic", "aws\ns3\nsync"]
    places = [said.index(word) for word in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("ending", "outcome"), [("return 0", "made whole"), ("return 1", "not made")]
)
def test_dump_that_broke_off_is_no_backup(tmp_path: Path, ending: str, outcome: str) -> None:
    stand_ins = f"""
        BACKUPS_BUCKET=b DATABASE_HOST=db; chown() {{ :; }}; cd {tmp_path}
        pg_dump() {{ echo whole; {ending}; }}
        aws() {{ if [ "$1" = s3 ]; then cat > part && mv part uploaded; fi; }}
    """
    tell = "if [ -e uploaded ]; then echo made $(cat uploaded); else echo not made; fi"
    said = called(tmp_path / "host", f"{stand_ins} backup || true; wait; {tell}", "Housekeeping")
    assert said == f"{outcome}\n"


def test_host_that_steadily_runs_is_told_from_one_that_starts_again_and_again(
    tmp_path: Path,
) -> None:
    steady = "states() { echo running since then; }; sleep() { :; }; await_containers && echo well"
    assert "well" in called(tmp_path / "a", steady, "Router")
    restless = (
        "states() { echo running $((++n)) $RANDOM; }; sleep() { :; }; await_containers || echo no"
    )
    assert "no" in called(tmp_path / "b", restless, "Router")


LEAVING = """
    TARGETS=targets
    sleep() { echo "slept $1"; }
    about_host() { if [ "$1" = instance-id ]; then echo i-1; else state Terminated InService; fi; }
    state() { echo >> asked; if (($(wc -l < asked) > AFTER)); then echo "$1"; else echo "$2"; fi; }
    aws() {
        case $2 in
            describe-target-health) echo "${HEALTH-healthy}" ;;
            complete-lifecycle-action) if ((REFUSED-- > 0)); then return 1; fi; echo "told $*" ;;
            *) echo "$2" ;;
        esac
    }
    docker() { echo "docker $1"; }
"""


@pytest.mark.parametrize(
    "by", ["AFTER=1", "AFTER=9 HEALTH=draining", "AFTER=9 HEALTH=draining REFUSED=2"]
)
def test_web_host_stops_when_nobody_new_comes(tmp_path: Path, by: str) -> None:
    said = called(tmp_path / "host", f"cd {tmp_path}; REFUSED=0; {by}; {LEAVING} leave")
    happened = [line for line in said.splitlines() if line not in {"slept 15", "slept 5"}]
    assert happened[:3] == ["deregister-targets", "slept 10", "docker stop"]
    assert "motherfluxer-web --lifecycle-hook-name terminating" in happened[3]
    assert len(happened) == 4


def test_host_without_a_place_at_the_balancer_only_stops(tmp_path: Path) -> None:
    command = f"cd {tmp_path}; REFUSED=0 AFTER=2; {LEAVING} leave"
    said = called(tmp_path / "host", command, "Router").splitlines()
    assert said[:3] == ["slept 15", "slept 15", "docker stop"]
    assert "motherfluxer-router --lifecycle-hook-name terminating" in said[3]


def test_site_runs_as_a_user_without_a_name() -> None:
    assert "SITE_USER=10001\n" in SCRIPT
