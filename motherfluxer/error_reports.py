"""Reports errors to a Sentry, where one is named: what the log says of them, and no more."""

import logging
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import EventHandler

from motherfluxer.logs import brought


class ErrorReports(EventHandler):
    """A log's handler. Nothing else of the process is watched: no requests, variables or trails."""

    def __init__(self, dsn: str) -> None:
        super().__init__(logging.ERROR)
        sentry_sdk.init(
            dsn,
            before_send=_as_in_the_log,
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[
                AtexitIntegration(lambda *_: None),
                DedupeIntegration(),
                ExcepthookIntegration(),
            ],
            include_local_variables=False,
            max_breadcrumbs=0,
            send_default_pii=False,
        )


def _as_in_the_log(event: Any, hint: dict[str, Any]) -> Any:
    """Keep of what a record brought what the log shows."""
    if (record := hint.get("log_record")) is not None:
        event["extra"] = {name: str(value) for name, value in brought(record).items()}
    return event
