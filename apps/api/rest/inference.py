"""`/v1` in the same schema."""

from typing import Any


def inference_describe(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add `/v1` to a schema."""
    return result
