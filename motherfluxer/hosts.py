"""The four sites: which URL set and which cookie names belong to a request's host."""

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port

from apps.middleware import AsyncMiddleware

# Load balancers ask by a process's address, under no name of the site.
_HEALTH_PATHS = ("/healthz", "/readyz")
_SCOPED_COOKIES = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME)


@dataclass(frozen=True, slots=True)
class Sites:
    """The address of each site, as seen by the reader of one request."""

    name: str
    public: str
    user: str
    admin: str
    superadmin: str

    @property
    def programs(self) -> str:
        """The public site's address for programs: unlike browsers they know no `*.localhost`."""
        parts = urlsplit(self.public)
        if not (parts.hostname or "").endswith(".localhost"):
            return self.public
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://localhost{port}"


def site_name(host: str) -> str:
    """Name the site that serves a host: "user", "admin", "superadmin" or "" (public)."""
    domain, _ = split_domain_port(host)
    label = domain.removesuffix(f".{settings.MOTHERFLUXER_DOMAIN}")
    return label if label in settings.SITE_URLCONFS else ""


def sites_of(request: HttpRequest) -> Sites:
    """Return the four addresses with the request's own scheme and port."""
    _, port = split_domain_port(request.get_host())
    tail = f"{settings.MOTHERFLUXER_DOMAIN}:{port}" if port else settings.MOTHERFLUXER_DOMAIN
    scheme = request.scheme
    name = site_name(request.get_host())
    own = request.get_host() if not name else tail
    return Sites(
        name=name,
        public=f"{scheme}://{own}",
        user=f"{scheme}://user.{tail}",
        admin=f"{scheme}://admin.{tail}",
        superadmin=f"{scheme}://superadmin.{tail}",
    )


def sites(request: HttpRequest) -> dict[str, Sites]:
    """Give templates the addresses of the four sites."""
    return {"sites": request.sites}  # type: ignore[attr-defined]


def cookie_name(name: str, site: str, *, is_secure: bool) -> str:
    """Name a cookie for one site. `__Host-` makes browsers refuse one set by a sibling site."""
    scoped = f"mf-{site or 'public'}-{name}"
    return f"__Host-{scoped}" if is_secure else scoped


class HostMiddleware(AsyncMiddleware):
    """Sets `request.urlconf` and `request.sites`; names session and CSRF cookies by site."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve one request on the site that its host names."""
        if request.path_info in _HEALTH_PATHS:
            request.META["HTTP_HOST"] = settings.MOTHERFLUXER_DOMAIN
        found = sites_of(request)
        cast(Any, request).sites = found
        cast(Any, request).urlconf = settings.SITE_URLCONFS[found.name]
        is_secure = settings.SESSION_COOKIE_SECURE
        for plain in _SCOPED_COOKIES:
            request.COOKIES.pop(plain, None)
            value = request.COOKIES.get(cookie_name(plain, found.name, is_secure=is_secure))
            if value is not None:
                request.COOKIES[plain] = value
        response = await self.get_response(request)
        for plain in _SCOPED_COOKIES:
            if plain in response.cookies:
                morsel = response.cookies.pop(plain)
                scoped = cookie_name(plain, found.name, is_secure=is_secure)
                response.cookies[scoped] = morsel.value
                response.cookies[scoped].update({k: v for k, v in morsel.items() if v != ""})
        return response
