"""cfn-lint and checkov have no finding that nobody gave a reason for."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.aws.templates import FOLDER, NAMES, template_read

BIN: Final = Path(sys.executable).parent
# In an environment of its own: it wants older releases of what others here need.
CHECKOV: Final = BIN.parent / "checkov" / "bin" / "checkov"


def test_cfn_lint_finds_nothing() -> None:
    templates = [str(FOLDER / f"{name}.yaml") for name in NAMES]
    done = subprocess.run([BIN / "cfn-lint", *templates], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Return what checkov says of the templates; it asks nobody."""
    command = [str(CHECKOV), "--directory", str(FOLDER), "--framework", "cloudformation"]
    options = ["--skip-download", "--output", "json"]
    done = subprocess.run(
        [*command, *options],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_checkov_finds_nothing(report: dict[str, Any]) -> None:
    failed = [
        f"{one['check_id']} {one['resource']}: {one['check_name']}"
        for one in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 100


def test_each_exception_from_checkov_has_its_reason_and_is_needed(report: dict[str, Any]) -> None:
    written = set()
    for name in NAMES:
        for resource, said in template_read(name)["Resources"].items():
            for one in said.get("Metadata", {}).get("checkov", {}).get("skip", []):
                assert len(one["comment"].split()) >= 4, (resource, one)
                written.add((f"{said['Type']}.{resource}", one["id"]))
    used = {(one["resource"], one["check_id"]) for one in report["results"]["skipped_checks"]}
    assert used == written
