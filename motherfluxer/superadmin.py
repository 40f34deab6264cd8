"""The superadmin's admin site: every model, for superusers alone."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class SuperadminSite(AdminSite):
    """Django's full admin under the product's name."""

    site_header = "MotherFluxer superadmin"
    site_title = "MotherFluxer superadmin"
    index_title = "Everything"
    index_template = "superadmin/index.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in active superadmins only."""
        return bool(request.user.is_active and getattr(request.user, "is_superadmin", False))
