"""A fresh site to measure on."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.sites import ROOT, Site, base_env


@contextlib.contextmanager
def running_site() -> Iterator[Site]:
    """Run a fresh site, without any instance."""
    with tempfile.TemporaryDirectory(prefix="motherfluxer-bench-") as folder:
        env = {**base_env(), "MOTHERFLUXER_VAR": folder}
        prepare = [sys.executable, "-m", "motherfluxer.local_setup"]
        subprocess.run(prepare, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
        site = Site(Path(folder), env)
        try:
            yield site.start()
        finally:
            site.close()
