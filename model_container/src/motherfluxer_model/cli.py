"""The command `motherfluxer-model`: reads options, runs the program, turns errors into words."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from motherfluxer_model.errors import ContainerError
from motherfluxer_model.options import Options, parse_options
from motherfluxer_model.program import Program, build_engine


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give the process's exit code."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S"
    )
    for talkative in ("websockets", "httpx", "httpcore"):
        logging.getLogger(talkative).setLevel(logging.ERROR)  # headers hold the credential
    try:
        options = parse_options(argv, os.environ)
        asyncio.run(_run(options))
    except ContainerError as error:
        print(f"motherfluxer-model: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


async def _run(options: Options) -> None:
    await Program(options, build_engine(options)).run()


if __name__ == "__main__":
    sys.exit(main())
