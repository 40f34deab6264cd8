"""Addresses of a user's own pages, beside those of allauth."""

from django.urls import path

from apps.accounts import views
from apps.accounts.leaving import views as leaving

urlpatterns = [
    path("keys/", views.keys, name="api_keys"),
    path("keys/new/", views.key_create, name="api_key_create"),
    path("keys/<int:key_id>/revoke/", views.key_revoke, name="api_key_revoke"),
    path("account/export/", leaving.export, name="own_export"),
    path("account/delete/", leaving.deletion, name="own_deletion"),
    path("account/delete/keep/", leaving.deletion_withdraw, name="own_deletion_withdraw"),
]
