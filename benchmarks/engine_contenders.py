"""One way of generating, in a process of its own, for `benchmarks.engine_batching`.

A line in is `{"jobs": 16, "tokens": 24}`; a line out is what that many jobs at once gave:
`{"tokens_per_s": …, "first_s": …}`. `first_s` is the median time to a first token. Our engine also
answers `{"cancel": 16}` and `{"follow_up": 1500}`.
"""

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch

from motherfluxer_model.core.answer import Piece
from motherfluxer_model.engines.transformers import TransformersEngine
from motherfluxer_wire.frames import Job, Message, Sampling

Result = dict[str, float]
Run = Callable[[int, int], Result]
WORDS: Final = ("router", "picks", "an", "instance", "answer", "goes", "on", "where", "it")


def question(number: int) -> str:
    """Give a short question that no other job asks."""
    return " ".join(WORDS[(number * 7 + i * i) % len(WORDS)] for i in range(16)) + f" {number}"


class Contender:
    """A loaded model for those that call the library directly."""

    def __init__(self, folder: str) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.model.generation_config.eos_token_id = None
        self.numbers = 0

    def prompt(self) -> list[int]:
        """Give the ids of a new question."""
        self.numbers += 1
        turn = [{"role": "user", "content": question(self.numbers)}]
        ids: list[int] = self.tokenizer.apply_chat_template(
            turn, add_generation_prompt=True, return_dict=False
        )
        return ids

    def generate(self, tokens: int) -> float:
        """Run one `generate`; give the seconds to its first token."""
        started_s, first_s = time.perf_counter(), 0.0

        class Clock:
            def put(self, value: torch.Tensor) -> None:
                nonlocal first_s
                if value.numel() == 1:  # the prompt comes first
                    first_s = first_s or time.perf_counter() - started_s

            def end(self) -> None:
                pass

        ids = torch.tensor([self.prompt()])
        mask = torch.ones_like(ids)
        settings = {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens}
        self.model.generate(ids, attention_mask=mask, streamer=Clock(), **settings)
        return first_s


def plain(folder: str) -> Run:
    """One `generate` after the other."""
    contender = Contender(folder)

    def run(jobs: int, tokens: int) -> Result:
        firsts, started_s = [], time.perf_counter()
        for _ in range(jobs):
            waited_s = time.perf_counter() - started_s
            firsts.append(waited_s + contender.generate(tokens))
        return told(jobs * tokens, started_s, firsts)

    return run


def threads(folder: str) -> Run:
    """One `generate` for each job, each in a thread."""
    contender = Contender(folder)

    def run(jobs: int, tokens: int) -> Result:
        firsts: list[float] = []
        work = [
            threading.Thread(target=lambda: firsts.append(contender.generate(tokens)))
            for _ in range(jobs)
        ]
        started_s = time.perf_counter()
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        return told(jobs * tokens, started_s, firsts)

    return run


def library(folder: str) -> Run:
    """The library's own continuous batching."""
    from transformers import ContinuousBatchingConfig

    contender = Contender(folder)
    config = contender.model.generation_config
    config.eos_token_id, config.pad_token_id = -1, 0
    memory = ContinuousBatchingConfig(max_memory_percent=0.1)  # else it takes all there is
    manager = contender.model.init_continuous_batching(config, continuous_batching_config=memory)
    manager.start()

    def run(jobs: int, tokens: int) -> Result:
        prompts = [contender.prompt() for _ in range(jobs)]
        firsts: dict[str, float] = {}
        started_s = time.perf_counter()
        for prompt in prompts:
            manager.add_request(prompt, max_new_tokens=tokens, streaming=True)
        ended = 0
        while ended < jobs:
            output = manager.get_result(timeout=1)
            if output is None:
                continue
            firsts.setdefault(output.request_id, time.perf_counter() - started_s)
            ended += output.is_finished()
        return told(jobs * tokens, started_s, list(firsts.values()))

    return run


