"""The embedded default: one process, SQLite, no other server. What `make run` uses."""

from motherfluxer.settings.base import *  # noqa: F403

# A file that is edited while the site runs is served as it is now.
SERVESTATIC_AUTOREFRESH = True
