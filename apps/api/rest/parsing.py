"""Reads bodies under `/api/`: JSON by the book, and not too much of it."""

from collections.abc import Mapping
from typing import IO, Any

import msgspec
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from apps.api.rest.conf import CONF
from apps.router.errors import ErrorCode


class StrictJsonParser(BaseParser):
    """Refuses what JSON does not have: NaN, infinities, lone surrogates, other encodings."""

    media_type = "application/json"
    renderer_class = JSONRenderer

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Read a body. Raises ParseError, and APIException for one that is too large."""
        body = stream.read(CONF.max_body_bytes + 1)
        if len(body) > CONF.max_body_bytes:
            words = f"The body is over {CONF.max_body_bytes} bytes."
            raise APIException(words, code=ErrorCode.REQUEST_TOO_LARGE)
        try:
            return msgspec.json.decode(body)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is no JSON that can be read: {error}.") from error