@dataclass
class Heard:
    """What was heard of one answer."""

    started_at: float
    first_s: float = 0.0
    tokens: int = 0
    text: str = ""
    stopped_at: float = 0.0
    ended_at: float = 0.0

    def add(self, piece: Piece) -> None:
        """Take a piece in."""
        self.first_s = self.first_s or time.perf_counter() - self.started_at
        self.tokens += piece.tokens
        self.text += piece.text


class Ours:
    """The container's engine."""

    def __init__(self, folder: str, *, kept_bytes: int = 0) -> None:
        self.engine = TransformersEngine(
            folder, model_name="m", dtype="float32", kept_bytes=kept_bytes
        )
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.engine.prepare())
        self.numbers = 0

    async def answer(self, talk: list[Message], tokens: int, *, stop_at: int = 0) -> Heard:
        """Answer a conversation; with `stop_at` cancel it after so many tokens."""
        self.numbers += 1
        sampling = Sampling(max_tokens=tokens, temperature=0.0)
        job = Job(f"j{self.numbers}", 1, "m", talk, sampling=sampling)
        heard = Heard(time.perf_counter())
        async for item in self.engine.generate(job):
            if isinstance(item, Piece):
                heard.add(item)
                if stop_at and heard.tokens >= stop_at and not heard.stopped_at:
                    self.engine.cancel(job.job, 1)
                    heard.stopped_at = time.perf_counter()
        heard.ended_at = time.perf_counter()
        return heard

    def run(self, jobs: int, tokens: int) -> Result:
        """Answer so many questions at once."""
        first = self.numbers + 1
        talks = [[Message("user", question(first + i))] for i in range(jobs)]

        async def all_at_once() -> list[Heard]:
            return await asyncio.gather(*(self.answer(talk, tokens) for talk in talks))

        started_s = time.perf_counter()
        answers = self.loop.run_until_complete(all_at_once())
        return told(sum(a.tokens for a in answers), started_s, [a.first_s for a in answers])

    def cancel(self, jobs: int) -> Result:
        """Cancel one of so many running answers; give the seconds until it has ended."""

        async def one_of_all() -> Heard:
            talks = [[Message("user", question(i))] for i in range(jobs)]
            others = [asyncio.create_task(self.answer(talk, 12)) for talk in talks[1:]]
            stopped = await self.answer(talks[0], 100, stop_at=3)
            await asyncio.gather(*others)
            return stopped

        heard = self.loop.run_until_complete(one_of_all())
        return {"cancel_s": heard.ended_at - heard.stopped_at}

    def follow_up(self, tokens: int) -> Result:
        """Ask once after a conversation of about so many tokens, and once more after that."""
        past, words = [], 0
        while words < tokens:
            past += [Message("user", question(words)), Message("assistant", question(words + 1))]
            words = self._prompt_tokens(past)
        talk = [*past, Message("user", question(0))]
        cold = self.loop.run_until_complete(self.answer(talk, 16))
        talk += [Message("assistant", cold.text), Message("user", question(1))]
        follow_up = self.loop.run_until_complete(self.answer(talk, 4))
        return {"tokens": words, "cold_s": cold.first_s, "follow_up_s": follow_up.first_s}

    def _prompt_tokens(self, talk: list[Message]) -> int:
        reader = self.engine._reader
        assert reader is not None
        return len(reader.renderer.render([*talk, Message("user", "x")]).ids)


def told(tokens: int, started_s: float, firsts: list[float]) -> Result:
    """Put a run in figures."""
    took_s = time.perf_counter() - started_s
    return {"tokens_per_s": tokens / took_s, "first_s": statistics.median(firsts)}


CONTENDERS: Final = {"plain": plain, "threads": threads, "library": library}


def main(name: str, folder: str) -> None:
    """Answer lines until the input ends."""
    torch.set_grad_enabled(False)
    ours = (
        Ours(folder, kept_bytes=2**30 if name == "keeping" else 0)
        if name not in CONTENDERS
        else None
    )
    run = ours.run if ours else CONTENDERS[name](folder)
    run(1, 4)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        asked = json.loads(line)
        if ours and "follow_up" in asked:
            result = ours.follow_up(asked["follow_up"])
        elif ours and "cancel" in asked:
            result = ours.cancel(asked["cancel"])
        else:
            result = run(asked["jobs"], asked["tokens"])
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
