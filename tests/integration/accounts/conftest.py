"""What the tests of accounts share."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def no_attempts_counted() -> Iterator[None]:
    """Begin with rate limits that nobody has used, and leave none behind."""
    cache.clear()
    yield
    cache.clear()
