"""Addresses of the operators' site."""

from django.urls import path

from apps.instances import views
from apps.instances.sites import operator_site

urlpatterns = [
    path(
        "download/motherfluxer-model-<str:version>.tar.gz",
        operator_site.admin_view(views.download),
        name="package_download",
    ),
    path("now.html", operator_site.admin_view(views.instances_now), name="instances_now"),
    path("", operator_site.urls),
]
