"""Lets schemathesis ask a live site whatever its schema allows, and what it does not.

`make fuzz` runs it with 10,000 cases and more; the suite with fewer.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.sites import running_site
from tests.sites import ROOT, Site

SEED: Final = 20261124
# No limits but those of the machine: it is the answers that are looked at.
NO_LIMITS: Final = {
    "REST_LIMIT": "100000000/minute",
    "REST_ADDRESS_LIMIT": "100000000/minute",
    "API_REQUESTS_PER_MINUTE": "100000000",
}
_CONVERSATION: Final = """
from django.contrib.auth import get_user_model
from apps.chat.models import Conversation, Message
owner = get_user_model().objects.get(email="{email}")
made = Conversation.objects.create(owner=owner, title="First")
Message.objects.create(conversation=made, number=0, role="user", content="What?")
Message.objects.create(conversation=made, number=1, role="assistant", content="That.")
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How a run went. `checks`, `failures`: by check, how often it was made and how often failed.

    A status of 0: no answer came.
    """

    cases: int
    statuses: dict[int, int]
    checks: dict[str, int]
    failures: dict[str, int]
    took_s: float
    output: str


def prepared_key(site: Site) -> str:
    """Give a site something to find: echo instances, a conversation; return an operator's key.

    One of the instances is another operator's, so that it stays when credentials are revoked.
    """
    other = f"superadmin@{site.domain}"
    lasting = ("--skip-checks", "--operator", other, "--name", "lasting")
    credential = site.manage("issue_credential", *lasting).strip()
    site.start_instance("echo", name="lasting", slots=16, credential=credential).wait_connected()
    site.start_instance("echo", name="fuzzed").wait_connected()
    email = f"operator@{site.domain}"
    site.manage("shell", "-c", _CONVERSATION.format(email=email))
    return site.api_key(email)


def site_fuzz(site: Site, key: str, folder: Path, *options: str) -> Found:
    """Run schemathesis against a site with an operator's key."""
    report = folder / "events.ndjson"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={ROOT / 'tests' / 'schemathesis.toml'}",
        *("run", f"{site.url}/api/schema/", f"--url={site.url}"),
        *("--header", f"Authorization:Bearer {key}", f"--seed={SEED}", "--continue-on-failure"),
        *("--warnings=off", "--suppress-health-check=all", "--generation-database=none"),
        *("--report=ndjson", f"--report-ndjson-path={report}", "--no-color"),
        *options,
    ]
    env = {
        **os.environ,
        "FUZZING_KEY_ID": key.split("_")[1],
        "SCHEMATHESIS_HOOKS": "tests.fuzzing_hooks",
        "PYTHONPATH": str(ROOT),
    }
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    took_s = time.monotonic() - began
    if not report.exists():
        raise AssertionError(done.stdout + done.stderr)
    return _found(report, took_s, done.stdout)


def _found(report: Path, took_s: float, output: str) -> Found:
    """Read what was sent, how it was answered, and which checks failed."""
    statuses: Counter[int] = Counter()
    checks: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for exchange in recorder.get("interactions", {}).values():
            statuses[(exchange["response"] or {}).get("status_code", 0)] += 1
        for of_case in recorder.get("checks", {}).values():
            checks.update(check["name"] for check in of_case)
            failures.update(check["name"] for check in of_case if check["status"] != "success")
    return Found(
        cases=statuses.total(),
        statuses=dict(sorted(statuses.items())),
        checks=dict(sorted(checks.items())),
        failures=dict(failures),
        took_s=took_s,
        output=output,
    )


def main() -> int:
    """Fuzz a fresh site, print what was found, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--max-examples", type=int, default=400, help="of each address, at most")
    asked = parser.parse_args()
    with running_site(None, **NO_LIMITS) as site, tempfile.TemporaryDirectory() as folder:
        key = prepared_key(site)
        found = site_fuzz(site, key, Path(folder), f"--max-examples={asked.max_examples}")
        is_key_good = site.get("/api/account/", Authorization=f"Bearer {key}").status == 200
    lines = [
        found.output,
        f"{found.cases} cases in {found.took_s:.0f} s, seed {SEED}",
        *(f"{count:>7} answers {status}" for status, count in found.statuses.items()),
        *(f"{count:>7} times {name}" for name, count in found.checks.items()),
        f"failed: {found.failures or 'none'}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(found.failures) or not is_key_good)


if __name__ == "__main__":
    sys.exit(main())
