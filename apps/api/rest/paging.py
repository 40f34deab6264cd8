"""Lists under `/api/` come in pages of a bounded size."""

from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request

from apps.api.rest.conf import CONF

SIZE_PARAMETER = "page_size"


class BoundedPages(PageNumberPagination):
    """Pages by number, `?page=2&page_size=100`."""

    page_size = CONF.page_count
    page_size_query_param = SIZE_PARAMETER
    max_page_size = CONF.max_page_count

    def get_page_size(self, request: Request) -> int:
        """Return how many entries a page has. Raises ValidationError."""
        return asked_page_size(request)


def asked_page_size(request: Request) -> int:
    """Return how many entries a page has, by the request. Raises ValidationError."""
    asked = request.query_params.get(SIZE_PARAMETER)
    if asked is None:
        return CONF.page_count
    if asked.isascii() and asked.isdigit() and 1 <= int(asked[:6]) <= CONF.max_page_count:
        return int(asked)
    raise ValidationError({SIZE_PARAMETER: [f"A whole number from 1 to {CONF.max_page_count}."]})
