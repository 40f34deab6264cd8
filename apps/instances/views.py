"""What the operators' site has beside its admin pages: the package, and the list as it is now."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from apps.instances import overview
from apps.instances.sites import owner_of, package_or_none


def download(_: HttpRequest, version: str) -> HttpResponse:
    """Send the container package."""
    package = package_or_none()
    if package is None or package.version != version:
        raise Http404("There is no such version.")
    response = HttpResponse(package.content, content_type="application/gzip")
    response["Content-Disposition"] = f'attachment; filename="{package.filename}"'
    response["Digest"] = f"sha-256={package.sha256}"
    return response


def instances_now(request: HttpRequest) -> HttpResponse:
    """Draw the operator's instances as they are now."""
    owner = owner_of(request)
    rows = overview.instance_rows(operator_id=owner)
    return render(request, "instances/_instances.html", {"rows": rows, "sees_all": owner is None})
