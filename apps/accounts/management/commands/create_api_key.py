"""Prints a new API key, once, and nothing else."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts import selectors, services
from apps.accounts.errors import AccountError, UserUnknownError
from apps.accounts.keys.services import api_key_issue, expiry_after


class Command(BaseCommand):
    """Issues an API key for a user."""

    help = "Print a new API key for a user. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the user's address and the key's name."""
        parser.add_argument("--user", required=True, metavar="EMAIL")
        parser.add_argument("--name", required=True)
        parser.add_argument("--create-user", action="store_true", help="make the user if missing")
        parser.add_argument("--models", help="only these, with commas between them; else any")
        parser.add_argument("--requests-per-minute", type=int, metavar="N")
        parser.add_argument("--expires-days", type=int, metavar="N")
        parser.add_argument(
            "--inference-only", action="store_true", help="open /v1 alone, not the account's /api/"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Issue it and print it."""
        email, days, models = options["user"], options["expires_days"], options["models"]
        try:
            if options["create_user"]:
                services.user_ensure(email=email)
            user = selectors.user_by_email(email=email)
            if user is None:
                raise UserUnknownError(email)
            _key, text = api_key_issue(
                user=user,
                name=options["name"],
                allowed_models=None if models is None else models.replace(",", " ").split(),
                requests_per_minute=options["requests_per_minute"],
                is_from_site=True,
                may_manage=not options["inference_only"],
                expires_at=None if days is None else expiry_after(days=days),
            )
        except AccountError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)
