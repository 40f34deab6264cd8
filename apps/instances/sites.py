"""The operators' site: Django's admin, for operators and what is theirs."""

from typing import Any, cast

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse

from apps.instances import overview, selectors
from apps.instances.package import Package, PackageMissingError, package
from apps.instances.start import BUNDLED_MODEL, start_command


class OperatorSite(AdminSite):
    """Lets in active operators; its first page is theirs alone."""

    site_header = "MotherFluxer for operators"
    site_title = "MotherFluxer for operators"
    index_title = "Your instances"
    index_template = "instances/index.html"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in active operators."""
        return bool(request.user.is_active and getattr(request.user, "is_operator", False))

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show the operator's instances, credentials, and how to start one."""
        owner = owner_of(request)
        router = program_address(request)
        own: dict[str, Any] = {
            "rows": overview.instance_rows(operator_id=owner),
            "credentials": selectors.credentials_of(operator_id=owner).filter(revoked_at=None),
            "package": package_or_none(),
            "command": start_command(router=router),
            "trial_command": start_command(router=router, model=BUNDLED_MODEL),
            "sees_all": owner is None,
        }
        return super().index(request, {**own, **(extra_context or {})})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Link to the chat, whichever site this is."""
        return {**super().each_context(request), "site_url": public_address(request)}


def owner_of(request: HttpRequest) -> int | None:
    """Return whose things this request may see and touch: its user's, or everybody's (None)."""
    if getattr(request.user, "is_superadmin", False):
        return None
    return cast(int, request.user.pk)


def public_address(request: HttpRequest) -> str:
    """Return the address of the public site."""
    return str(cast(Any, request).sites.public)


def program_address(request: HttpRequest) -> str:
    """Return the address of the public site as programs can resolve it."""
    return str(cast(Any, request).sites.programs)


def package_or_none() -> Package | None:
    """Return the container package, or None where its sources are missing."""
    try:
        return package()
    except PackageMissingError:
        return None


operator_site = OperatorSite(name="operators")
