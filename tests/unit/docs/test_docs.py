"""The documents keep up with the code: every code has its line, every link its target."""

import re
from pathlib import Path

import pytest

from apps.router.errors import ErrorCode
from motherfluxer_wire.errors import WireRule

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#([^)]+))?\)")


def lines_of(page: str) -> list[str]:
    return (ROOT / "docs" / page).read_text().splitlines()


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_has_its_line_with_its_status(code: ErrorCode) -> None:
    found = [line for line in lines_of("errors.md") if line.startswith(f"| `{code}` |")]
    assert len(found) == 1
    assert f"| {code.http_status} |" in found[0]


@pytest.mark.parametrize("page", ["errors.md", "protocol.md"])
@pytest.mark.parametrize("rule", WireRule)
def test_every_rule_of_the_wire_has_its_line(rule: WireRule, page: str) -> None:
    assert len([line for line in lines_of(page) if line.startswith(f"| `{rule}` |")]) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target
