"""The people: users, roles, sign-up and sign-in, API keys."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.accounts"
    label = "accounts"
    verbose_name = "Users and keys"

    def ready(self) -> None:
        """Fill the router's ports, and follow sign-ins and second factors."""
        from allauth.account.signals import user_logged_in
        from allauth.mfa import signals

        from apps.accounts import factors, sessions
        from apps.accounts.factor_keys import factors_rotate
        from apps.accounts.guarding import signals as guarding
        from apps.accounts.keys.gate import ApiKeyGate
        from apps.accounts.leaving.data import OwnData
        from apps.router import ports

        ports.caller_gate.register(ApiKeyGate())
        ports.account_data.register(self.label, OwnData())
        ports.key_rotations.register(self.label, factors_rotate)
        user_logged_in.connect(sessions.on_signed_in)
        signals.authenticator_used.connect(factors.on_factor_used)
        signals.authenticator_added.connect(factors.on_factor_added)
        signals.authenticator_reset.connect(factors.on_codes_replaced)
        guarding.connect()
