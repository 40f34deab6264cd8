"""The models of one server as they come and go: looked at every few seconds, surveyed when new."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from motherfluxer_model.core.manner import Render
from motherfluxer_model.core.names import fit_model_name
from motherfluxer_model.engines.client import Client, UnreachableError
from motherfluxer_model.engines.files import ModelFiles, find_model_files
from motherfluxer_model.engines.listing import (
    Entry,
    Facts,
    Listing,
    make_unlisted,
    read_facts,
    read_listing,
)
from motherfluxer_model.engines.survey import Found, Survey
from motherfluxer_model.errors import EngineLoadError, GenerationError
from motherfluxer_model.upstream import Upstream
from motherfluxer_wire.frames import Model

logger = logging.getLogger(__name__)
POLL_S: Final = 3.0
FIRST_POLL_S: Final = 0.5
LONGEST_POLL_S: Final = 10.0
MAX_UNNAMED_COUNT: Final = 16
LONGEST_REST_S: Final = 60.0
KEY_REFUSED: Final = frozenset({401, 403})
SILENT_POLLS_COUNT: Final = 3  # a busy server may answer late
DOUBT_S: Final = 1.0
BLINK_S: Final = 0.2  # the answers that broke are reported meanwhile


@dataclass(frozen=True, slots=True)
class Served:
    """One model that is announced, and how to ask for it."""

    entry: Entry
    model: Model
    found: Found
    render: Render | None


class Roster:
    """Keeps `served` true, and says when it has changed."""

    def __init__(self, client: Client, upstream: Upstream, name: str, revision: str | None) -> None:
        self.served: dict[str, Served] = {}  # by the name that users ask for
        self.is_down = False
        self.when_changed: Callable[[], None] = lambda: None
        self._client = client
        self._upstream = upstream
        self._name = name
        self._revision = revision
        self._refused: dict[Entry, str] = {}  # what the server lists and cannot chat with, and why
        self._failures: Counter[Entry] = Counter()
        self._not_before: dict[Entry, float] = {}  # when one that failed for now is asked again
        self._silent_count = 0
        self._kept: dict[str, Served] = {}  # what serves again at once when the server is back
        self._blink_until = 0.0
        self._wake = asyncio.Event()

    async def begin(self) -> None:
        """Wait until something is served. Raises EngineLoadError where waiting would not help."""
        count = 0
        while True:
            try:
                listing = await read_listing(self._client)
                self._refuse_crowd(listing)
                await self._apply(listing)
                if self.served:
                    return
                self._refuse_hopeless(listing)
                words = "lists no model that can be served yet"
            except UnreachableError as error:
                words = f"does not answer yet: {error}"
            logger.info("the server at %s %s", self._upstream.url, words)
            await asyncio.sleep(min(LONGEST_POLL_S, FIRST_POLL_S * 2.0**count))
            count = min(count + 1, 16)

    async def keep(self) -> None:
        """Look again and again, for ever."""
        while True:
            wait_s = POLL_S
            if self.is_down:
                wait_s = min(POLL_S, FIRST_POLL_S * 2.0 ** (self._silent_count - 1))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._look()
            except Exception:  # the rim of the task: the next look may go well
                logger.exception("the server could not be looked at")

    async def doubt(self, is_cut: bool = False) -> None:
        """Find out, in a second at most, whether nobody is there any more.

        Whoever answers after a connection was cut (`is_cut`) may be another already: that too is a
        pause, though a short one, for the router gives the answer to the same instance again only
        if its engine is a new one.
        """
        if self.is_down:
            return
        try:
            async with asyncio.timeout(DOUBT_S):
                await read_listing(self._client)
        except UnreachableError as error:
            if error.is_refusal or is_cut:
                self._go_down(str(error))
                return
        except TimeoutError:
            if is_cut:
                self._go_down("silence")
                return
        if is_cut and not self.is_down:
            loop = asyncio.get_running_loop()
            self._go_down("it broke off an answer")
            self._blink_until = loop.time() + BLINK_S
            loop.call_at(self._blink_until, self._wake.set)
        else:
            self._wake.set()

    async def _look(self) -> None:
        try:
            listing = await read_listing(self._client)
        except UnreachableError as error:
            self._silent_count += 1
            is_busy = not error.is_refusal and self._client.is_heard_lately
            if error.is_refusal or (self._silent_count >= SILENT_POLLS_COUNT and not is_busy):
                self._go_down(str(error))
            return
        if asyncio.get_running_loop().time() < self._blink_until:
            return
        self._silent_count = 0
        if listing.status in KEY_REFUSED:
            self._go_down(f"it refuses the key: {listing.status}")
            return
        if self.is_down:
            logger.info("the server at %s is back", self._upstream.url)
            self.is_down = False
            self._refused.clear()
            self._failures.clear()
            self._not_before.clear()
            self._return_kept(listing)
        await self._apply(listing)

    def _return_kept(self, listing: Listing) -> None:
        """Serve again at once what is there as it was: somebody's answer may wait for it."""
        self.served, self._kept = self._kept, {}
        wanted = self._choose(listing)
        self.served = {name: one for name, one in self.served.items() if one.entry in wanted}
        if self.served:
            self.when_changed()

    def _go_down(self, words: str) -> None:
        if self.is_down:
            return
        self.is_down = True
        self._silent_count = max(1, self._silent_count)
        logger.warning("the server does not answer (%s): serving nothing until it is back", words)
        self._kept, self.served = self.served, {}
        self.when_changed()

    async def _apply(self, listing: Listing) -> None:
        """Drop what is gone, then survey what is new."""
        wanted = self._choose(listing)
        gone = [name for name, one in self.served.items() if one.entry not in wanted]
        for name in gone:
            logger.info("%s is gone", name)
            del self.served[name]
        if gone:
            self.when_changed()
        known = {one.entry for one in self.served.values()}
        for entry in wanted:
            is_new = entry not in known and entry not in self._refused
            is_due = self._not_before.get(entry, 0.0) <= asyncio.get_running_loop().time()
            if is_new and is_due and not self.is_down:
                await self._take_in(entry, is_alone=len(wanted) == 1)

    def _choose(self, listing: Listing) -> list[Entry]:
        """Give the entries to serve: all that are listed, or those that the operator named."""
        known = {one.entry.model_id: one.entry for one in self.served.values()}
        if listing.entries is None:  # it lives, and does not say: what was found stays
            missing = [
                make_unlisted(name)
                for name in self._upstream.model_ids
                if name not in known and f"{name}:latest" not in known
            ]
            return [*known.values(), *missing]
        listed = {entry.model_id: entry for entry in listing.entries}
        if not self._upstream.model_ids:
            return list(listed.values())[:MAX_UNNAMED_COUNT]
        chosen = []
        for model_id in self._upstream.model_ids:
            entry = listed.get(model_id) or listed.get(f"{model_id}:latest")
            was_listed = model_id in known and known[model_id].is_listed
            # A server may take a model that it never listed.
            if entry is not None or not was_listed:
                chosen.append(entry or make_unlisted(model_id))
        return chosen

    async def _take_in(self, entry: Entry, *, is_alone: bool) -> None:
        name = fit_model_name(self._name if self._name and is_alone else entry.model_id)
        if name in self.served:
            self._refuse(entry, f"another model is already served as {name}")
            return
        logger.info("asking %s what it can do", entry.model_id)
        files = self._find_files(entry)
        render = files.render if files else None
        facts = await read_facts(self._client, entry, files, self._upstream.context_tokens)
        try:
            found = await Survey(self._client, entry.model_id, facts, render).run()
        except GenerationError as error:
            if error.retryable:
                self._put_off(entry, error.message)
            else:
                self._refuse(entry, error.message)
            return
        if self.is_down:  # it died meanwhile: what was found may no longer hold
            return
        model = Model(
            name=name,
            revision=self._revision or entry.revision,
            context_tokens=facts.context_tokens,
            max_output_tokens=max(1, facts.context_tokens // 2),
            capabilities=["chat", "continue"] if found.manner.way else ["chat"],
        )
        self.served[name] = Served(entry, model, found, render)
        _describe(entry, facts, found)
        self.when_changed()

    def _find_files(self, entry: Entry) -> ModelFiles | None:
        """Read the template that was given, or the folder that the operator named as the model."""
        if self._upstream.template is not None:
            return find_model_files(self._upstream.template)
        folder = Path(entry.model_id)
        is_meant = entry.model_id in self._upstream.model_ids and folder.is_dir()
        return find_model_files(folder) if is_meant else None

    def _put_off(self, entry: Entry, words: str) -> None:
        self._failures[entry] += 1
        wait_s = min(LONGEST_REST_S, FIRST_POLL_S * 2.0 ** self._failures[entry])
        self._not_before[entry] = asyncio.get_running_loop().time() + wait_s
        logger.warning("%s cannot be served yet: %s", entry.model_id, words)

    def _refuse(self, entry: Entry, words: str) -> None:
        logger.warning("%s is not served: %s", entry.model_id, words)
        self._refused[entry] = words

    def _refuse_crowd(self, listing: Listing) -> None:
        """Raise EngineLoadError for a list too long to be meant: each model would be asked."""
        count = len(listing.entries or ())
        if count > MAX_UNNAMED_COUNT and not self._upstream.model_ids:
            raise EngineLoadError(f"the server lists {count} models: name yours with --model")

    def _refuse_hopeless(self, listing: Listing) -> None:
        """Raise EngineLoadError where the operator has to change something."""
        if listing.status in KEY_REFUSED:
            raise EngineLoadError("the server refuses the key: see --upstream-key-file")
        if listing.entries is None and not self._upstream.model_ids:
            words = f"the server lists no models ({listing.status}): is {self._upstream.url} right?"
            raise EngineLoadError(f"{words} If so, name them with --model")
        if self._refused and len(self._refused) == len(self._choose(listing)):
            words = "; ".join(f"{one.model_id}: {why}" for one, why in self._refused.items())
            raise EngineLoadError(f"the server can chat with none of its models: {words}"[:2000])


def _describe(entry: Entry, facts: Facts, found: Found) -> None:
    way = found.manner.way
    logger.info("%s: a partial answer goes on by %s", entry.model_id, way or "nothing: not offered")
    if not facts.is_context_told:
        words = (
            "%s: the server does not tell the context, %d tokens are taken; see --context-tokens"
        )
        logger.warning(words, entry.model_id, facts.context_tokens)
    if found.is_thinking:
        logger.warning("%s thinks before it answers: turn that off, see README", entry.model_id)
    if found.is_obeying is not False:
        words = "%s: special tokens that users type %s by the server; they are broken up before"
        obeyed = "are obeyed" if found.is_obeying else "may be obeyed"
        logger.warning(words, entry.model_id, obeyed)
