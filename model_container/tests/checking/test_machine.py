"""Looking at this machine: memory, disk and port."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from motherfluxer_model.checking.machine import check_machine, check_port, judge_disk, judge_memory
from motherfluxer_model.core.findings import Grade
from motherfluxer_model.options import Options

GIB = 2**30
OPTIONS = Options("", "echo", "", engine="echo", health_port=0)


@pytest.mark.parametrize(
    ("loaded", "talk", "available", "grade", "words"),
    [
        (2 * GIB, GIB, 8 * GIB, Grade.OK, "up to 1.0 GiB for whole conversations"),
        (2 * GIB, 4 * GIB, 4 * GIB, Grade.WARNING, "fewer slots"),
        (6 * GIB, 0, 4 * GIB, Grade.FAILED, "smaller model"),
        (6 * GIB, 0, None, Grade.OK, "cannot be told"),
    ],
)
def test_memory_is_set_against_the_model(
    loaded: int, talk: int, available: int | None, grade: Grade, words: str
) -> None:
    finding = judge_memory(loaded, talk, available)
    assert judge_memory(loaded, talk, available, has_card=True).grade is Grade.OK
    assert finding.grade is grade
    assert words in finding.words


def test_disk_is_set_against_the_download(tmp_path: Path) -> None:
    cache = tmp_path / "not" / "yet" / "there"
    assert judge_disk(1, cache).grade is Grade.OK
    assert judge_disk(2**60, cache).grade is Grade.FAILED


def test_port_that_is_taken_is_told() -> None:
    assert check_port(OPTIONS).grade is Grade.OK
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert check_port(replace(OPTIONS, health_port=port)).grade is Grade.WARNING


async def test_size_of_the_model_is_looked_at_where_it_runs_here(model_folder: Path) -> None:
    assert [finding.what for finding in await check_machine(OPTIONS)] == ["local port"]
    here = replace(OPTIONS, engine="transformers", model=str(model_folder))
    findings = await check_machine(here)
    assert [finding.what for finding in findings] == ["local port", "weights", "memory"]
    assert {finding.grade for finding in findings} == {Grade.OK}


async def test_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    for folder, words in ((tmp_path, "no weights"), (tmp_path / "none", "no folder")):
        options = replace(OPTIONS, engine="transformers", model=str(folder))
        _, finding = await check_machine(options)
        assert (finding.grade, finding.exit_code) == (Grade.FAILED, 4)
        assert words in finding.words
