"""Structured logs: one JSON object a line."""

import json
import logging
from datetime import UTC, datetime
from typing import Final

from django.http import HttpRequest

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "taskName", "asctime"}


def brought(record: logging.LogRecord) -> dict[str, object]:
    """Return what `extra` brought, but for whole requests: an address may hold a secret."""
    own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: value for name, value in own.items() if not isinstance(value, HttpRequest)}


class JsonFormatter(logging.Formatter):
    """Writes level, logger, message and whatever `extra` brought: ids, never content."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(brought(record))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class NotReadyFilter(logging.Filter):
    """Leaves out Django's line about each 503 of /readyz: its asker has been told."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every other record."""
        return not record.getMessage().endswith(": /readyz")
