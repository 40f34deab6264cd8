"""One of several processes that take tickets of one visitor: `python -m tests.….taker`.

Prints how many it got. Arguments: the visitor's key, the address, how many it wants, and whether it
ends each ticket (`end`) or leaves its answer running (`run`).
"""

import asyncio
import sys

import django


async def main(visitor_key: str, address: str, wanted: str, then: str) -> int:
    """Ask for tickets all at once, again and again; return how many there were."""
    from apps.demo.gate import CookieVisitorGate
    from apps.router.errors import ErrorCode, JobRefusedError

    gate = CookieVisitorGate()

    async def take() -> int:
        while True:
            try:
                ticket = await gate.take(visitor_key, address)
            except JobRefusedError as refused:
                if then == "end" and refused.error.code is ErrorCode.ANSWER_RUNNING:
                    continue
                return 0
            if then == "end":
                await gate.end(ticket, is_used=True)
            return 1

    sys.stdin.readline()
    return sum(await asyncio.gather(*(take() for _ in range(int(wanted)))))


if __name__ == "__main__":
    django.setup()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdout.write(f"{asyncio.run(main(*sys.argv[1:]))}\n")
