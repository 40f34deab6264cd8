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
from motherfluxer_model.core.stops import StopFinder
from motherfluxer_model.core.text import AnswerText
from motherfluxer_model.engines.detokenise import make_decoder
from motherfluxer_model.engines.fetching import find_folder
from motherfluxer_model.engines.loading import (
    LoadedModel,
    digest_folder,
    load_folder,
    usual_kept_bytes,
)
from motherfluxer_model.engines.packing import pack_linears
from motherfluxer_model.engines.rendering import Renderer
from motherfluxer_model.engines.runner import make_runner
from motherfluxer_model.engines.sampling import Sampler
from motherfluxer_model.engines.sequence import Deliver, Runner, Sequence, Ticket
from motherfluxer_model.engines.worker import Worker
from motherfluxer_model.errors import GenerationError
from motherfluxer_wire.frames import Job, Message, Model

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
        self._renderer: Renderer | None = None
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
            sequence = await loop.run_in_executor(
                self._rendering,
                self._make_sequence,
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
        if (
            self._quantize != "no"
        ):  # other weights: no exact continuation of the whole ones' answers
            fingerprint += f"-{self._quantize}"
        self._renderer = Renderer(loaded.tokenizer)
        pack_linears(loaded.model)
        kept_bytes = (
            usual_kept_bytes(loaded.device) if self._kept_bytes is None else self._kept_bytes
        )
        runner = make_runner(
            loaded.model,
            loaded.device,
            context_tokens=loaded.context_tokens,
            kept_bytes=kept_bytes,
        )
        with contextlib.suppress(GenerationError):  # compiles the template
            self._renderer.render([Message(role="user", content="hello")])
        self._announced = [
            Model(
                name=self._name,
                revision=self._name_revision(folder, fingerprint),
                context_tokens=loaded.context_tokens,
                max_output_tokens=max(1, loaded.context_tokens // 2),
                capabilities=["chat", "continue"],
                fingerprint=fingerprint,
            )
        ]
        self._loaded = loaded
        return runner

    def _name_revision(self, folder: Path, fingerprint: str) -> str:
        if folder.parent.name == "snapshots":  # the hub's cache names a folder by its commit
            return folder.name
        return self._revision or fingerprint.removeprefix("sha256-")[:REVISION_CHARS]

    def _make_sequence(self, job: Job, ticket: Ticket, deliver: Deliver) -> Sequence:
        """Render a job, in the rendering thread. Raises GenerationError."""
        if self._loaded is None or self._renderer is None:
            raise GenerationError("overloaded", "the model is not loaded yet", retryable=True)
        model = self._announced[0]
        if job.model != model.name or job.revision not in (None, "", model.revision):
            raise GenerationError("unsupported", f"only {model.name} {model.revision} is here")
        prompt = self._renderer.render(job.messages)
        prefix_ids = self._prefix_ids(job)
        room = _room(model, len(prompt.ids), len(prefix_ids), job.sampling.max_tokens)
        stops = StopFinder([*(job.sampling.stop or ()), *prompt.stops], job.prefix)
        return Sequence(
            ticket=ticket,
            prompt_tokens=len(prompt.ids),
            todo=prompt.ids + prefix_ids,
            room=room,
            end_ids=self._loaded.end_ids,
            sampler=Sampler(job.sampling, prefix_ids),
            text=AnswerText(make_decoder(self._loaded.tokenizer, prefix_ids), stops),
            deliver=deliver,
        )

    def _prefix_ids(self, job: Job) -> list[int]:
        ids = job.prefix_token_ids
        if ids and self._loaded and max(ids) < self._loaded.vocabulary_count:
            return list(ids)
        return self._renderer.encode_answer(job.prefix) if self._renderer and job.prefix else []


def _room(model: Model, prompt_tokens: int, prefix_tokens: int, wanted: int | None) -> int:
    """Say how many tokens may still come: the answer's whole length less its prefix."""
    if prompt_tokens >= model.context_tokens:
        words = f"{prompt_tokens} tokens, but the model takes {model.context_tokens} in all"
        raise GenerationError("context_overflow", f"the conversation has {words}")
    if prompt_tokens + prefix_tokens > model.context_tokens:
        words = f"more than the model's {model.context_tokens} tokens"
        raise GenerationError("context_overflow", f"conversation and answer so far have {words}")
    whole = min(wanted or model.max_output_tokens, model.context_tokens - prompt_tokens)
    return min(whole, model.max_output_tokens) - prefix_tokens


_Delivery = tuple[Callable[[Any], None], Piece | Finished | Exception]


def _deliver_all(deliveries: list[_Delivery]) -> None:
    for put, item in deliveries:
        put(item)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[Any], None], item: object) -> None:
    """Call in the loop's thread; a loop that has ended wants to hear nothing more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, item)
