"""Makes the first accounts where they are missing; their passwords are printed once."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.accounts import services
from apps.accounts.conf import CONF
from apps.accounts.services import FreshAccount


class Command(BaseCommand):
    """Makes the superadmin and an operator; running it again changes nothing."""

    help = "Make the superadmin's and an operator's account where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make them, print and keep their passwords, or say where those are."""
        path = Path(settings.VAR_DIR) / CONF.first_run_file
        made = services.first_accounts_make(domain=settings.MOTHERFLUXER_DOMAIN)
        if made:
            _keep(path, made)
            self.stdout.write("Made these accounts; change the passwords after signing in:")
            for account in made:
                self.stdout.write(f"  {account.email}  {account.password}")
            self.stdout.write(f"The passwords are also in {path}")
            self.stdout.write("Their sites ask for a second factor, set up at the first sign-in.")
        elif path.exists():
            self.stdout.write(f"The first accounts exist; their first passwords are in {path}")
        else:
            email = f"superadmin@{settings.MOTHERFLUXER_DOMAIN}"
            self.stdout.write(
                "The first accounts exist; the file with their first passwords is gone. "
                f"To set a new one: manage.py changepassword {email}"
            )


def _keep(path: Path, made: list[FreshAccount]) -> None:
    """Append to the file, readable by its owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{account.email}  {account.password}\n" for account in made)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(lines)
