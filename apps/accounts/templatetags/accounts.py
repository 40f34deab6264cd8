"""Words for the account's pages."""

from django import template

from apps.accounts.core.agents import agent_words

_SITES = {
    "user": "the users' site",
    "admin": "the operators' site",
    "superadmin": "the superadmin's site",
}

register = template.Library()
register.filter("agent_words", agent_words)


@register.filter
def site_words(name: str | None) -> str:
    """Name a site."""
    return _SITES.get(name or "", "this site")
