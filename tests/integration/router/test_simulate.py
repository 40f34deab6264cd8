"""`manage.py simulate`: the table, the files it writes, and what it says to nonsense."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

FEW = ("--jobs", "60", "--fleet", "mixed:4", "--processes", "1")


def simulate(*options: str) -> str:
    """Run the command; return what it printed."""
    printed = StringIO()
    call_command("simulate", *FEW, *options, stdout=printed, stderr=StringIO())
    return printed.getvalue()


def rows(table: str) -> list[list[str]]:
    """Return a Markdown table's cells without its headings."""
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_it_prints_a_table_of_the_rule_that_ships() -> None:
    found = simulate()
    assert "### steady, load 80%" in found
    headings, _, row = rows(found)
    assert headings[:4] == ["rule", "first token p50", "p95", "p99 s"]
    assert row[0] == "soonest"
    assert float(row[3].strip("*")) > 0


def test_comparison_has_every_cell_and_a_verdict(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    found = simulate(
        "--compare", "soonest,random,c3", "--seeds", "2", "--load", "0.5,0.9", "--json", str(file)
    )
    titles = [line for line in found.splitlines() if line.startswith("### ")]
    conditions = ("steady", "churn", "faults")
    assert titles == [f"### {c}, load {n}%" for c in conditions for n in (50, 90)]
    assert [row[0] for row in rows(found)[2:5]] == ["soonest", "random", "c3"]
    assert found.splitlines()[-1].startswith("soonest: best p99 time to first token in ")
    data: list[dict[str, Any]] = json.loads(file.read_text())
    assert [(cell["condition"], cell["load"]) for cell in data[:2]] == [
        ("steady", "50%"),
        ("steady", "90%"),
    ]
    figures = data[0]["rules"]["soonest"]
    assert figures["all"]["jobs"] == 120
    assert set(figures["classes"]) == {"registered", "demo"}
    assert {"p50", "p95", "p99"} == set(figures["all"]["first_token_s"])
    for name in ("jain", "prefix_reuse", "attempts_per_job", "eject_s", "readmit_s"):
        assert name in figures


def test_same_words_give_the_same_figures(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        file = tmp_path / f"{name}.json"
        simulate("--faults", "leaving,slow", "--seed", "5", "--json", str(file))
        [cell] = json.loads(file.read_text())
        figures = cell["rules"]["soonest"]
        # How long the machine that simulates took is no figure of the simulation.
        found.append({key: v for key, v in figures.items() if not key.startswith("decision_p")})
    assert found[0] == found[1]


def test_plots_are_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "plots"
    found = simulate(
        "--compare", "soonest,random", "--conditions", "steady", "--plots", str(folder)
    )
    names = {path.name for path in folder.iterdir()}
    cells = {f"first-token-steady-{load}" for load in (50, 80, 95)}
    assert names == {f"{stem}.{kind}" for stem in {"comparison", *cells} for kind in ("svg", "png")}
    assert f"8 pictures in {folder}" in found
    for path in folder.iterdir():
        begin = path.read_bytes()[:300]
        assert begin.startswith(b"\x89PNG") if path.suffix == ".png" else b"<?xml" in begin


def test_fleet_and_traffic_from_files(tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.json"
    machine = {
        "name": "desk",
        "slots": 2,
        "prefill_tokens_per_s": 500,
        "decode_tokens_per_s": 20,
        "crowding": 0.2,
        "region": "far",
    }
    fleet.write_text(json.dumps([machine, {**machine, "name": "rack", "slots": 8}]))
    trace = tmp_path / "trace.csv"
    lines = [f"{n * 0.5},{100 + n},{20 + n}" for n in range(40)]
    trace.write_text("\n".join(["arrival_time,input_tokens,output_tokens", *lines]))
    out = tmp_path / "out.json"
    simulate("--fleet", str(fleet), "--trace", str(trace), "--rate", "1.5", "--json", str(out))
    [cell] = json.loads(out.read_text())
    assert cell["load"] == "1.5 a second"
    assert cell["rules"]["soonest"]["all"]["jobs"] == 40


def test_settings_change_what_happens() -> None:
    patient = simulate("--load", "3")
    hasty = simulate("--load", "3", "--set", "max_wait_s=1")
    errors = [float(rows(found)[-1][5]) for found in (patient, hasty)]
    assert errors[0] == 0 < errors[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rule", "best"), "no rule 'best'; there are soonest, random"),
        (("--compare", "soonest,best"), "no rule 'best'"),
        (("--faults", "flood"), "no fault 'flood'; there are slow, games"),
        (("--conditions", "rain"), "no condition 'rain'; there are steady, churn, faults"),
        (("--load", "much"), "--load: could not convert"),
        (("--load", "0"), "load: more than 0"),
        (("--rate", "0"), "rate: more than 0"),
        (("--jobs", "0"), "jobs: at least 1"),
        (("--seeds", "-1"), "seeds: at least 1"),
        (("--processes", "0"), "processes: at least 1"),
        (("--users", "0"), "users: at least 1"),
        (("--demo-share", "2"), "demo_share: from 0 to 1"),
        (("--fleet", "mixed"), "fleet 'mixed': mixed:COUNT, same:COUNT or a .json file"),
        (("--fleet", "none.json"), "fleet none.json: .*No such file"),
        (("--trace", "none.csv"), "No such file"),
        (("--set", "speed=1"), "no setting 'speed' that is a number"),
        (("--set", "ageing_s"), "--set NAME=NUMBER"),
        (("--set", "ageing_s=long"), "--set NAME=NUMBER"),
    ],
)
def test_nonsense_is_refused_in_words(options: tuple[str, ...], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        simulate(*options)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "fleet fleet.json: "),
        ('[{"name": "a"}]', "missing required field"),
        ("[]", "fleet fleet.json: no machine in it"),
        (
            '[{"name": "a", "slots": 0, "prefill_tokens_per_s": 1, "decode_tokens_per_s": 1,'
            ' "crowding": 0}]',
            "slots: at least 1",
        ),
    ],
)
def test_bad_fleet_file_is_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    fleet = tmp_path / "fleet.json"
    fleet.write_text(text)
    with pytest.raises(CommandError, match=words):
        simulate("--fleet", str(fleet))


def test_bad_trace_is_refused_with_its_line(tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("time,prompt_tokens,answer_tokens\n1,2,3\n2,x,3\n")
    with pytest.raises(CommandError, match=r"trace\.csv, line 3"):
        simulate("--trace", str(trace))
