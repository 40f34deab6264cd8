"""Lists under `/api/` come in pages of a bounded size."""

from typing import Any

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
        asked, most = request.query_params.get(SIZE_PARAMETER), CONF.max_page_count
        if asked is None:
            return CONF.page_count
        if asked.isascii() and asked.isdigit() and len(asked) < 9 and 0 < int(asked) <= most:
            return int(asked)
        words = f"A whole number from 1 to {most}."
        raise ValidationError({SIZE_PARAMETER: [words]})

    def get_page_number(self, request: Request, paginator: Any) -> int | str:
        """Return which page is asked for. Raises ValidationError."""
        if request.query_params.get(self.page_query_param) == "":
            raise ValidationError({self.page_query_param: ["This must not be empty."]})
        return super().get_page_number(request, paginator)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe both parameters with their bounds."""
        found: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for one in found:
            one["schema"]["minimum"] = 1
            if one["name"] == SIZE_PARAMETER:
                one["schema"]["maximum"] = CONF.max_page_count
        return found
