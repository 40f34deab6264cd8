"""Who asks what and when: traces are read as they come, and made into people's conversations."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from apps.router.core.values import ServiceClass
from apps.router.simulator.traffic import (
    Request,
    TraceError,
    at_rate,
    means,
    peopled,
    poisson,
    trace_read,
)

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:16:00,2000,1
"""
PLAIN = """id, arrived_at ,Request tokens,Response tokens,note
a,12.5,100,7,"hello, world"
b,10,200.0,8,
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def test_times_of_day_count_from_the_first_request(tmp_path: Path) -> None:
    found = trace_read(written(tmp_path, AZURE))
    assert [(r.prompt_tokens, r.answer_tokens) for r in found] == [(374, 44), (396, 109), (2000, 1)]
    assert [r.at for r in found] == pytest.approx([0.0, 4.314579, 13.31941], abs=1e-5)


def test_seconds_in_any_order_of_columns_and_rows(tmp_path: Path) -> None:
    assert trace_read(written(tmp_path, PLAIN)) == [Request(0.0, 200, 8), Request(2.5, 100, 7)]


def test_empty_lines_are_passed_over(tmp_path: Path) -> None:
    assert len(trace_read(written(tmp_path, AZURE.replace("\n", "\n\n")))) == 3


def test_nobody_asks_or_answers_nothing(tmp_path: Path) -> None:
    [found] = trace_read(written(tmp_path, "time,input_tokens,output_tokens\n1,0,0\n"))
    assert (found.prompt_tokens, found.answer_tokens) == (1, 1)


def test_limit_reads_no_further(tmp_path: Path) -> None:
    assert len(trace_read(written(tmp_path, AZURE + "broken\n"), limit=2)) == 2


HEAD = "time,prompt_tokens,answer_tokens\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column for at: one of timestamp, arrived_at"),
        ("time,prompt_tokens\n1,2\n", "no column for answer: one of generatedtokens"),
        (HEAD, "trace.csv: no requests in it"),
        (HEAD + "1,2,3\n2,many,3\n", "trace.csv, line 3: .*'many'"),
        (HEAD + "1,2,3\n2,3\n", "trace.csv, line 3:"),
        (HEAD + "1,2,3\n\n2,x,4\n", "trace.csv, line 4:"),
        (HEAD + "yesterday,2,3\n", "trace.csv, line 2: .*'yesterday'"),
        (HEAD + "1,inf,3\n", "trace.csv, line 2:"),
        (HEAD + "nan,2,3\n", "trace.csv, line 2:"),
        (HEAD + "1,\0,3\n", "trace.csv, line 2:"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TraceError, match=words):
        trace_read(written(tmp_path, text))


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(HEAD.encode() + b"\xff\xfe\x00,1,2\n")
    with pytest.raises(TraceError, match=r"trace\.csv"):
        trace_read(path)


def test_poisson_arrivals_come_again_with_their_seed() -> None:
    found = poisson(count=4000, prompt_tokens=1000, answer_tokens=200, seed=3)
    assert found == poisson(count=4000, prompt_tokens=1000, answer_tokens=200, seed=3)
    assert found != poisson(count=4000, prompt_tokens=1000, answer_tokens=200, seed=4)
    # Four standard errors of 4,000 exponential draws: 6 %.
    assert found[-1].at == pytest.approx(4000, rel=0.065)
    assert means(found) == pytest.approx((1000, 200), rel=0.065)


@pytest.mark.parametrize("rate", [0.5, 4.0, 100.0])
def test_stretching_keeps_the_pattern_and_meets_the_rate(rate: float) -> None:
    before = [Request(at, 10, 10) for at in (0.0, 1.0, 4.0, 10.0)]
    after = at_rate(before, rate)
    assert after[-1].at == pytest.approx(4 / rate)
    assert [r.at / after[-1].at for r in after] == pytest.approx([0.0, 0.1, 0.4, 1.0])


def people(count: int = 3000, **options: float) -> list[Request]:
    """Return requests with users."""
    before = poisson(count=count, prompt_tokens=1000, answer_tokens=200, seed=1)
    settings = {"demo_share": 0.2, "follow_ups": 0.5, **options}
    return peopled(before, users=50, context_tokens=4096, seed=1, **settings)


def test_visitors_are_a_share_and_each_is_another() -> None:
    found = people(follow_ups=0.0)
    demo = [r for r in found if r.service_class is ServiceClass.DEMO]
    assert abs(len(demo) - 600) < 88
    assert len({r.user for r in demo}) == len(demo)


def test_few_users_ask_much() -> None:
    asked = Counter(r.user for r in people(demo_share=0.0, follow_ups=0.0))
    assert set(asked) <= {f"user:{n}" for n in range(50)}
    assert asked["user:0"] > 5 * asked["user:20"]


def test_follow_up_goes_on_with_what_was_said_and_by_whom() -> None:
    found = people(follow_ups=0.7)
    turns: dict[str, list[Request]] = {}
    for request in found:
        turns.setdefault(request.conversation, []).append(request)
    assert 0.4 < 1 - len(turns) / len(found) < 0.7
    for conversation in turns.values():
        assert len({(r.user, r.service_class) for r in conversation}) == 1
        for earlier, later in pairwise(conversation):
            assert later.prompt_tokens >= earlier.prompt_tokens + earlier.answer_tokens
            assert later.at >= earlier.at


def test_without_follow_ups_every_conversation_is_new() -> None:
    found = people(follow_ups=0.0)
    assert len({r.conversation for r in found}) == len(found)


def test_prompt_and_answer_fit_the_context() -> None:
    before = [Request(0.0, 9000, 9000), Request(1.0, 9000, 10), Request(2.0, 5, 5)]
    found = peopled(before, users=1, demo_share=0, follow_ups=0, context_tokens=4096, seed=1)
    assert [(r.prompt_tokens, r.answer_tokens) for r in found] == [
        (2047, 2048),
        (4085, 10),
        (5, 5),
    ]
