"""Events as a reader of a stream gets them."""

import json
from typing import Any

from hypothesis import strategies as st

from apps.api.dialects.base import Answer, Head
from motherfluxer_wire.frames import Usage

HEAD = Head(job_id="j1", model="lab/echo", created=1_700_000_000, request_id="r1")
# Among them those that some readers of events take for the end of a line.
texts = st.lists(st.text(min_size=1) | st.sampled_from(["\u2028", "\x85", "\n", '"\\'])).map(tuple)
usages = st.none() | st.builds(
    Usage,
    prompt_tokens=st.integers(0, 9),
    completion_tokens=st.integers(0, 9),
    cached_tokens=st.none() | st.integers(0, 99),
)


def answer(text: str, finish_reason: str = "stop", usage: Usage | None = None) -> Answer:
    """Return a whole answer."""
    return Answer(head=HEAD, text=text, finish_reason=finish_reason, usage=usage)


def events_of(sent: bytes) -> list[dict[str, Any]]:
    """Read events strictly: each has a name and one line of data that bears the same name."""
    told = sent.decode()
    assert told.splitlines() == told.split("\n")[:-1]
    assert told.endswith("\n\n")
    events = []
    for block in told[:-2].split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events
