"""What was given for each option, on the command line or in the environment, and its checks."""

from collections.abc import Mapping, Sequence
from typing import Final

from motherfluxer_model.errors import UsageError

ENV_PREFIX: Final = "MOTHERFLUXER_"


class Given:
    """The values by option; the command line goes before the environment."""

    def __init__(self, arguments: Mapping[str, str | None], environ: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environ = environ

    def argument(self, key: str) -> str | None:
        """Give what the command line says."""
        return self._arguments.get(key)

    def setting(self, key: str) -> str | None:
        """Give what the environment says; an empty text is none."""
        return self._environ.get(ENV_PREFIX + key.upper()) or None

    def text(self, key: str) -> str | None:
        """Give the text; None: there is none."""
        given = self.argument(key)
        return self.setting(key) if given is None else given

    def one_of(self, key: str, allowed: Sequence[str], default: str) -> str:
        """Give one of several words. Raises UsageError."""
        text = self.text(key) or default
        if text not in allowed:
            raise UsageError(f"{_option(key)} must be one of {', '.join(allowed)}, not {text!r}")
        return text

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """Give a number. Raises UsageError."""
        text = self.text(key)
        try:
            number = default if text is None else float(text)
        except ValueError:
            number = float("nan")
        if not least <= number <= most:
            words = f"must be a number from {least:g} to {most:g}, not {text!r}"
            raise UsageError(f"{_option(key)} {words}")
        return number

    def count(self, key: str, default: int, least: int, most: int) -> int:
        """Give a whole number. Raises UsageError."""
        number = self.number(key, default, least, most)
        if number != int(number):
            raise UsageError(f"{_option(key)} must be a whole number, not {number:g}")
        return int(number)


def _option(key: str) -> str:
    return "--" + key.replace("_", "-")
