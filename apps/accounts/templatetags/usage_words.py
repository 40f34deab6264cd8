"""Filters of the usage page."""

from django import template

register = template.Library()


@register.filter
def thousands(figure: int) -> str:
    """Write a whole number with commas."""
    return f"{figure:,}"


@register.filter
def short(figure: int) -> str:
    """Write a round number in little room: 500, 2k, 40M."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if figure >= size:
            return f"{figure / size:g}{letter}"
    return str(figure)
