"""Many answers at once: our engine beside the library's ways, on one model, in one run.

The model is a Phi of 153 million random parameters, float32. Every contender is a process of its
own; in each round all of them answer the same number of jobs, one after the other, and the best
round counts, for a shared machine only ever slows a run down.

    python -m benchmarks.engine_batching [--rounds 3] [--levels 1,4,16,32]
"""

import argparse
import contextlib
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

from tests.sites import ROOT, TINY_MODEL

Result = dict[str, float]
GOALS: Final = {
    ("plain", 1): 0.95,
    ("threads", 16): 6.0,
    ("library", 1): 1.0,
    ("library", 4): 1.0,
    ("library", 16): 1.0,
    ("library", 32): 1.3,
    ("serve", 1): 1.0,
    ("serve", 4): 1.0,
    ("serve", 16): 1.0,
    ("serve", 32): 1.3,
}
WORDS: Final = {
    "ours": "the container's engine",
    "plain": "one `generate` after the other",
    "threads": "a `generate` per job, in threads",
    "library": "transformers' continuous batching",
    "serve": "`transformers serve`, batching",
}


class Contender(Protocol):
    """Whoever answers many jobs at once."""

    def ask(self, **asked: int) -> Result:
        """Do it, and give the figures."""
        ...

    def close(self) -> None:
        """End its process."""
        ...


class Process:
    """A contender of `benchmarks.engine_contenders`."""

    def __init__(self, name: str, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.engine_contenders", name, str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        assert self._line() == "ready", name

    def ask(self, **asked: int) -> Result:
        """Pass it on."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        result: Result = json.loads(self._line())
        return result

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


class Server:
    """`transformers serve` with its continuous batching, asked over HTTP."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        program = str(Path(sys.executable).parent / "transformers")
        command = [program, "serve", str(folder), "--continuous-batching", "--port", str(port)]
        self.url, self.model, self.number = f"http://127.0.0.1:{port}", str(folder), 0
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [*command, "--dtype", "float32", "--cb-max-memory-percent", "0.1"],
            cwd=ROOT,
            stdout=quiet,
            stderr=quiet,
        )
        self._wait()
        self._stream(2)

    def ask(self, **asked: int) -> Result:
        """Ask so many questions at once."""
        jobs, tokens = asked["jobs"], asked["tokens"]
        started_s = time.perf_counter()
        with ThreadPoolExecutor(jobs) as pool:
            answers = list(pool.map(self._stream, [tokens] * jobs))
        took_s = time.perf_counter() - started_s
        counts, firsts = zip(*answers, strict=True)
        return {"tokens_per_s": sum(counts) / took_s, "first_s": statistics.median(firsts)}

    def close(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()

    def _wait(self) -> None:
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.url}/health", timeout=5).close()  # noqa: S310
                return
            time.sleep(0.5)
        raise RuntimeError("transformers serve does not start")

    def _stream(self, tokens: int) -> tuple[int, float]:
        from benchmarks.engine_contenders import question

        self.number += 1
        turn = {"role": "user", "content": question(self.number)}
        body = {"model": self.model, "messages": [turn], "max_tokens": tokens, "stream": True}
        body |= {"temperature": 0.0}
        request = urllib.request.Request(  # noqa: S310  our own server on loopback
            f"{self.url}/v1/chat/completions",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        started_s, first_s, count = time.perf_counter(), 0.0, 0
        with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310
            for line in answer:
                count += b'"content":' in line and b'"content":""' not in line
                first_s = first_s or (time.perf_counter() - started_s if count else 0.0)
        return tokens, first_s


def make_model(folder: Path) -> Path:
    """Save a random Phi of 153 million parameters with the bundled tokenizer."""
    import torch
    from transformers import PhiConfig, PhiForCausalLM

    shutil.copytree(TINY_MODEL, folder)
    template = folder / "chat_template.jinja"  # the tiny model is shown its last turns only
    template.write_text(template.read_text().replace("turns[-7:]", "turns"))
    config = PhiConfig.from_pretrained(TINY_MODEL)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 1024, 4096, 12
    config.num_attention_heads = config.num_key_value_heads = 16
    config.max_position_embeddings = 2048
    torch.manual_seed(1)
    model = PhiForCausalLM(config)
    with torch.no_grad():
        model.lm_head.bias[config.eos_token_id] = -1e4  # every answer is as long as asked for
    model.save_pretrained(folder)
    return folder


@contextlib.contextmanager
def contenders(names: list[str], folder: Path) -> Iterator[dict[str, Contender]]:
    """Start all of them."""
    running: dict[str, Contender] = {}
    try:
        for name in names:
            running[name] = Server(folder) if name == "serve" else Process(name, folder)
        yield running
    finally:
        for one in running.values():
            one.close()


def compare(folder: Path, levels: list[int], rounds: int) -> dict[tuple[str, int], Result]:
    """Let everybody answer at every level; give the best round of each."""
    best: dict[tuple[str, int], Result] = {}
    with contenders(list(WORDS), folder) as running:
        for level in levels:
            for _ in range(rounds):
                for name, contender in running.items():
                    if name in ("plain", "threads") and (name, level) not in GOALS:
                        continue
                    result = contender.ask(jobs=level, tokens=48 if level == 1 else 24)
                    old = best.get((name, level))
                    if old is None or result["tokens_per_s"] > old["tokens_per_s"]:
                        best[name, level] = result
    return best


def show(best: dict[tuple[str, int], Result]) -> None:
    """Print the table."""
    print("\njobs  contender                           tokens/s  first token  ours is  goal")
    for (name, level), result in best.items():
        ours = best["ours", level]["tokens_per_s"] / result["tokens_per_s"]
        goal = GOALS.get((name, level))
        print(
            f"{level:4}  {WORDS[name]:34}{result['tokens_per_s']:10.1f}{result['first_s']:11.2f} s"
            + (f"{ours:8.2f} x" if name != "ours" else " " * 10)
            + (f"{goal:6.2f}" if goal else "")
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--levels", default="1,4,16,32")
    asked = parser.parse_args()
    levels = [int(level) for level in asked.levels.split(",")]
    with tempfile.TemporaryDirectory(prefix="motherfluxer-bench-") as temporary:
        folder = make_model(Path(temporary) / "phi-153m")
        show(compare(folder, levels, asked.rounds))
        with contenders(["keeping"], folder) as running:
            ours = running["keeping"]
            cancels = [ours.ask(cancel=16)["cancel_s"] for _ in range(3)]
            print(f"\ncancelled among 16: ended after {min(cancels) * 1000:.0f} ms")
            turn = ours.ask(follow_up=1500)
            print(
                f"after {turn['tokens']:.0f} tokens of conversation, first token: cold "
                f"{turn['cold_s']:.2f} s, follow-up {turn['follow_up_s']:.3f} s, "
                f"{turn['cold_s'] / turn['follow_up_s']:.0f} x as fast (goal: 10)"
            )


if __name__ == "__main__":
    main()
