"""A published log: whatever was done to it is found, and the entry named."""

import json
import re
from io import BytesIO
from pathlib import Path

import msgspec
import pytest

from apps.router.records.chain import (
    BEGINNING,
    Place,
    Sealed,
    hash_of,
    read_heading,
    seal,
    write_line,
)
from apps.router.records.entries import PublicCandidate, PublicDecision, PublicEnd, entry_of
from apps.router.records.errors import BrokenLogError, Fault
from apps.router.records.log_file import verify_file, verify_lines
from tests.unit.router.records.samples import BEGUN, recorded, sealed

ROOT = Path(__file__).resolve().parents[4]


def written(path: Path, lines: list[Sealed]) -> Path:
    path.write_bytes(b"".join(write_line(line) for line in lines))
    return path


def broken(path: Path) -> BrokenLogError:
    with pytest.raises(BrokenLogError) as caught:
        verify_file(path)
    return caught.value


def test_whole_log_is_verified_to_its_last_hash(tmp_path: Path) -> None:
    lines = sealed(3)
    verified = verify_file(written(tmp_path / "log", lines))
    assert verified.count == 7
    assert verified.first == Place(1, lines[0].hash)
    assert verified.last == Place(7, lines[-1].hash)


def test_empty_log_has_no_fault(tmp_path: Path) -> None:
    assert verify_file(written(tmp_path / "log", [])).count == 0


def test_documented_lines_verify_the_log_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "routing-log.md").read_text()
    [program] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    path = written(Path("log.jsonl"), sealed(3))
    code = compile(program, "routing-log.md", "exec")
    exec(code, {})  # noqa: S102 - our own page
    assert capsys.readouterr().out == f"7 {sealed(3)[-1].hash}\n"
    path.write_bytes(path.read_bytes().replace(b"job-1", b"job-2", 1))
    with pytest.raises(AssertionError, match="entry 3 was changed"):
        exec(code, {})  # noqa: S102 - our own page


@pytest.mark.parametrize("flip", [1, 2, 32])
def test_one_changed_byte_anywhere_is_found_and_its_entry_named(flip: int) -> None:
    whole = b"".join(write_line(line) for line in sealed(1))
    number = 1
    for place, byte in enumerate(whole):
        changed = whole[:place] + bytes([byte ^ flip]) + whole[place + 1 :]
        with pytest.raises(BrokenLogError) as caught:
            verify_lines(BytesIO(changed))
        assert (caught.value.fault, caught.value.sequence) == (Fault.CHANGED, number), place
        number += byte == ord("\n")


def test_last_line_may_lack_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "log", sealed(2))
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    assert verify_file(path).count == 5


def test_part_of_a_log_is_verified_by_itself(tmp_path: Path) -> None:
    verified = verify_file(written(tmp_path / "log", sealed(3)[2:]))
    assert verified.first is not None
    assert (verified.first.sequence, verified.count) == (3, 5)


@pytest.mark.parametrize("gone", [1, 2, 5])
def test_missing_entry_is_named(tmp_path: Path, gone: int) -> None:
    lines = sealed(3)
    found = broken(written(tmp_path / "log", lines[:gone] + lines[gone + 1 :]))
    assert (found.fault, found.sequence) == (Fault.MISSING, gone + 1)


def test_swapped_and_doubled_entries_are_out_of_order(tmp_path: Path) -> None:
    lines = sealed(3)
    swapped = broken(written(tmp_path / "swapped", [*lines[:2], lines[3], lines[2], *lines[4:]]))
    assert (swapped.fault, swapped.sequence, swapped.job_id) == (Fault.REORDERED, 4, "job-1")
    doubled = broken(written(tmp_path / "doubled", [*lines[:3], lines[2], *lines[3:]]))
    assert (doubled.fault, doubled.sequence, doubled.job_id) == (Fault.REORDERED, 3, "job-1")


def test_entry_written_anew_with_a_hash_that_fits_is_found_by_the_next(tmp_path: Path) -> None:
    lines = sealed(3)
    body = lines[2].body.replace("job-1", "job-9")
    lines[2] = Sealed(body, hash_of(lines[2].previous_hash, body), lines[2].previous_hash)
    found = broken(written(tmp_path / "log", lines))
    assert (found.fault, found.sequence) == (Fault.CHANGED, 3)


def test_line_that_says_the_same_in_other_bytes_is_changed(tmp_path: Path) -> None:
    path = written(tmp_path / "log", sealed(2))
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = json.dumps(json.loads(lines[3])) + "\n"
    path.write_text("".join(lines))
    found = broken(path)
    assert (found.fault, found.sequence, found.job_id) == (Fault.CHANGED, 4, "job-1")


def test_a_real_change_is_told_before_a_rewritten_line(tmp_path: Path) -> None:
    path = written(tmp_path / "log", sealed(2))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[2]["body"] = rows[2]["body"].replace("job-1", "job-2")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert broken(path).sequence == 3


def test_exactly_these_fields_leave_the_site() -> None:
    assert PublicDecision.__struct_fields__ == (
        *("job_id", "attempt", "waited_s", "rule", "asked_model", "model_name", "revision"),
        *("service_class", "prompt_tokens", "candidates", "unlisted", "winner", "winner_index"),
        "is_fail_open",
    )
    assert PublicCandidate.__struct_fields__ == (
        *("name", "health", "open_jobs", "slots", "last_assigned", "recent_failures"),
        *("first_token_s", "token_s", "held_tokens", "score", "ruled_out"),
    )
    assert PublicEnd.__struct_fields__ == (
        *("job_id", "attempt", "instance_name", "outcome", "tokens"),
    )
    made, over, gap = (json.loads(seal(entry_of(one), BEGINNING)[1].body) for one in recorded(1))
    assert list(made) == ["decision", "kind", "made_at", "sequence"]
    assert list(over) == ["ended", "kind", "made_at", "sequence"]
    assert list(gap) == ["kind", "lost", "made_at", "sequence"]
    assert sorted(made["decision"]) == sorted(PublicDecision.__struct_fields__)
    assert sorted(made["decision"]["candidates"][0]) == sorted(PublicCandidate.__struct_fields__)
    assert sorted(over["ended"]) == sorted(PublicEnd.__struct_fields__)


def test_of_two_instances_with_one_name_the_log_tells_which_won() -> None:
    entry = entry_of(recorded(1)[0])
    told = msgspec.to_builtins(entry)["decision"]
    assert told["winner_index"] == 1
    assert [candidate["name"] for candidate in told["candidates"]] == ["Ünit", "Ünit"]


def test_heading_is_read_of_bodies_that_later_versions_write() -> None:
    body = '{"kind":"news","made_at":"2027-01-01T00:00:00Z","sequence":5,"news":{}}'
    assert (read_heading(body).sequence, read_heading(body).job_id) == (5, "")
    assert BEGUN.tzinfo is not None
