"""Does after the answer what must not show in the answer's time: mails, and whom they are for.

Who measures how long a page takes must not learn whether an address is known here. A thread of this
process does it: what it handles (links that open accounts) is in no queue that others could read.
"""

import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from django.conf import settings
from django.db import connections
from django.urls import get_urlconf, set_urlconf

logger = logging.getLogger(__name__)

# Begun once the page is surely answered: else the work for a known address would slow its answer.
_LATER_S = (0.2, 0.7)
# Most of them wait for that moment or for the mail server. Python lets them end with the process.
_threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="accounts")


def in_background(job: Callable[[], object]) -> None:
    """Have a job done soon, in the caller's context; with the setting off, now."""
    if settings.ACCOUNTS_IN_BACKGROUND:
        _threads.submit(copy_context().run, _done, job, get_urlconf())
    else:
        job()


def _done(job: Callable[[], object], urlconf: str | None) -> None:
    set_urlconf(urlconf)  # the one thing of the context that asgiref lets no other thread have
    try:
        time.sleep(random.uniform(*_LATER_S))  # noqa: S311  # it need not be unguessable
        job()
    except Exception:  # the rim of a task: nobody waits for it, so the log is the only witness
        logger.exception("A job in the background failed.")
    finally:
        connections.close_all()
