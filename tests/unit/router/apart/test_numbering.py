"""Each letter arrives once and in order, whatever is written twice or lost before it was read."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from apps.router.apart.numbering import KEPT_S, Batch, Incoming, Outgoing

ACTS = st.lists(st.sampled_from(["put", "put", "write", "read", "lose"]), max_size=60)


@given(ACTS)
def test_every_letter_arrives_once_in_order(acts: list[str]) -> None:
    outgoing, incoming = Outgoing(), Incoming()
    pipe: list[Batch] = []
    sent: list[int] = []
    got: list[int] = []
    for act in [*acts, "lose", "write", "read"]:
        if act == "put":
            outgoing.put(msgspec.msgpack.encode(len(sent)))
            sent.append(len(sent))
        elif act == "write":
            batches = outgoing.batches()
            pipe += batches
            outgoing.written(len(batches), now=0.0)
        elif act == "read":
            for batch in pipe:
                letters = msgspec.msgpack.decode(batch.payload)
                got += letters[incoming.news_in(batch.first, len(letters)) :]
            pipe.clear()
        else:
            pipe.clear()
            outgoing.lost()
        unwritten = sum(len(batch.payload) for batch in outgoing.unwritten)
        assert outgoing.size_bytes == unwritten + sum(map(len, outgoing.waiting))
    assert got == sent
    assert outgoing.size_bytes == 0
    assert incoming.missed_count == 0


def test_what_was_written_long_ago_is_not_written_again() -> None:
    outgoing = Outgoing()
    for now in (0.0, KEPT_S + 1.0):
        outgoing.put(b"\x01")
        outgoing.written(len(outgoing.batches()), now)
    outgoing.lost()
    assert [batch.first for batch in outgoing.batches()] == [1]


def test_a_gap_is_counted_and_what_follows_is_taken() -> None:
    incoming = Incoming()
    assert incoming.news_in(3, 2) == 0
    assert incoming.missed_count == 3
    assert incoming.news_in(4, 3) == 1
