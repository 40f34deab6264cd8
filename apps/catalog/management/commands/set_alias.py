"""Makes, changes and deletes an alias; a running site follows within two seconds."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.catalog import selectors, services
from apps.catalog.errors import CatalogError
from apps.catalog.services import TargetWish


class Command(BaseCommand):
    """Sets an alias's targets, or deletes it."""

    help = (
        "Make or change an alias: set_alias chat phi-2=95 phi-3=5. "
        "A revision stands behind an @: phi-2@r2=5. A running site follows within 2 s."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the name, and the targets with their weights."""
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("targets", nargs="*", metavar="MODEL[@REVISION]=WEIGHT")
        parser.add_argument("--display-name", help="what people see instead of the name")
        parser.add_argument("--note", help="for superadmins")
        parser.add_argument("--delete", action="store_true", help="delete the alias")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say in a line what is so now."""
        try:
            if options["delete"]:
                self._delete(options)
            else:
                self._set(options)
        except CatalogError as error:
            raise CommandError(str(error)) from error

    def _set(self, options: dict[str, Any]) -> None:
        wishes = [_wish(text) for text in options["targets"]]
        alias = services.alias_set(
            name=options["name"],
            targets=wishes or None,
            display_name=options["display_name"],
            note=options["note"],
        )
        shares = [f"{one.target} {one.words}" for one in selectors.alias_shares(alias=alias)]
        self.stdout.write(f"{alias.name}: {', '.join(shares)}")
        announced = selectors.announced_models()
        for name in sorted({wish.model_name for wish in wishes} - announced):
            self.stderr.write(f"Note: no instance has announced {name} yet.")

    def _delete(self, options: dict[str, Any]) -> None:
        if options["targets"]:
            raise CommandError("With --delete give the alias's name alone.")
        alias = services.alias_delete(name=options["name"])
        self.stdout.write(f"{alias.name}: deleted")
        if alias.is_default:
            self.stderr.write("Note: it was the default; any model answers now.")


def _wish(text: str) -> TargetWish:
    """Read `MODEL[@REVISION]=WEIGHT`; the last @ begins the revision. Raises CommandError."""
    name, equals, weight_text = text.rpartition("=")
    if not equals:
        raise CommandError(f"'{text}' names no weight. Write it as {text}=1.")
    try:
        weight = float(weight_text)
    except ValueError as error:
        raise CommandError(f"'{weight_text}' in '{text}' is no number.") from error
    if "@" not in name:
        return TargetWish(model_name=name, weight=weight)
    model_name, _, revision = name.rpartition("@")
    return TargetWish(model_name=model_name, weight=weight, revision=revision)
