"""The embedded default: one process, SQLite, no other server. What `make run` uses."""

from motherfluxer.settings.base import *  # noqa: F403
from motherfluxer.settings.base import DATABASES

if "sqlite" in DATABASES["default"]["ENGINE"]:
    # Opening the file anew costs more than most queries; the few threads that ask keep theirs.
    DATABASES["default"]["CONN_MAX_AGE"] = None
