"""The engine's one thread: loads the model, then steps all running answers together.

Answers join and leave between two steps. A step feeds each running answer its next token and takes
along parts of waiting prompts, shared out evenly, so that a long prompt holds nobody up.
"""

import logging
import threading
import time
from collections.abc import Callable
from collections.abc import Sequence as Many

import torch

from motherfluxer_model.core.pace import PromptPace, share_out
from motherfluxer_model.engines.sampling import SpoiltLogitsError, choose_all
from motherfluxer_model.engines.sequence import Feed, Runner, Sequence

logger = logging.getLogger(__name__)


class Worker:
    """Owns the thread that touches the model; `when_stepped` is called in it after each step."""

    def __init__(self, load: Callable[[], Runner], when_stepped: Callable[[], None]) -> None:
        self._load = load
        self._when_stepped = when_stepped
        self._newcomers: list[Sequence] = []
        self._running: list[Sequence] = []
        self._pace = PromptPace()
        self._wake = threading.Condition()
        self.steps_count = 0  # counts up as long as there is work and the engine gets on with it
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def start(self, when_loaded: Callable[[BaseException | None], None]) -> None:
        """Start the thread; `when_loaded` is called in it, with the error if there was one."""
        self._thread = threading.Thread(
            target=self._run, args=(when_loaded,), name="engine", daemon=True
        )
        self._thread.start()

    def submit(self, sequence: Sequence) -> None:
        """Let an answer join."""
        with self._wake:
            self._newcomers.append(sequence)
            self._wake.notify()

    def close(self, wait_s: float) -> None:
        """End the thread after its present step; wait for that no longer than `wait_s`."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _run(self, when_loaded: Callable[[BaseException | None], None]) -> None:
        try:
            runner = self._load()
        except BaseException as error:  # noqa: BLE001  the rim of the thread: the loop raises it
            when_loaded(error)
            return
        when_loaded(None)
        with torch.inference_mode():
            while self._let_join(runner):
                self._turn(runner)
                self.steps_count += 1
                self._when_stepped()

    def _let_join(self, runner: Runner) -> bool:
        """Wait for work and take newcomers in; False: the thread is to end."""
        with self._wake:
            while not (self._newcomers or self._running or self._is_closed):
                self._wake.wait()
            newcomers, self._newcomers = self._newcomers, []
        for sequence in newcomers:
            if sequence.is_over():
                continue
            try:
                sequence.open(runner)
                self._running.append(sequence)
            except Exception as error:  # the rim of one answer: its siblings go on
                logger.exception("job %s found no place in the engine", sequence.ticket.job)
                sequence.fail(error)
        return not self._is_closed

    def _turn(self, runner: Runner) -> None:
        """Step once, and let those leave that are done."""
        wanted = [sequence for sequence in self._running if not sequence.is_over()]
        if wanted:
            self._step(runner, wanted)
        for sequence in self._running:
            if sequence.is_ended:
                runner.close(sequence.state, is_sound=not sequence.is_failed)
        self._running = [sequence for sequence in self._running if not sequence.is_ended]

    def _step(self, runner: Runner, sequences: Many[Sequence]) -> None:
        decoding = [sequence for sequence in sequences if sequence.is_decoding]
        reading = [sequence for sequence in sequences if not sequence.is_decoding]
        budget = self._pace.part_tokens(is_alone=not decoding)
        shares = share_out([len(sequence.todo) for sequence in reading], budget)
        taking = [*((s, 1) for s in decoding), *zip(reading, shares, strict=True)]
        feeds = [(s, Feed(s.state, s.todo[:count])) for s, count in taking]
        started_s = time.monotonic()
        for group in [feeds] if runner.is_joint else [[one] for one in feeds]:
            self._feed(runner, group)
        self._pace.observe(sum(shares), time.monotonic() - started_s)

    def _feed(self, runner: Runner, feeds: list[tuple[Sequence, Feed]]) -> None:
        """Feed all at once; where that fails, each by itself, so that only the broken one ends."""
        try:
            logits = runner.step([feed for _, feed in feeds])
        except Exception as error:  # the rim of one answer: its siblings go on
            logger.exception("a step over %d answers failed", len(feeds))
            if len(feeds) == 1:
                feeds[0][0].fail(error)
            else:
                for one in feeds:
                    self._feed(runner, [one])
            return
        rows = [row for row, (s, feed) in enumerate(feeds) if s.fed(len(feed.ids))]
        choosing = [feeds[row][0] for row in rows]
        if not choosing:
            return
        tokens = choose_all(logits[rows], [sequence.sampler for sequence in choosing])
        for sequence, token in zip(choosing, tokens, strict=True):
            if token is None:
                sequence.fail(SpoiltLogitsError())
            else:
                sequence.take(token)
