"""The pages of the local server, made of the overview of this moment."""

import json
from collections.abc import Callable
from http import HTTPStatus
from importlib.resources import files
from typing import Final

from motherfluxer_model.health import Page, Pages
from motherfluxer_model.metrics import CONTENT_TYPE, make_metrics
from motherfluxer_model.overview import Overview
from motherfluxer_model.statuspage import render_status_page

FILES: Final = {
    "/status.css": ("status.css", "text/css; charset=utf-8"),
    "/status.js": ("status.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


def make_pages(overview: Overview) -> Pages:
    """Give every path's page: `/healthz` lives, `/readyz` serves, `/metrics` and `/` tell more."""
    metrics = make_metrics(overview)
    return {
        "/": lambda: Page("text/html; charset=utf-8", render_status_page(overview).encode()),
        "/healthz": lambda: _report(overview, HTTPStatus.OK),
        "/readyz": lambda: _report(
            overview, HTTPStatus.OK if overview.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        ),
        "/metrics": lambda: Page(CONTENT_TYPE, metrics()),
        **{path: _file(name, kind) for path, (name, kind) in FILES.items()},
    }


def _report(overview: Overview, status: HTTPStatus) -> Page:
    return Page("application/json", json.dumps(overview.report()).encode() + b"\n", status)


def _file(name: str, content_type: str) -> Callable[[], Page]:
    page = Page(content_type, (files("motherfluxer_model") / "static" / name).read_bytes())
    return lambda: page
