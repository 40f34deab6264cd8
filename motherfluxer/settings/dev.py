"""The embedded default: one process, SQLite, no other server. What `make run` uses."""

from motherfluxer.settings.base import *  # noqa: F403
