"""The superadmin's site: the live page of the router, and Django's full admin."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("apps.operations.urls")),
    path("router/", include("apps.router.superadmin_urls")),
    path("", admin.site.urls),
]
