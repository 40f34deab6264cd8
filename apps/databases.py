"""Which errors say that the database cannot be reached now, whoever asked it."""

from typing import Final

from django.db import InterfaceError, OperationalError

# Among them a query that waited too long for a lock or a connection: it, too, may go next time.
DATABASE_AWAY: Final = (OperationalError, InterfaceError)
AGAIN_IN_S: Final = 5
DATABASE_AWAY_WORDS: Final = (
    "The site cannot reach its database for a moment. Nothing was changed; try again soon."
)
