"""An operator checks a machine on which an instance of the same name is already at work."""

import json
import subprocess
import sys
from pathlib import Path

from tests.sites import Instance, Site, base_env, http_request


def run_check(site: Site, credential: str, folder: Path) -> subprocess.CompletedProcess[str]:
    secret = folder / "credential"
    secret.write_text(credential)
    secret.chmod(0o600)
    return subprocess.run(
        [
            *(sys.executable, "-m", "motherfluxer_model.cli", "check", "--engine=echo"),
            *(f"--router=http://localhost:{site.port}", "--name=busy", "--health-port=0"),
            f"--credential-file={secret}",
        ],
        env=base_env(),
        capture_output=True,
        text=True,
    )


def session_of(instance: Instance) -> str:
    report = json.loads(http_request(instance.health_port, "GET", "/healthz").text)
    return str(report["link"]["session"])


def test_check_takes_the_credential_and_leaves_the_running_instance_alone(
    site: Site, tmp_path: Path
) -> None:
    credential = site.issue_credential("busy")
    instance = site.start_instance(name="busy", credential=credential).wait_connected()
    session = session_of(instance)
    done = run_check(site, credential, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "takes the credential" in done.stdout
    assert credential not in done.stdout + done.stderr
    assert instance.is_connected
    assert session_of(instance) == session


def test_check_tells_a_revoked_credential(site: Site, tmp_path: Path) -> None:
    credential = site.issue_credential("gone")
    site.manage("revoke_credential", "gone")
    done = run_check(site, credential, tmp_path)
    assert done.returncode == 3
    assert "FAILED   router" in done.stdout
