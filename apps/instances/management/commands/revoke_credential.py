"""Revokes a credential; its live link is cut within a second."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.instances import selectors, services
from apps.instances.errors import CredentialError, CredentialRevokedError


class Command(BaseCommand):
    """Revokes a credential by its name or its beginning."""

    help = "Revoke a credential. An instance connected with it is cut off within a second."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the credential's name or beginning."""
        parser.add_argument("credential", metavar="NAME_OR_PREFIX")

    def handle(self, *args: Any, **options: Any) -> None:
        """Revoke it and say so."""
        try:
            found = selectors.credential_find(wanted=options["credential"])
            revoked = services.credential_revoke(credential_id=found.pk)
        except CredentialRevokedError as error:
            self.stdout.write(str(error))
            return
        except CredentialError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Revoked {revoked.name} ({revoked.prefix}).")
