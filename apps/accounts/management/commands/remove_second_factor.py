"""Removes the second factors of somebody who has lost them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts import factors, selectors
from apps.accounts.errors import UserUnknownError


class Command(BaseCommand):
    """Lets an account sign in by its password alone again, and set up another factor."""

    help = "Remove an account's second factors; it sets up another at its next sign-in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the account's address."""
        parser.add_argument("email", metavar="EMAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove them."""
        user = selectors.user_by_email(email=options["email"])
        if user is None:
            raise CommandError(str(UserUnknownError(options["email"])))
        factors.factors_remove(user=user)
        self.stdout.write(f"{user.email} has no second factor now.")
