"""The pages of `/api/`: each answer in the site's own look."""

import json
from typing import Any

from django.template import loader
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.breadcrumbs import get_breadcrumbs

_WRITES = ("POST", "PUT", "PATCH", "DELETE")


class SitePageRenderer(BrowsableAPIRenderer):
    """Shows an answer as a page, with a form for what else the address takes."""

    template = "rest/answer.html"

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Any
    ) -> dict[str, Any]:
        """Return what the template shows; far less than the library's own pages do."""
        view: Any = renderer_context["view"]
        request: Request = renderer_context["request"]
        response: Response = renderer_context["response"]
        content = self.get_content(JSONRenderer(), data, accepted_media_type, renderer_context)
        is_open = response.status_code not in (401, 403, 404)
        return {
            "name": view.get_view_name(),
            "description": view.get_view_description(html=False),
            "breadcrumbs": [
                one for one in get_breadcrumbs(request.path, request) if one[1][-1] == "/"
            ],
            "content": content,
            "response": response,
            "request": request,
            "user": request.user,
            "path": request.get_full_path(),
            "writes": [one for one in _WRITES if is_open and one in view.allowed_methods],
            "actions": _actions(view) if is_open else {},
            "example": _example(view) if is_open else "",
            "links": _links(data, request),
        }

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> str:
        """Render the page."""
        context = self.get_context(data, accepted_media_type, renderer_context or {})
        request, response = context["request"], context["response"]
        if response.status_code == 204:
            response.status_code = 200  # a page has content
        return loader.get_template(self.template).render(context, request=request._request)


def _actions(view: Any) -> dict[str, str]:
    """Return what can be done with the thing shown, each with its address."""
    url_map = getattr(view, "get_extra_action_url_map", dict)
    found: dict[str, str] = url_map()
    return found


def _example(view: Any) -> str:
    """Return a body to begin with: the fields that the address takes, empty."""
    get_serializer = getattr(view, "get_serializer", None)
    if get_serializer is None or not {"POST", "PATCH"} & set(view.allowed_methods):
        return ""
    fields = get_serializer().fields
    return json.dumps({n: f.get_initial() for n, f in fields.items() if not f.read_only}, indent=4)


def _links(data: Any, request: Request) -> dict[str, str]:
    """Return the addresses of ours that an answer holds, and those of a list's entries."""
    if not isinstance(data, dict):
        return {}
    own = request.build_absolute_uri("/api/")
    found = {key: one for key, one in data.items() if isinstance(one, str) and one.startswith(own)}
    for entry in data.get("results") or ():
        if key := entry.get("id") or entry.get("job_id"):
            found[str(entry.get("name") or entry.get("title") or key)] = f"{request.path}{key}/"
    return found
