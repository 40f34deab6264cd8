"""One way of generating, in a process of its own, for `benchmarks.engine_batching`.

A line in is `{"jobs": 16, "tokens": 24}`; a line out is what that many jobs at once gave:
`{"tokens_per_s": …, "first_s": …}`. `first_s` is the median time to a first token.
"""

import asyncio
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
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
    contender = Contender(folder)
    config = contender.model.generation_config
    config.eos_token_id, config.pad_token_id = -1, 0
    manager = contender.model.init_continuous_batching(generation_config=config)
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


def ours(folder: str) -> Run:
    """The container's engine."""
    engine = TransformersEngine(folder, model_name="m", dtype="float32", kept_bytes=0)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(engine.prepare())
    numbers = iter(range(10**6))

    async def answer(tokens: int) -> tuple[float, int]:
        number = next(numbers)
        sampling = Sampling(max_tokens=tokens, temperature=0.0)
        job = Job(f"j{number}", 1, "m", [Message("user", question(number))], sampling=sampling)
        started_s, first_s, count = time.perf_counter(), 0.0, 0
        async for item in engine.generate(job):
            if isinstance(item, Piece):
                first_s = first_s or time.perf_counter() - started_s
                count += item.tokens
        return first_s, count

    async def all_at_once(jobs: int, tokens: int) -> Result:
        started_s = time.perf_counter()
        answers = await asyncio.gather(*(answer(tokens) for _ in range(jobs)))
        return told(sum(count for _, count in answers), started_s, [first for first, _ in answers])

    return lambda jobs, tokens: loop.run_until_complete(all_at_once(jobs, tokens))


def told(tokens: int, started_s: float, firsts: list[float]) -> Result:
    """Put a run in figures."""
    took_s = time.perf_counter() - started_s
    return {"tokens_per_s": tokens / took_s, "first_s": statistics.median(firsts)}


CONTENDERS: Final = {"plain": plain, "threads": threads, "library": library, "ours": ours}


def main(name: str, folder: str) -> None:
    """Answer lines until the input ends."""
    torch.set_grad_enabled(False)
    run = CONTENDERS[name](folder)
    run(1, 4)
    print("ready", flush=True)
    while line := sys.stdin.readline():
        asked = json.loads(line)
        print(json.dumps(run(asked["jobs"], asked["tokens"])), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
