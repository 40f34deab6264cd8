"""The pages of `docs/` on the public site, and their pictures."""

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe

from motherfluxer import docs_pages


def docs_page(request: HttpRequest, name: str = "") -> HttpResponse:
    """Show one page."""
    path = docs_pages.page_path(name)
    if path is None:
        raise Http404
    title, html = docs_pages.render(path)
    content = mark_safe(html)  # noqa: S308 - sanitised by docs_pages
    return render(request, "docs/page.html", {"title": title, "content": content, "name": name})


def docs_picture(request: HttpRequest, name: str) -> FileResponse:
    """Send one picture."""
    path = docs_pages.picture_path(name)
    if path is None:
        raise Http404
    return FileResponse(path.open("rb"), content_type="image/svg+xml")
