"""The public site: the demo chat and the pages about the router."""

from django.urls import include, path

urlpatterns = [
    path("", include("apps.operations.urls")),
    path("", include("apps.router.urls")),
    path("", include("apps.chat.urls")),
]
