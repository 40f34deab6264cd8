"""One small process for Celery's worker and its clock, for a site without servers of its own.

`celery worker -B` would fork the clock as a process that outlives a killed worker. Run it as
`python -m motherfluxer.housekeeping`.
"""

import os
import sys
import warnings

import django
from celery.beat import EmbeddedService
from celery.exceptions import SecurityWarning


def main() -> int:
    """Run the tasks when they are due, one at a time, until a signal."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "motherfluxer.settings.dev")
    django.setup()
    from motherfluxer.celery import app

    # Celery warns of root each time; in a container's own user namespace root is nobody special.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    clock = EmbeddedService(app, thread=True, schedule_filename=app.conf.beat_schedule_filename)
    clock.daemon = True
    clock.start()
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=solo",
            "--concurrency=1",
            "--loglevel=WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
