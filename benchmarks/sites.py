"""A fresh site to measure on."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.sites import ROOT, Site, base_env


@contextlib.contextmanager
def running_site(folder: Path | None = None, **env: str) -> Iterator[Site]:
    """Run a fresh site, without any instance; its folder stays only where one is given."""
    with contextlib.ExitStack() as stack:
        if folder is None:
            made = tempfile.TemporaryDirectory(prefix="motherfluxer-bench-")
            folder = Path(stack.enter_context(made))
        own = {**base_env(), "MOTHERFLUXER_VAR": str(folder), **env}
        prepare = [sys.executable, "-m", "motherfluxer.local_setup"]
        subprocess.run(prepare, cwd=ROOT, env=own, check=True, stdout=subprocess.DEVNULL)
        site = Site(folder, own)
        stack.callback(site.close)
        yield site.start()
