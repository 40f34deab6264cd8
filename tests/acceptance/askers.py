"""Programs that go on asking through the proxy, and remember how they were answered."""

import threading
from collections import Counter
from types import TracebackType
from typing import Final, Self

from tests.acceptance.composition import Composition
from tests.sites import wait_until

ASKERS_COUNT: Final = 4
BODY: Final = {"model": "any", "messages": [{"role": "user", "content": "Hello?"}]}


class Askers:
    """Send questions without a key: a web process reads each whole and answers 401.

    codes: how often each status was answered.
    """

    def __init__(self, composition: Composition) -> None:
        self.codes: Counter[int | str] = Counter()
        self._composition = composition
        self._is_enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(ASKERS_COUNT)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for(1)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_enough.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, count: int) -> None:
        """Wait until so many more have been answered."""
        enough = self.codes.total() + count
        wait_until(lambda: self.codes.total() >= enough, f"{count} more answers")

    def _ask(self) -> None:
        with self._composition.client() as client:
            while not self._is_enough.wait(0.01):
                try:
                    code: int | str = client.post("/v1/chat/completions", json=BODY).status_code
                except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
                    code = repr(error)
                self.codes[code] += 1
