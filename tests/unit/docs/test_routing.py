"""The page about routing shows what the code does."""

from pathlib import Path

import pytest

from apps.router.core.selection.rules import RULES
from apps.router.core.settings import CoreSettings
from apps.router.core.values import Health
from apps.router.simulator.faults import FAULTS
from benchmarks.routing_courses import pictures
from benchmarks.routing_docs import page_with, sections

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "routing.md").read_text()
AGAIN = "differs from the code: run `python -m benchmarks.routing_docs`"
PARTS = sections()
PICTURES = pictures()


@pytest.mark.parametrize("name", PARTS)
def test_generated_part_is_what_the_code_says(name: str) -> None:
    assert page_with(PAGE, {name: PARTS[name]}) == PAGE, f"{name} {AGAIN}"


@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_what_the_code_draws(name: str) -> None:
    assert (ROOT / "docs" / "img" / name).read_text() == PICTURES[name], f"{name} {AGAIN}"
    assert f"](img/{name})" in PAGE


def test_a_part_without_marks_is_named() -> None:
    with pytest.raises(ValueError, match="no marks for nothing"):
        page_with(PAGE, {"nothing": ""})


@pytest.mark.parametrize("name", CoreSettings.__dataclass_fields__)
def test_every_setting_has_its_value_and_a_reason(name: str) -> None:
    [line] = [line for line in PARTS["settings"].splitlines() if line.startswith(f"| `{name}` |")]
    _, value, _, reason = (cell.strip() for cell in line.strip("|").split("|"))
    assert value
    assert len(reason.split()) >= 3


@pytest.mark.parametrize("name", [*RULES, *FAULTS])
def test_every_rule_and_fault_has_its_line(name: str) -> None:
    assert len([line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]) == 1


@pytest.mark.parametrize("health", Health)
def test_every_health_is_explained(health: Health) -> None:
    found = [line for line in PAGE.splitlines() if line.startswith(f"| {health} |")]
    assert len(found) == 2  # what it means, and what it may become
