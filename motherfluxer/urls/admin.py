"""The operators' site."""

from django.urls import include, path

urlpatterns = [
    path("", include("apps.operations.urls")),
    path("", include("apps.instances.urls")),
]
