"""Versions side by side: the newest that both speak."""

import pytest

from motherfluxer_wire import limits
from motherfluxer_wire.versions import PROTOCOLS, protocol_choose

V1, V2, V9 = (f"motherfluxer.v{number}" for number in (1, 2, 9))


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [([V1], V1), ([V1, V2], V2), ([V2, V1], V2), ([V9, V1], V1), ([V9], None), ([], None)],
)
def test_newest_that_both_speak_is_chosen(offered: list[str], chosen: str | None) -> None:
    assert protocol_choose(offered, (V2, V1)) == chosen


def test_own_version_is_the_newest_spoken_and_at_most_one_is_beside_it() -> None:
    assert PROTOCOLS[0] == limits.PROTOCOL
    assert len(PROTOCOLS) <= 2
    assert protocol_choose([limits.PROTOCOL]) == limits.PROTOCOL
