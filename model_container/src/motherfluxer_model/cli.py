"""The program `motherfluxer-model`: reads options, does a command, turns errors into words."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from motherfluxer_model.bench import bench
from motherfluxer_model.check import check
from motherfluxer_model.errors import ContainerError
from motherfluxer_model.options import Options, parse_options
from motherfluxer_model.program import Program, build_engine

logger = logging.getLogger(__name__)
INTERRUPTED: Final = 130  # as shells say it; `run` has its own way to stop


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give the process's exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )
    for talkative in ("websockets", "httpx", "httpx2", "httpcore", "httpcore2"):
        logging.getLogger(talkative).setLevel(logging.ERROR)  # headers hold the credential
    code = 0
    try:
        options = parse_options(argv, os.environ)
        code = asyncio.run(_start(options))
    except ContainerError as error:
        print(f"motherfluxer-model: {error}", file=sys.stderr)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:  # nobody reads on, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


async def _start(options: Options) -> int:
    return await COMMANDS[options.command](options)


async def _run(options: Options) -> int:
    for warning in options.warnings:
        logger.warning("%s", warning)
    await Program(options, build_engine(options)).run()
    return 0


COMMANDS: Final[dict[str, Callable[[Options], Awaitable[int]]]] = {
    "run": _run,
    "check": check,
    "bench": bench,
}


if __name__ == "__main__":
    sys.exit(main())
