"""What a machine and a container's group leave, as Linux tells it."""

import os
from pathlib import Path

import pytest

from motherfluxer_model import memory


@pytest.mark.parametrize(
    ("most", "used"),
    [
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ],
)
def test_limit_of_the_group_counts_where_it_is_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, used: str
) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    (tmp_path / "memory").mkdir()
    (tmp_path / most).write_text("1000000\n")
    (tmp_path / used).write_text("400000\n")
    assert memory.available_bytes() == 600_000
    (tmp_path / used).write_text("1400000\n")
    assert memory.available_bytes() == 0


@pytest.mark.parametrize("most", ["max\n", str(2**63 - 4096)])
def test_group_without_a_limit_leaves_what_the_machine_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    (tmp_path / "memory.max").write_text(most)
    (tmp_path / "memory.current").write_text("400000\n")
    left = memory.available_bytes()
    assert left is not None
    assert 2**20 < left < 2**50


def test_process_tells_what_it_holds() -> None:
    held = memory.resident_bytes(os.getpid())
    assert held is not None
    assert held > 2**20
    assert memory.resident_bytes(2**30) is None
