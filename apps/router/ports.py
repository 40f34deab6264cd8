"""What the router needs of others: each port is filled by a plugin in its `AppConfig.ready()`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from apps.field_keys import Rotation
from apps.router.live.streams import JobStream
from motherfluxer_wire.frames import Hello

PortT = TypeVar("PortT")


class PortNotFilledError(Exception):
    """A port was asked for its object and no installed app has registered one."""


class Port(Generic[PortT]):
    """A place for one object that a plugin provides."""

    def __init__(self, name: str, *, usual_app: str, without: str) -> None:
        self.name = name
        self.usual_app = usual_app
        self.without = without
        self._object: PortT | None = None

    @property
    def is_filled(self) -> bool:
        """Whether a plugin has registered its object."""
        return self._object is not None

    def register(self, provided: PortT) -> None:
        """Fill the port; the last one to register wins."""
        self._object = provided

    def get(self) -> PortT:
        """Return the registered object. Raises PortNotFilledError."""
        if self._object is None:
            raise PortNotFilledError(self.name)
        return self._object

    def get_or_none(self) -> PortT | None:
        """Return the registered object, or None where the product also works without it."""
        return self._object


class PortList(Generic[PortT]):
    """A place for one object of each plugin that has one to give."""

    def __init__(self) -> None:
        self._objects: dict[str, PortT] = {}

    def register(self, app: str, provided: PortT) -> None:
        """Add an app's object; the last one that it registers wins."""
        self._objects[app] = provided

    def all(self) -> dict[str, PortT]:
        """Return what is registered by the names of the apps, sorted by them."""
        return dict(sorted(self._objects.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """An instance's credential was accepted. `allowed_models` None: any."""

    credential_id: str
    credential_name: str
    operator_email: str
    allowed_models: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRefusal:
    """An instance's credential was not accepted; becomes the HTTP answer to its upgrade."""

    status: int
    code: str
    message: str
    retry_after_s: int | None = None


class InstanceGate(Protocol):
    """Decides which instances may connect, and keeps the record of them."""

    async def admit(self, *, credential: str | None, address: str) -> Admission | LinkRefusal:
        """Check a credential; one and the same answer for unknown, revoked and expired."""
        ...

    async def ended_credentials(self, credential_ids: frozenset[str]) -> frozenset[str]:
        """Return those that were revoked or have expired."""
        ...

    async def instance_joined(self, admission: Admission, hello: Hello) -> None:
        """Record that an instance is connected and what it serves."""
        ...

    async def instance_left(self, admission: Admission, instance_name: str) -> None:
        """Record that an instance's link has ended."""
        ...

    async def known_models(self) -> frozenset[str]:
        """Return the names of all models that an admitted instance has ever announced."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasTargetEntry:
    """One model that an alias stands for. `revision` None: any. `weight`: its share, above 0."""

    model_name: str
    weight: float
    revision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEntry:
    """Another name for models; each request draws one of the targets by weight."""

    name: str
    targets: tuple[AliasTargetEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRouting:
    """What the catalog says about who gets a request.

    aliases: each with at least one target, none of them forbidden; sorted by name. An alias counts
        before a model that an instance announces under the same name.
    forbidden: names that nobody may ask for, and that answer no request for any model.
    """

    aliases: tuple[AliasEntry, ...] = ()
    forbidden: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogNames:
    """How people meet the names of models and aliases; one read of the catalog.

    default: the name of what answers when nobody asked for a certain model, None when any will do.
    display_names: what people are shown instead of a name, for those that have it.
    hidden: names that no list shows, though they can be used.
    """

    routing: CatalogRouting = field(default_factory=CatalogRouting)
    default: str | None = None
    display_names: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()


class ModelCatalog(Protocol):
    """Names the models: other names for them, the default, what is hidden or forbidden."""

    async def routing(self) -> CatalogRouting:
        """Return the aliases and what is forbidden, as they stand now."""
        ...

    async def names(self) -> CatalogNames:
        """Return how the names are to be shown, and the routing that goes with that."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who uses the API. `requester` is the fairness key, such as "user:7".

    allowed_models: the names that the key may ask for; None: any.
    requests_per_minute: this key's own limit; None: the site's figure.
    may_manage: whether the key also opens `/api/`.
    """

    requester: str
    user_id: int
    key_id: str
    allowed_models: frozenset[str] | None = None
    requests_per_minute: int | None = None
    may_manage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """One answered request of a key."""

    key_id: str
    user_id: int
    model_name: str
    prompt_tokens: int
    completion_tokens: int


class CallerGate(Protocol):
    """Tells whose API key a token is, and keeps account of what keys use.

    Call from the event loop that the live router runs in.
    """

    async def identify(self, token: str | None, *, address: str = "") -> Caller | None:
        """Return the key's owner, or None for an unknown, revoked or expired key.

        What is said of a key may be up to a second old. `address` is kept as where it was used.
        """
        ...

    def record(self, call: CallRecord) -> None:
        """Count an answered request. Does no I/O: the live router has it written by `flush`."""
        ...

    async def flush(self) -> None:
        """Write down all that was recorded; the live router calls it each second and at its end."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a visitor has left within any `window_s` seconds.

    comes_back_at: when it is one more, in seconds since the epoch; None while nothing is taken.
    is_shared: it is the visitor's network that has so little left, and others use that too.
    """

    limit: int
    left: int
    window_s: int
    comes_back_at: float | None = None
    is_shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorTicket:
    """A visitor's right to one answer. `taken_at` is seconds since the epoch."""

    id: str
    visitor_key: str
    network: str
    taken_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorBounds:
    """How much a visitor may ask and be answered at once. `prompt_bytes`: with what went before."""

    question_chars: int
    prompt_bytes: int
    answer_tokens: int


class VisitorGate(Protocol):
    """Knows visitors without an account and what they may still ask."""

    @property
    def bounds(self) -> VisitorBounds:
        """How much each question and each answer may be."""
        ...

    def visitor_key(self, request: Any) -> str | None:
        """Return the visitor's key from a request's signed cookie, or None for a new one."""
        ...

    def new_visitor_key(self) -> str:
        """Make a key for a visitor who has none."""
        ...

    def remember(self, response: Any, visitor_key: str) -> None:
        """Set the visitor's signed cookie on a response."""
        ...

    async def allowance(self, visitor_key: str, address: str) -> Allowance | None:
        """Return what is left, taking nothing; None when that cannot be told now."""
        ...

    async def take(self, visitor_key: str, address: str, *, proof: str = "") -> VisitorTicket:
        """Take one answer, atomically; `proof` is a solved challenge.

        Raises JobRefusedError when nothing is left, when an answer runs already, when all visitors
        together ask too much, or when a proof is needed first; then nothing is taken.
        """
        ...

    def held(self, ticket: VisitorTicket) -> AbstractAsyncContextManager[None]:
        """Keep a ticket while its answer runs; one that nobody holds is void within a minute."""
        ...

    async def end(self, ticket: VisitorTicket, *, is_used: bool) -> None:
        """Let the next question in; unless used, give the answer back to where it was taken."""
        ...

    def challenge(self) -> dict[str, Any]:
        """Make a challenge for a visitor's browser to solve (ALTCHA, version 2)."""
        ...


class AccountData(Protocol):
    """What an app keeps of a user beside the account itself. Called outside the event loop."""

    def export(self, user_id: int) -> Iterator[tuple[str, bytes]]:
        """Yield all of it as files: name in the zip, with folders, and content."""
        ...

    def delete(self, user_id: int) -> None:
        """Delete all of it, at once."""
        ...


class AnswerKeeper(Protocol):
    """Keeps answers; asked when a job lost the process that it was handed in at."""

    async def adopt(self, stream: JobStream) -> bool:
        """Go on keeping a job's answer, if it is one of yours; return whether it is."""
        ...


instance_gate: Port[InstanceGate] = Port(
    "instance_gate", usual_app="apps.instances", without="no instance can connect."
)
model_catalog: Port[ModelCatalog] = Port(
    "model_catalog", usual_app="apps.catalog", without="every model is as good as another."
)
caller_gate: Port[CallerGate] = Port(
    "caller_gate", usual_app="apps.accounts", without="/v1 refuses every key."
)
visitor_gate: Port[VisitorGate] = Port(
    "visitor_gate", usual_app="apps.demo", without="only registered users can chat."
)
# Asked in turn when a user takes his data along or has his account deleted.
account_data: PortList[AccountData] = PortList()
# Asked in turn whose a job is that lost the process it was handed in at.
answer_keepers: PortList[AnswerKeeper] = PortList()
# Each encrypts what its app has stored anew, with the first of FIELD_ENCRYPTION_KEYS.
key_rotations: PortList[Callable[[Rotation], None]] = PortList()

ALL: tuple[Port[Any], ...] = (instance_gate, model_catalog, caller_gate, visitor_gate)
