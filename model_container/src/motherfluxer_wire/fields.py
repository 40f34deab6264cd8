"""The field types that frames are made of, each with its limits. Pure."""

from typing import Annotated, Literal

from msgspec import Meta

from motherfluxer_wire import limits

Count = Annotated[int, Meta(ge=0, le=limits.MAX_INTEGER)]
Attempt = Annotated[int, Meta(ge=1, le=limits.MAX_INTEGER)]
Slots = Annotated[int, Meta(ge=1, le=limits.MAX_SLOTS_COUNT)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(ge=0, le=1e9)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]
JobId = Annotated[str, Meta(min_length=1, max_length=limits.MAX_ID_CHARS)]
JobIds = Annotated[list[JobId], Meta(max_length=limits.MAX_JOBS_COUNT)]
InstanceName = Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,64}$")]
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$")]
Name = Annotated[str, Meta(max_length=limits.MAX_NAME_CHARS)]
Note = Annotated[str, Meta(max_length=limits.MAX_NOTE_CHARS)]
TokenIds = Annotated[list[Count], Meta(max_length=limits.MAX_INTEGER)]
Stops = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=limits.MAX_STOP_CHARS)]],
    Meta(max_length=limits.MAX_STOP_COUNT),
]
Capabilities = Annotated[list[Name], Meta(max_length=32)]
FinishReason = Literal["stop", "length", "cancelled"]
FailureCode = Literal[
    "bad_request", "context_overflow", "unsupported", "overloaded", "engine_error"
]
ServiceClass = Literal["registered", "demo", "probe"]
Role = Literal["system", "user", "assistant"]
Overflow = Literal["refuse", "drop_oldest"]
