"""Addresses of a user's own pages, beside those of allauth."""

from django.urls import path

from apps.accounts import account_pages
from apps.accounts.keys import views as keys
from apps.accounts.leaving import views as leaving
from apps.accounts.operators import views as operators
from apps.accounts.usage import views as usage

urlpatterns = [
    path("keys/", keys.keys, name="api_keys"),
    path("keys/new/", keys.key_create, name="api_key_create"),
    path("keys/<int:key_id>/", keys.key, name="api_key"),
    path("keys/<int:key_id>/rotate/", keys.key_rotate, name="api_key_rotate"),
    path("keys/<int:key_id>/revoke/", keys.key_revoke, name="api_key_revoke"),
    path("usage/", usage.usage, name="usage"),
    path("usage/usage.csv", usage.usage_csv, name="usage_csv"),
    path("account/", account_pages.home, name="account_home"),
    path("account/export/", leaving.export, name="own_export"),
    path("account/delete/", leaving.deletion, name="own_deletion"),
    path("account/delete/keep/", leaving.deletion_withdraw, name="own_deletion_withdraw"),
    path("account/operator/", operators.application, name="operator_application"),
    path(
        "account/operator/invitation/<str:token>/",
        operators.invitation,
        name="operator_invitation",
    ),
]
