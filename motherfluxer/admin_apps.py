"""The superadmin's site as Django's default admin site, and the project's own checks."""

from django.contrib.admin.apps import AdminConfig


class SuperadminConfig(AdminConfig):
    """Makes `django.contrib.admin.site` the superadmin's."""

    default_site = "motherfluxer.superadmin.SuperadminSite"

    def ready(self) -> None:
        """Register the checks that belong to no app."""
        super().ready()
        from motherfluxer import checks  # noqa: F401
