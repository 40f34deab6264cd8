"""Gunicorn's worker: the same server as `python -m motherfluxer.server`, started by a master.

uvicorn-worker's class would pass gunicorn's options on, set no other ones, and not drain.
"""

import faulthandler
import logging
import signal
import sys
import time
from typing import Final

from gunicorn.workers.base import Worker as BaseWorker

from motherfluxer.processes import die_with_parent
from motherfluxer.server import DrainingServer, process_prepared, server_config
from motherfluxer.sockets import socket_options_set

# Before the master makes another in the place of one that could not start.
RETRY_S: Final = 1.0

logger = logging.getLogger(__name__)


class Worker(BaseWorker):
    """One process that serves the site."""

    def init_signals(self) -> None:
        """Leave the signals to the server; show where it hung when the master loses patience."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # "open the log files again": there is none
        faulthandler.enable(all_threads=True)  # of SIGABRT

    def run(self) -> None:
        """Serve until a signal, or until the master is gone."""
        die_with_parent(self.ppid, signal.SIGTERM)
        config = server_config(self.wsgi, notify=self.notified, notify_s=self.timeout)
        process_prepared()
        server = DrainingServer(config)
        signal.signal(signal.SIGQUIT, server.handle_exit)
        listeners = [one.sock for one in self.sockets]  # type: ignore[attr-defined] # its wrapper
        for listener in listeners:
            socket_options_set(listener)
        try:
            server.run(sockets=listeners)
        except SystemExit:
            # Uvicorn's status would make the master stop all the others as well. Whatever this
            # one could not start for, say a database that is away, may be back for the next.
            logger.error("the worker could not start")
            time.sleep(RETRY_S)
            sys.exit(1)

    async def notified(self) -> None:
        """Tell the master that the event loop turns."""
        self.notify()
