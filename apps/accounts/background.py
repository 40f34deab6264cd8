"""Does after the answer what must not show in the answer's time: mails, and whom they are for.

Who measures how long a page takes must not learn whether an address is known here. A thread of this
process does it: what it handles (links that open accounts) is in no queue that others could read.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from django.conf import settings
from django.db import connections

logger = logging.getLogger(__name__)

# Python waits for what was begun when the process ends.
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="accounts")


def in_background(job: Callable[[], object]) -> None:
    """Have a job done soon, in the caller's context; with the setting off, now."""
    if settings.ACCOUNTS_IN_BACKGROUND:
        _threads.submit(copy_context().run, _done, job)
    else:
        job()


def _done(job: Callable[[], object]) -> None:
    try:
        job()
    except Exception:  # the rim of a task: nobody waits for it, so the log is the only witness
        logger.exception("A job in the background failed.")
    finally:
        connections.close_all()
