"""Who asks: a registered user or a visitor, and what follows from it."""

from dataclasses import dataclass

from motherfluxer_wire.fields import ServiceClass


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A registered user (`user_id`) or a visitor (`visitor_key`), never both."""

    user_id: int | None = None
    visitor_key: str = ""
    address: str = ""

    @property
    def is_visitor(self) -> bool:
        """Whether the demo's limit holds."""
        return self.user_id is None

    @property
    def requester(self) -> str:
        """The router's fairness key."""
        return f"visitor:{self.visitor_key}" if self.is_visitor else f"user:{self.user_id}"

    @property
    def service_class(self) -> ServiceClass:
        """Registered users go first."""
        return "demo" if self.is_visitor else "registered"
