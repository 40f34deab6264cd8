"""Readers of `/v1` streams that ask again and again; asked by lines (`benchmarks.told`)."""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import uvloop

from benchmarks import told
from benchmarks.fake_instances import MODEL

PIECE: Final = b'"content":"'
PAUSE_AFTER_ERROR_S: Final = 0.5


@dataclass
class Tally:
    """What the readers saw."""

    tokens: int = 0
    answers: int = 0
    running: int = 0
    first_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def reset(self) -> None:
        """Begin anew; what runs goes on."""
        self.tokens = self.answers = 0
        self.first_s.clear()
        self.errors.clear()

    def told(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**vars(self), "errors": dict(self.errors)}


class Reader:
    """One client that reads one stream after the other."""

    def __init__(self, port: int, tokens: int, tally: Tally) -> None:
        self._port = port
        self._tokens = tokens
        self._tally = tally
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": "Count."}],
            "stream": True,
            "max_tokens": tokens,
        }
        sent = json.dumps(body)
        self._request = (
            "POST /v1/chat/completions HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{port}\r\nConnection: close\r\n"
            f"Authorization: Bearer {os.environ[told.VARIABLE]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n{sent}"
        ).encode()

    async def run(self, after_s: float) -> None:
        """Ask for ever; the readers begin at different times."""
        await asyncio.sleep(after_s)
        while True:
            try:
                fault = await self._ask()
            except OSError as error:
                fault = type(error).__name__
            if fault:
                self._tally.errors[fault] += 1
                await asyncio.sleep(PAUSE_AFTER_ERROR_S)
            else:
                self._tally.answers += 1

    async def _ask(self) -> str:
        """Read one answer; return what was wrong with it."""
        asked = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._tally.running += 1
        try:
            writer.write(self._request)
            status = (await reader.readline()).split()
            if status[1:2] != [b"200"]:
                return f"status {status[1:2]}"
            return await self._read(reader, asked)
        finally:
            self._tally.running -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, asked: float) -> str:
        number = 0
        while line := await reader.readline():
            if PIECE not in line:
                continue
            for piece in json.loads(line[6:])["choices"][0]["delta"]["content"].split():
                if number == 0:
                    self._tally.first_s.append(time.monotonic() - asked)
                if int(piece) != number:
                    return "text not in order"
                number += 1
                self._tally.tokens += 1
        return "" if number == self._tokens else "cut off"


async def _main(options: argparse.Namespace) -> None:
    tally = Tally()
    readers = [Reader(options.port, options.tokens, tally) for _ in range(options.streams)]
    running = [
        asyncio.create_task(reader.run(number / options.streams * options.over_s))
        for number, reader in enumerate(readers)
    ]
    await told.answer(tally.told, tally.reset)
    for task in running:
        task.cancel()


def main() -> None:
    """Read and answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--over-s", type=float, required=True)
    uvloop.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
