"""The frames of motherfluxer.v1, one frozen struct each. Pure.

Every limit is a part of its field's type and is checked by `codec` while it decodes. Names,
meanings and directions stand in `docs/protocol.md`.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from motherfluxer_wire import limits
from motherfluxer_wire.fields import (
    Attempt,
    Capabilities,
    Count,
    FailureCode,
    FinishReason,
    InstanceName,
    JobId,
    JobIds,
    Milliseconds,
    ModelName,
    Name,
    Note,
    Overflow,
    Rate,
    Role,
    ServiceClass,
    Share,
    Slots,
    Stops,
    TokenIds,
)


def _nothing() -> list[Any]:
    """Give an empty list that is written out all the same: unlike `[]` it is no omitted default."""
    return []


def _empty_text() -> str:
    """Give an empty text that is written out all the same."""
    return ""


def _no_deadline() -> int:
    return 0


def _registered() -> ServiceClass:
    return "registered"


class Part(Struct, frozen=True, omit_defaults=True):
    """A piece of a frame that has no type of its own."""


class Frame(Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """A whole frame: one JSON object in one text message."""


class Model(Part, frozen=True):
    """A model that an instance serves. Capability `continue`: goes on from a partial answer."""

    name: ModelName
    context_tokens: Annotated[int, Meta(ge=1, le=limits.MAX_INTEGER)]
    max_output_tokens: Annotated[int, Meta(ge=1, le=limits.MAX_INTEGER)]
    revision: Name = field(default_factory=_empty_text)
    capabilities: Capabilities = field(default_factory=_nothing)
    fingerprint: Name | None = None

    @property
    def can_continue(self) -> bool:
        """Whether a partial answer may be handed to this model."""
        return "continue" in self.capabilities


Models = Annotated[list[Model], Meta(min_length=1, max_length=limits.MAX_MODELS_COUNT)]
ModelsOrNone = Annotated[list[Model], Meta(max_length=limits.MAX_MODELS_COUNT)]


class ResumeOffer(Part, frozen=True):
    """A job the instance still holds after its link broke; `next_seq` numbers its next chunk."""

    job: JobId
    attempt: Attempt
    next_seq: Count
    state: Name = field(default_factory=_empty_text)


class Load(Part, frozen=True):
    """How busy the instance's machine is, each a share from 0 to 1."""

    cpu: Share | None = None
    memory: Share | None = None
    gpu: Share | None = None
    kv_cache: Share | None = None


class Usage(Part, frozen=True):
    """Tokens of one attempt: the prompt's without the prefix, and those generated.

    `dropped_messages`: so many of the oldest messages were left out, as the job allowed.
    """

    prompt_tokens: Count
    completion_tokens: Count
    cached_tokens: Count | None = None
    dropped_messages: Count | None = None


class Timings(Part, frozen=True):
    """Where one attempt's time went."""

    queue_ms: Milliseconds | None = None
    prefill_ms: Milliseconds | None = None
    decode_ms: Milliseconds | None = None


class Hello(Frame, frozen=True, tag="hello"):
    """The instance's first frame: who it is and what it can do."""

    agent: Name
    instance: InstanceName
    models: Models
    slots: Slots
    region: Name | None = None
    hardware: dict[str, Any] | None = None
    resume: Annotated[list[ResumeOffer], Meta(max_length=limits.MAX_JOBS_COUNT)] = field(
        default_factory=_nothing
    )

    def __post_init__(self) -> None:
        """Bound the one free-form field."""
        if len(msgspec.json.encode(self.hardware)) > limits.MAX_HARDWARE_BYTES:
            raise ValueError(f"hardware is over {limits.MAX_HARDWARE_BYTES} bytes")


class Heartbeat(Frame, frozen=True, tag="heartbeat"):
    """The instance lives; `running` is the set of jobs it holds."""

    running: JobIds
    slots: Slots
    tokens_per_s: Rate | None = None
    load: Load | None = None


class ModelsChanged(Frame, frozen=True, tag="models"):
    """What the instance serves has changed; effective at once. No models: it pauses."""

    models: ModelsOrNone
    slots: Slots


class Chunk(Frame, frozen=True, tag="chunk"):
    """A piece of the answer: whole tokens and whole characters. `seq` counts from 0, no gaps."""

    job: JobId
    attempt: Attempt
    seq: Count
    text: str
    tokens: Count
    token_ids: TokenIds | None = None


class Done(Frame, frozen=True, tag="done"):
    """The attempt's last frame; `seq` is the number of chunks sent."""

    job: JobId
    attempt: Attempt
    seq: Count
    finish_reason: FinishReason
    usage: Usage
    timings: Timings | None = None


class Failed(Frame, frozen=True, tag="failed"):
    """The attempt ended without an answer."""

    job: JobId
    attempt: Attempt
    seq: Count
    code: FailureCode
    message: Note
    retryable: bool


class Batch(Frame, frozen=True, tag="batch"):
    """Several frames in one, in order."""

    frames: Annotated[list[Chunk | Done | Failed], Meta(max_length=limits.MAX_BATCH_COUNT)]


class Draining(Frame, frozen=True, tag="draining"):
    """No new jobs, please; the running ones will be finished."""


class Resume(Part, frozen=True):
    """A job the router takes up again: send every chunk from `from_seq` and go on."""

    job: JobId
    attempt: Attempt
    from_seq: Count


class Welcome(Frame, frozen=True, tag="welcome"):
    """The router's answer to `hello`."""

    protocol: Literal["motherfluxer.v1"]
    session: Name
    heartbeat_s: Annotated[float, Meta(gt=0, le=3600)]
    resume: list[Resume] = field(default_factory=_nothing)
    drop: list[JobId] = field(default_factory=_nothing)
    warnings: list[Note] = field(default_factory=_nothing)


class Message(Part, frozen=True):
    """One turn of a conversation."""

    role: Role
    content: str


class Sampling(Part, frozen=True):
    """How the next token is drawn; what is absent is the instance's own default."""

    max_tokens: Annotated[int, Meta(ge=1, le=limits.MAX_INTEGER)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    stop: Stops | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None


class Job(Frame, frozen=True, tag="job"):
    """Do this now. `prefix` is the text of the answer so far.

    `overflow` says what to do with a conversation that is too long for the model.
    """

    job: JobId
    attempt: Attempt
    model: ModelName
    messages: list[Message]
    prefix: str = field(default_factory=_empty_text)
    sampling: Sampling = field(default_factory=Sampling)
    deadline_ms: Count = field(default_factory=_no_deadline)
    service_class: ServiceClass = field(name="class", default_factory=_registered)
    revision: Name | None = None
    prefix_token_ids: TokenIds | None = None
    overflow: Overflow = "refuse"


class Cancel(Frame, frozen=True, tag="cancel"):
    """Stop at once; answer with `done` and `cancelled`."""

    job: JobId
    attempt: Attempt
    reason: Note = field(default_factory=_empty_text)


class Ack(Frame, frozen=True, tag="ack"):
    """Chunks below `seq` are safe; the instance may forget them."""

    job: JobId
    attempt: Attempt
    seq: Count


class Drain(Frame, frozen=True, tag="drain"):
    """Take no new jobs, finish the running ones, then close with 1000."""

    reason: Note = field(default_factory=_empty_text)


FromInstance = Hello | Heartbeat | ModelsChanged | Chunk | Batch | Done | Failed | Draining
FromRouter = Welcome | Job | Cancel | Ack | Drain
