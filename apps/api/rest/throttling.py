"""How often `/api/` may be asked: by a person, and by an address that nobody is known from."""

import logging
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from apps.networks import network_of
from apps.redis_clients import REDIS_AWAY

log = logging.getLogger(__name__)


class _RateFromSettings(SimpleRateThrottle):
    """Reads its rate when it is asked for, so that a settings' change counts at once."""

    def get_rate(self) -> str | None:
        """Return the rate of the scope, such as "300/minute"; None: no limit."""
        rates: Any = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
        rate: str | None = rates[self.scope]
        return rate

    def allow_request(self, request: Request, view: Any) -> bool:
        """Whether there is something left; while nobody can count, answers matter more."""
        try:
            return super().allow_request(request, view)
        except REDIS_AWAY as error:
            log.warning("requests to /api/ are not counted: %s", error)
            return True


class PersonThrottle(_RateFromSettings):
    """Counts a person's requests, by whichever key or session they come."""

    scope = "rest_person"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """Return where the count is kept; None for somebody unknown."""
        if not request.user or not request.user.is_authenticated:
            return None
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}


class AddressThrottle(_RateFromSettings):
    """Counts the requests of an address that nobody is known from."""

    scope = "rest_address"

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        """Return where the count is kept; None for somebody known."""
        if request.user and request.user.is_authenticated:
            return None
        ident = network_of(request.META.get("REMOTE_ADDR") or "")
        return self.cache_format % {"scope": self.scope, "ident": ident}
