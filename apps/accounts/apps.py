"""The people: users, roles, sign-up and sign-in, API keys."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.accounts"
    label = "accounts"
