"""The registered users' site: chat without a limit, and the account."""

from django.urls import include, path

urlpatterns = [
    path("", include("apps.operations.urls")),
    path("accounts/", include("allauth.urls")),
    path("", include("apps.router.urls")),
    path("", include("apps.chat.urls")),
]
