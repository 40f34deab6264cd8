"""The people: users, roles, sign-up and sign-in, API keys."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.accounts"
    label = "accounts"
    verbose_name = "Users and keys"

    def ready(self) -> None:
        """Fill the router's ports."""
        from apps.accounts.keys.gate import ApiKeyGate
        from apps.accounts.leaving.data import OwnData
        from apps.router import ports

        ports.caller_gate.register(ApiKeyGate())
        ports.account_data.register(self.label, OwnData())
