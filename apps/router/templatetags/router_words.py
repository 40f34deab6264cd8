"""Filters of the router's pages."""

from math import ceil

from django import template

register = template.Library()


@register.filter
def duration(seconds: float | None) -> str:
    """Say a duration as exactly as a reader can use it; "not measured" for None."""
    if seconds is None:
        return "not measured"
    if seconds < 0.0005:
        return "0 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.2g} ms" if seconds < 0.00995 else f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    if seconds < 7170:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"


@register.filter
def per_minute(per_second: float) -> str:
    """Say a rate by the minute, or by the hour where it is slow."""
    if per_second * 60 >= 0.95:
        return (
            f"{per_second * 60:.2g} a minute"
            if per_second * 60 < 10
            else (f"{per_second * 60:.0f} a minute")
        )
    return f"{per_second * 3600:.2g} an hour"


@register.filter
def seconds_up(seconds: float) -> int:
    """Return whole seconds, rounded up."""
    return ceil(seconds)
