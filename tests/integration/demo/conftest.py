"""A real Redis for the ledgers, whether the suite has one or not."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import running_valkey


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Yield the address of the suite's Redis, or of one that is started for this."""
    if "REDIS_URL" in os.environ:
        yield os.environ["REDIS_URL"]
        return
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="motherfluxer-redis-"))
        yield stack.enter_context(running_valkey(Path(folder)))
