"""Looking at the model: it loads, answers, and its speed is told."""

from pathlib import Path

import pytest

from motherfluxer_model import bench
from motherfluxer_model.checking import model
from motherfluxer_model.checking.model import check_device, check_model, judge_speed
from motherfluxer_model.core.findings import Finding, Grade
from motherfluxer_model.core.speed import Level
from motherfluxer_model.options import Options
from motherfluxer_model.upstream import Upstream

OPTIONS = Options("", "echo", "", engine="echo", model_name="echo", slots=2)


@pytest.fixture(autouse=True)
def short_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "LEVEL_S", 0.0)


async def look(options: Options) -> dict[str, Finding]:
    return {finding.what: finding async for finding in check_model(options)}


async def test_model_is_loaded_asked_and_measured() -> None:
    found = await look(OPTIONS)
    assert list(found)[:3] == ["model", "device", "answer"]
    assert "speed" in found
    assert Grade.FAILED not in {finding.grade for finding in found.values()}


async def test_model_that_does_not_load_is_told(tmp_path: Path) -> None:
    options = Options("", str(tmp_path), "", model_name="none")
    finding = (await look(options))["model"]
    assert (finding.grade, finding.exit_code) == (Grade.FAILED, 4)


async def test_server_that_is_away_is_told_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "UPSTREAM_S", 0.1)
    away = Options("", "", "", engine="openai", upstream=Upstream("http://127.0.0.1:9/v1"))
    finding = (await look(away))["model"]
    assert (finding.grade, finding.exit_code) == (Grade.FAILED, 4)
    assert "http://127.0.0.1:9/v1 has not come up" in finding.words


def test_idle_graphics_card_is_told(tmp_path: Path) -> None:
    card = tmp_path / "nvidia0"
    assert check_device({"device": "cpu"}, card).grade is Grade.OK
    card.touch()
    assert check_device({"device": "cpu"}, card).grade is Grade.WARNING
    assert check_device({"device": "NVIDIA H100"}, card).grade is Grade.OK


def test_failed_answers_are_told_with_the_speed() -> None:
    good = Level(1, 1.0, 90, 90.0, 0.1, 0.1, 2, 0)
    assert judge_speed([good]).grade is Grade.OK
    assert "90.0 at 1" in judge_speed([good]).words
    bad = Level(4, 1.0, 90, 90.0, 0.1, 0.1, 2, 3)
    assert judge_speed([good, bad]).grade is Grade.WARNING
