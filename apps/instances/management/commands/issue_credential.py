"""Prints a new credential, once, and nothing else."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apps.instances import selectors, services
from apps.instances.errors import CredentialError


class Command(BaseCommand):
    """Issues a credential for an operator's instance."""

    help = "Print a new credential for an operator's instance. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the operator's address and the credential's settings."""
        parser.add_argument("--operator", required=True, metavar="EMAIL")
        parser.add_argument("--name", required=True)
        parser.add_argument("--models", metavar="a,b", help="the only models it may serve")
        parser.add_argument("--expires-days", type=int, metavar="N")

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue it and print it."""
        days: int | None = options["expires_days"]
        if days is not None and not 1 <= days <= 36_500:
            raise CommandError("--expires-days is a number of days from 1 to 36500.")
        names = [name.strip() for name in (options["models"] or "").split(",") if name.strip()]
        try:
            _credential, text = services.credential_issue(
                operator_id=selectors.operator_id(email=options["operator"]),
                name=options["name"],
                allowed_models=names,
                expires_at=timezone.now() + timedelta(days=days) if days else None,
            )
        except CredentialError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)
