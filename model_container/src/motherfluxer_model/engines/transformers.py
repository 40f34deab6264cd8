"""The default engine: any causal language model that `transformers` loads."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import torch

from motherfluxer_model.core.answer import Finished, Piece
from motherfluxer_model.engines.fetching import find_folder
from motherfluxer_model.engines.loading import (
    LoadedModel,
    digest_folder,
    load_folder,
    usual_kept_bytes,
)
from motherfluxer_model.engines.packing import pack_linears
from motherfluxer_model.engines.reading import JobReader
from motherfluxer_model.engines.runner import make_runner
from motherfluxer_model.engines.sequence import Runner, Ticket
from motherfluxer_model.engines.worker import Worker
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Job, Model

CLOSE_WAIT_S: Final = 2.0
REVISION_CHARS: Final = 12


class TransformersEngine:
    """Serves one model from a hub id or a folder."""

    def __init__(
        self,
        model: str,
        *,
        model_name: str,
        revision: str | None = None,
        dtype: str = "auto",
        quantize: str = "no",
        threads: int = 0,
        kept_bytes: int | None = None,
    ) -> None:
        self._source = model
        self._name = model_name
        self._revision = revision
        self._dtype = dtype
        self._quantize = quantize
        self._threads = threads
        self._announced: list[Model] = []
        self._loaded: LoadedModel | None = None
        self._reader: JobReader | None = None
        self._tickets: dict[tuple[str, int], Ticket] = {}
        self._kept_bytes = kept_bytes
        self._outgoing: list[_Delivery] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker = Worker(self._load, self._hand_over)
        # Rendering has a thread and a tokenizer of its own: a long prompt stops no running answer.
        self._rendering = ThreadPoolExecutor(1, thread_name_prefix="render")

    async def prepare(self) -> None:
        """Fetch what is missing and load the model in the engine's thread."""
        loop = self._loop = asyncio.get_running_loop()
        loaded: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            if loaded.done():
                return
            if error is None:
                loaded.set_result(None)
            else:
                loaded.set_exception(error)

        self._worker.start(lambda error: _call(loop, tell, error))
        await loaded

    def watch(self, when_changed: Callable[[], None]) -> None:
        """Do nothing: what is served never changes."""

    @property
    def models(self) -> list[Model]:
        """The one model; known once prepared."""
        return self._announced

    @property
    def hardware(self) -> dict[str, str | int | float]:
        """What the model runs on."""
        if self._loaded is None:
            return {"device": "cpu", "cpu_count": os.cpu_count() or 1}
        about: dict[str, str | int | float] = {
            "dtype": str(self._loaded.model.dtype).removeprefix("torch."),
            "parameters_millions": round(self._loaded.parameters / 1e6, 1),
        }
        if self._loaded.device == "cuda":
            memory = torch.cuda.get_device_properties(0).total_memory
            name = torch.cuda.get_device_name(0)
            return {"device": name, "gpu_memory_gib": round(memory / 2**30, 1), **about}
        cores = {"cpu_count": os.cpu_count() or 1, "threads": self._loaded.threads}
        return {"device": "cpu", **cores, **about}

    @property
    def status(self) -> dict[str, str | int | float]:
        """How far it has come: a step may give no text, and is a sign of life."""
        return {"steps": self._worker.steps_count}

    async def generate(self, job: Job) -> AsyncIterator[Piece | Finished]:
        """Answer a job; see the port."""
        loop = asyncio.get_running_loop()
        ticket = self._tickets[(job.job, job.attempt)] = Ticket(job.job, job.attempt)
        said: asyncio.Queue[Piece | Finished | Exception] = asyncio.Queue()
        try:
            if self._reader is None:
                words = "the model is not loaded yet"
                raise GenerationError("overloaded", words, retryable=True)
            sequence = await loop.run_in_executor(
                self._rendering,
                self._reader.read,
                job,
                ticket,
                lambda item: self._outgoing.append((said.put_nowait, item)),
            )
            self._worker.submit(sequence)
            while True:
                item = await said.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            ticket.is_cancelled = True
            self._tickets.pop((job.job, job.attempt), None)

    def cancel(self, job: str, attempt: int) -> None:
        """Stop this attempt before its next token."""
        ticket = self._tickets.get((job, attempt))
        if ticket is not None:
            ticket.is_cancelled = True

    async def close(self) -> None:
        """End the thread; one that is still loading is left to end with the process."""
        for ticket in self._tickets.values():
            ticket.is_cancelled = True
        self._rendering.shutdown(wait=False, cancel_futures=True)
        wait_s = CLOSE_WAIT_S if self._loaded is not None else 0.0
        await asyncio.to_thread(self._worker.close, wait_s)

    def _hand_over(self) -> None:
        """Give what a step said to the loop, all answers at once; called in the engine's thread."""
        if self._outgoing and self._loop is not None:
            outgoing, self._outgoing = self._outgoing, []
            _call(self._loop, _deliver_all, outgoing)

    def _load(self) -> Runner:
        folder = find_folder(self._source, self._revision)
        loaded = load_folder(
            folder, dtype=self._dtype, quantize=self._quantize, threads=self._threads
        )
        fingerprint = digest_folder(folder)
        if self._quantize != "no":  # other weights: these continue no answer of the whole ones
            fingerprint += f"-{self._quantize}"
        pack_linears(loaded.model)
        kept_bytes = self._kept_bytes
        runner = make_runner(
            loaded.model,
            loaded.device,
            context_tokens=loaded.context_tokens,
            kept_bytes=usual_kept_bytes(loaded.device) if kept_bytes is None else kept_bytes,
        )
        model = Model(
            name=self._name,
            revision=self._name_revision(folder, fingerprint),
            context_tokens=loaded.context_tokens,
            max_output_tokens=max(1, loaded.context_tokens // 2),
            capabilities=["chat", "continue"],
            fingerprint=fingerprint,
        )
        self._reader = JobReader(loaded, model)
        self._announced = [model]
        self._loaded = loaded
        return runner

    def _name_revision(self, folder: Path, fingerprint: str) -> str:
        if folder.parent.name == "snapshots":  # the hub's cache names a folder by its commit
            return folder.name
        return self._revision or fingerprint.removeprefix("sha256-")[:REVISION_CHARS]


_Delivery = tuple[Callable[[Any], None], Piece | Finished | Exception]


def _deliver_all(deliveries: list[_Delivery]) -> None:
    for put, item in deliveries:
        put(item)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[Any], None], item: object) -> None:
    """Call in the loop's thread; a loop that has ended wants to hear nothing more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, item)
