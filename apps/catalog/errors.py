"""What can go wrong with the catalog.

CatalogError              base
|-- AliasInvalidError     an alias, or one of its targets, can't be so
'-- AliasUnknownError     there is no such alias
"""

from django.core.exceptions import ValidationError


class CatalogError(Exception):
    """Something about the catalog is not possible; its text is for the person who asked."""


class AliasInvalidError(CatalogError):
    """An alias, or one of its targets, can't be so."""

    def __init__(self, what: str, error: ValidationError) -> None:
        super().__init__(f"{what}: {' '.join(error.messages)}")


class AliasUnknownError(CatalogError):
    """There is no such alias."""

    def __init__(self, name: str, known: list[str]) -> None:
        there_are = f"There are: {', '.join(known)}." if known else "There is none yet."
        super().__init__(f"No alias is named '{name}'. {there_are}")
