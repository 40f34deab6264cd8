"""A step shown: a bar where somebody watches, lines where a log is kept."""

import io
import logging

import pytest

from motherfluxer_model.progress import Step


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def all_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def take(step: Step, clock: Clock, seconds: int) -> None:
    with step:
        for _ in range(seconds):
            clock.now_s += 1.0
            step.advance(1)


def test_log_gets_plain_lines_and_an_end(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    take(Step("loading phi", 20, is_bytes=False, stream=stream, clock=clock), clock, 20)
    assert stream.getvalue() == ""
    lines = caplog.messages
    assert lines[0] == "loading phi: 10%, 2 of 20, 18 s left"
    assert lines[-1] == "loading phi: done in 20 s"
    assert not [line for line in lines if "\r" in line or "#" in line or "\x1b" in line]


def test_terminal_gets_a_bar_that_is_wiped_away(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Terminal()
    take(Step("loading phi", 4, is_bytes=False, stream=stream, clock=clock), clock, 4)
    drawn = stream.getvalue()
    assert "loading phi [####............] 25%" in drawn
    assert drawn.endswith("\r\x1b[K")
    assert caplog.messages == ["loading phi: done in 4 s"]


def test_what_is_over_in_a_moment_says_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for stream in (io.StringIO(), Terminal()):
        with Step("loading phi", 4, stream=stream, clock=clock) as step:
            clock.now_s += 0.2
            step.advance(4)
        assert stream.getvalue() == ""
    assert caplog.messages == []


def test_broken_off_step_claims_no_end(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def break_off() -> None:
        with Step("fetching phi", 4, stream=io.StringIO(), clock=clock):
            clock.now_s += 5
            raise OSError("no route")

    with pytest.raises(OSError, match="no route"):
        break_off()
    assert caplog.messages == []


def test_bars_that_count_the_same_bytes_reach_no_further_together(clock: Clock) -> None:
    with Step("fetching phi", 100, stream=io.StringIO(), clock=clock) as step:
        for done in (10, 8, 60, 50):
            step.reach(done)
        assert step._progress.done == 60
