"""Operators' credentials and the record of known instances."""

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Plugs the app into the router."""

    name = "apps.instances"
    label = "instances"
    verbose_name = "Instances"

    def ready(self) -> None:
        """Fill the router's ports, and register the system check."""
        from apps.instances import checks  # noqa: F401
        from apps.instances.account_data import InstancesData
        from apps.instances.gate import CredentialGate
        from apps.router import ports

        ports.instance_gate.register(CredentialGate())
        ports.account_data.register(self.label, InstancesData())
