"""Words for a browser's User-Agent. Pure."""

from typing import Final

# In this order: most browsers name older ones as well.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_MOST_CHARS: Final = 60


def agent_words(user_agent: str) -> str:
    """Name the browser and the system, such as "Firefox on Linux"; else how the text begins."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    named = " on ".join(part for part in (browser, system) if part)
    return named or user_agent[:_MOST_CHARS].strip() or "an unnamed program"
