"""The commands of `docs/aws.md`, run as they stand there against stand-ins."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.integration.aws.templates import FOLDER

PAGE: Final = (FOLDER.parents[1] / "docs" / "aws.md").read_text()
SHELLCHECK: Final = Path(sys.executable).parent / "shellcheck"
AWS: Final = """
    aws() {
        case $2 in
            describe-load-balancers) echo balancer ;;
            send-command) echo 1 ;;
            get-command-invocation) next "$RELEASED" ;;
            describe-instance-refreshes) next "$REFRESHED" ;;
            describe-instances) echo i-1 ;;
            *) echo "$AWS_REGION $*" ;;
        esac
    }
    next() { echo >> asked; echo "$1" | cut -d ' ' -f "$(wc -l < asked)"; }
    docker() { echo "docker $1"; }
    deploy() { echo "deploy $1"; }
    sleep() { :; }
    AWS_REGION=home IMAGES=images TAG=2
"""


def blocks(heading: str) -> list[str]:
    """Return the commands under a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    found: list[str] = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return found


def function(name: str) -> str:
    """Return a function that the page defines."""
    (found,) = re.findall(rf"^{name}\(\) \{{.*?\}}$", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def happened(folder: Path, commands: str) -> list[str]:
    """Run commands; return what they say, one line for each call."""
    done = subprocess.run(
        ["bash", "-c", AWS + commands],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
    )
    return done.stdout.splitlines()


def test_shell_understands_every_command() -> None:
    # Not its business: variables of another block.
    options = ["--shell=bash", "--exclude=SC2034", "--severity=warning"]
    for heading in re.findall(r"^## (.*)$", PAGE, re.MULTILINE):
        for block in blocks(heading):
            done = subprocess.run(
                [SHELLCHECK, *options, "-"], input=block, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("told", "ending"),
    [
        ("RELEASED='Pending InProgress Failed'", "Failed"),
        ("RELEASED=Success REFRESHED='- InProgress Failed'", "router: Failed"),
        ("RELEASED=Success REFRESHED='- Pending RollbackSuccessful'", "router: RollbackSuccessful"),
        ("RELEASED=Success REFRESHED='- Successful Cancelled'", "web: Cancelled"),
        (
            "RELEASED=Success REFRESHED='- Successful Successful Successful'",
            "housekeeping: Successful",
        ),
    ],
)
def test_upgrade_stops_at_the_first_step_that_fails(tmp_path: Path, told: str, ending: str) -> None:
    (block,) = blocks("Upgrade")
    said = happened(tmp_path, f"{told}; {function('release')}\n{block}")
    assert said[:2] == ["docker build", "docker push"]
    assert said[-1] == ending
    assert ("deploy site" in said) == ("Success" in told.partition(" ")[0])


def test_first_release_is_tried_until_its_host_is_there(tmp_path: Path) -> None:
    (block,) = [one for one in blocks("From nothing to running") if "deploy site" in one]
    said = happened(tmp_path, f"RELEASED='Failed InProgress Success'; {block}")
    assert said == ["deploy site", "Failed", "Success", "deploy watch", "deploy names"]


@pytest.mark.parametrize("gone", [True, False])
def test_secrets_are_deleted_only_where_their_stack_is_gone(tmp_path: Path, gone: bool) -> None:
    (block,) = [one for one in blocks("From nothing to running") if "delete-secret" in one]
    fails = "" if gone else 'aws() { echo "$*"; [ "$2" != wait ]; }; '
    said = happened(tmp_path, fails + block)
    assert any("wait stack-delete-complete" in line for line in said)
    assert any("secretsmanager delete-secret" in line for line in said) == gone


def test_teardown_waits_for_each_stack_that_others_need_gone(tmp_path: Path) -> None:
    (block,) = blocks("Teardown")
    said = [line for line in happened(tmp_path, block) if "stack" in line]
    stacks = [("us-east-1", "names"), *(("home", n) for n in ("watch", "site", "data", "network"))]
    assert said == [
        f"{region} cloudformation {command} --stack-name motherfluxer-{name}"
        for region, name in stacks
        for command in ("delete-stack", "wait stack-delete-complete")
    ]
