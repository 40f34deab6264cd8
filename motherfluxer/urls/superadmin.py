"""The superadmin's site: the live page of the router, and Django's full admin."""

from django.contrib import admin
from django.urls import path

from motherfluxer import entrance
from motherfluxer.urls.parts import part

urlpatterns = [
    *part("", "apps.operations.urls"),
    *part("accounts/", "allauth.urls"),
    *part("accounts/", "apps.accounts.session_urls"),
    *entrance.urlpatterns,
    *part("router/", "apps.router.superadmin_urls"),
    path("", admin.site.urls),
]

handler500 = "motherfluxer.outages.server_error"
