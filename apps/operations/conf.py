"""The app's constants, with their units."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsConf:
    """How long a part may take to answer before it counts as away."""

    part_answers_within_s: float = 3.0


CONF = OperationsConf()
