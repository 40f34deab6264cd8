"""How gunicorn runs the site: `gunicorn -c motherfluxer/gunicorn.conf.py motherfluxer.asgi`.

The sizes and times of requests stand in `server.py` and `http_protocol.py`: gunicorn's own would
be for its own parser, which is not used.
"""

import math

from django.core.exceptions import ImproperlyConfigured

from motherfluxer.env import read_environment
from motherfluxer.server import APPLICATION, GRACEFUL_SHUTDOWN_S
from motherfluxer.sockets import BACKLOG_COUNT, present_addresses

_environment = read_environment()
if _environment.web_workers > 1 and not _environment.redis_url:
    raise ImproperlyConfigured(
        "WEB_WORKERS over 1 needs REDIS_URL: each would be a site of its own."
    )

wsgi_app = APPLICATION
worker_class = "motherfluxer.worker.Worker"
workers = _environment.web_workers
bind = [
    f"[{host}]:{_environment.port}" if ":" in host else f"{host}:{_environment.port}"
    for host in present_addresses(_environment.bind)
]
# One queue for all workers: one that stops leaves its share to the others, where a queue of its
# own (SO_REUSEPORT) would be reset.
reuse_port = False
backlog = BACKLOG_COUNT
# A worker whose event loop stands still for so long is replaced.
timeout = 30
# More than a worker takes: running answers, then uvicorn's own stop, then the last writes.
graceful_timeout = math.ceil(_environment.drain_s) + GRACEFUL_SHUTDOWN_S + 10
# Heartbeats of workers: in memory, where a read-only root does not matter.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - a folder, in which gunicorn makes its files safely
control_socket_disable = True
accesslog = None
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "motherfluxer.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True}},
}
