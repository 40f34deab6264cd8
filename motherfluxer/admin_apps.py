"""The superadmin's site as Django's default admin site."""

from django.contrib.admin.apps import AdminConfig


class SuperadminConfig(AdminConfig):
    """Makes `django.contrib.admin.site` the superadmin's."""

    default_site = "motherfluxer.superadmin.SuperadminSite"
