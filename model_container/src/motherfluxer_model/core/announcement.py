"""What the router has been told of the served models, and what it is still to be told. Pure.

An engine that goes down serves nothing until it is back. The router must hear of that before it
hears of the answers that failed by it, and of the return after them, even when both have happened
before there was a link to say it.
"""

from motherfluxer_wire.frames import Model


class Announcement:
    """The lists of models that were said and that are to be said, in order."""

    def __init__(self) -> None:
        self.is_pause_due = False
        self._served: list[Model] = []
        self._usual: list[Model] = []
        self._told: list[Model] = []
        self._is_repeated = False
        self._is_perhaps_unheard = False

    @property
    def is_due(self) -> bool:
        """Whether there is something to say."""
        return self.is_pause_due or self._told != self._served

    def note(self, models: list[Model]) -> None:
        """Take in what is served from now on; an empty list: nothing at present."""
        self._served = list(models)
        if models:
            self._usual = self._served
        else:
            self.is_pause_due, self._is_repeated = True, False

    def greet(self) -> list[Model]:
        """Give the list for `hello`: what is served when the engine is up.

        A pause that was said on the broken link may not have been heard: it is said once more.
        """
        self._told = self._usual
        if self._is_perhaps_unheard and not self.is_pause_due:
            self.is_pause_due = self._is_repeated = True
        self._is_perhaps_unheard = False
        return self._usual

    def take(self) -> list[Model] | None:
        """Give the next list to say; None: the router knows everything."""
        if not self.is_due:
            return None
        if self.is_pause_due:
            self._is_perhaps_unheard = not self._is_repeated
            self.is_pause_due = False
            self._told = []
        else:
            self._told = self._served
        return self._told
