"""`make test` tells a good run from a bad one."""

from pathlib import Path

from tests.run import read_report, summary

REPORT = """<testsuites><testsuite>
<testcase classname="a" name="passes"/>
<testcase classname="a" name="fails"><failure message="no"/></testcase>
<testcase classname="a" name="breaks"><error message="no"/></testcase>
<testcase classname="a" name="waits"><skipped message="gpu: this machine has none"/></testcase>
<testcase classname="a" name="hides"><skipped message="not today"/></testcase>
</testsuite></testsuites>"""


def report(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "report.xml"
    path.write_text(text)
    return path


def test_failures_and_skips_are_counted(tmp_path: Path) -> None:
    found = read_report("all", 1, report(tmp_path, REPORT), 1.0)
    assert (found.tests, found.failed, len(found.skipped)) == (5, 2, 2)
    assert found.forbidden_skips == ["a.hides: not today"]
    assert not found.is_good
    assert "skipped (NOT ALLOWED): a.hides" in summary([found])


def test_a_forbidden_skip_alone_is_a_failure(tmp_path: Path) -> None:
    only = REPORT.replace('<failure message="no"/>', "").replace('<error message="no"/>', "")
    assert not read_report("all", 0, report(tmp_path, only), 1.0).is_good


def test_a_run_without_a_report_is_a_failure(tmp_path: Path) -> None:
    assert not read_report("all", 0, tmp_path / "missing.xml", 1.0).is_good
