"""The files that a host's script writes, as those read them for whom they are."""

import json
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

from apps.operations.metrics import PREFIX
from motherfluxer.env import SECRETS
from tests.integration.aws.test_host import called

ROLES = ["Web", "Router", "Housekeeping"]
AGENT = "/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl() { :; }"


@pytest.mark.parametrize("role", ROLES)
def test_agent_tells_of_the_disk_by_role(tmp_path: Path, role: str) -> None:
    called(tmp_path, f"{AGENT}; keep METRICS_TOKEN token; start_metrics", role)
    said = json.loads((tmp_path / "agent.json").read_text())
    assert said["metrics"]["namespace"] == "MotherFluxer"
    disk = said["metrics"]["metrics_collected"]["disk"]
    assert disk["measurement"] == ["used_percent"]
    assert disk["append_dimensions"] == {"role": role.lower()}
    assert said["metrics"]["aggregation_dimensions"] == [["role"]]
    assert ("logs" in said) == (role == "Web")


def test_agent_reads_the_sites_figures(tmp_path: Path) -> None:
    called(tmp_path, f"{AGENT}; keep METRICS_TOKEN token; start_metrics")
    said = json.loads((tmp_path / "agent.json").read_text())["logs"]["metrics_collected"]
    read = said["prometheus"]
    (scrape,) = yaml.safe_load(Path(read["prometheus_config_path"]).read_text())["scrape_configs"]
    assert Path(scrape["bearer_token_file"]).read_text() == "token"
    assert scrape["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
    (declared,) = read["emf_processor"]["metric_declaration"]
    assert declared["source_labels"] == ["job"]
    assert declared["label_matcher"] == f"^{scrape['job_name']}$"
    assert declared["metric_selectors"] == [f"^{PREFIX}.*"]
    assert ["job"] in declared["dimensions"]


@pytest.mark.parametrize("role", ROLES)
def test_units_start_the_script_that_was_installed(tmp_path: Path, role: str) -> None:
    write = f"write_unit() {{ printf '%s\\n' \"$2\" > {tmp_path}/$1; }}"
    command = f'{write}; systemctl() {{ echo "$*"; }}; write_units'
    said = called(tmp_path / "host", command, role).splitlines()
    for name in ("leave", "heal", "backup"):
        unit = ConfigParser(interpolation=None)
        unit.read(tmp_path / f"{name}.service")
        assert unit["Service"]["ExecStart"] == f"/usr/local/sbin/motherfluxer {name}"
    timer = ConfigParser(interpolation=None)
    timer.read(tmp_path / "backup.timer")
    assert timer["Timer"]["OnCalendar"] == "*-*-* 01:15:00 UTC"
    has_timer = "enable --now motherfluxer-backup.timer" in said
    assert has_timer == (role == "Housekeeping")
    assert "enable --now motherfluxer-leave.service motherfluxer-heal.timer" in said


def test_every_secret_that_the_site_is_told_of_is_there(tmp_path: Path) -> None:
    stand_ins = 'install() { mkdir -p "${@: -1}"; }; cp() { :; }; curl() { :; }'
    called(tmp_path, f"{stand_ins}; DATABASE_HOST=db REDIS_HOST=cache; write_settings")
    lines = (tmp_path / "site.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines)
    assert told["DJANGO_SETTINGS_MODULE"] == "motherfluxer.settings.production"
    assert told["MOTHERFLUXER_VAR"] == f"{tmp_path}/var"
    paths = {path for path in told.values() if path.startswith("/run/secrets/")}
    assert len(paths) == len([name for name in SECRETS if f"{name}_FILE" in told]) > 0
    for path in paths:
        assert (tmp_path / "secrets" / Path(path).name).exists()
