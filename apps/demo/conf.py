"""Figures of the demo."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoConf:
    """How a visitor is known again. The limit itself is the setting DEMO_LIMIT."""

    cookie_name: str = "mf-visitor"
    cookie_salt: str = "apps.demo.visitor"
    cookie_max_age_s: int = 30 * 24 * 3600
    key_bytes: int = 18


CONF = DemoConf()
