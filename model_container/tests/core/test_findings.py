"""Findings, their lines, and the exit code that follows."""

from motherfluxer_model.core.findings import Finding, Grade, conclude

GOOD = Finding("clock", Grade.OK, "as the router's")
DOUBTFUL = Finding("memory", Grade.WARNING, "tight")


def test_finding_is_one_line_in_columns() -> None:
    assert str(GOOD) == "ok       clock       as the router's"
    assert str(Finding("router", Grade.FAILED, "no")) == "FAILED   router      no"


def test_warnings_do_not_keep_an_instance_from_joining() -> None:
    words, code = conclude([GOOD, DOUBTFUL])
    assert (words.split(":")[0], code) == ("0 failures, 1 warning", 0)


def test_first_failure_gives_the_exit_code() -> None:
    failures = [Finding("a", Grade.FAILED, "x", 3), Finding("b", Grade.FAILED, "y", 4)]
    words, code = conclude([GOOD, *failures, DOUBTFUL])
    assert (words.split(":")[0], code) == ("2 failures, 1 warning", 3)
