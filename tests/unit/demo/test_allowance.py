"""Which limit is the nearer one, and when an answer comes back."""

import pytest

from apps.demo.conf import Limit, Rules
from apps.demo.gate import allowance_of
from apps.demo.ledger import Standing
from apps.router.ports import Allowance

RULES = Rules(
    per_visitor=Limit(10, 86_400),
    per_network=Limit(30, 3_600),
    everybody=Limit(100, 60),
    running_per_network=4,
)


def shown(left: int, comes_back_at: float | None, *, is_shared: bool = False) -> Allowance:
    limit = RULES.per_network if is_shared else RULES.per_visitor
    return Allowance(
        limit=limit.most,
        left=left,
        window_s=limit.window_s,
        comes_back_at=comes_back_at,
        is_shared=is_shared,
    )


@pytest.mark.parametrize(
    ("visitor", "network", "allowance"),
    [
        (Standing(0, None), Standing(0, None), shown(10, None)),
        (Standing(3, 500.0), Standing(3, 100.0), shown(7, 500.0)),
        (Standing(0, None), Standing(29, 100.0), shown(1, 100.0, is_shared=True)),
        (Standing(3, 500.0), Standing(31, 100.0), shown(0, 100.0, is_shared=True)),
        (Standing(10, 500.0), Standing(30, 100.0), shown(0, 500.0)),
        (Standing(10, 100.0), Standing(30, 500.0), shown(0, 500.0)),
        (Standing(0, None), Standing(20, 100.0), shown(10, 100.0)),
    ],
)
def test_the_nearer_limit_is_shown(
    visitor: Standing, network: Standing, allowance: Allowance
) -> None:
    assert allowance_of(RULES, visitor=visitor, network=network) == allowance
