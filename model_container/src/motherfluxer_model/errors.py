"""What can go wrong in the container, by name.

ContainerError
|-- UsageError              the command line or the environment makes no sense
|-- EngineLoadError         the model cannot be loaded
|-- IllegalPhaseError       the engine's process cannot go from one phase to another
|-- PipeError               the engine's process, or the main one, said what is no frame
|-- NoAnswerError           the loaded model does not answer
|-- GenerationError         one job cannot be answered (code, retryable)
|   '-- AnswerCutError          the server behind the engine broke off
'-- LinkEndedError          the link ends for good
    |-- CredentialRefusedError  the router does not take the credential
    |-- ReplacedError           another container runs under the same name
    '-- ProtocolTooOldError     the router no longer speaks this program's protocol
"""

from typing import ClassVar

from motherfluxer_wire.fields import FailureCode


class ContainerError(Exception):
    """Base of everything this program raises on purpose; `exit_code` is the process's."""

    exit_code: ClassVar[int] = 1


class UsageError(ContainerError):
    """The command line or the environment makes no sense."""

    exit_code = 2


class EngineLoadError(ContainerError):
    """The model cannot be loaded."""

    exit_code = 4


class IllegalPhaseError(ContainerError):
    """The engine's process cannot go from one phase to another."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__(f"an engine's process cannot go from {old} to {new}")
        self.old, self.new = old, new


class PipeError(ContainerError):
    """One process of the container said to the other what is no frame."""


class NoAnswerError(ContainerError):
    """The loaded model does not answer."""

    exit_code = 4


class GenerationError(ContainerError):
    """One job cannot be answered; its siblings are not affected."""

    def __init__(self, code: FailureCode, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code: FailureCode = code
        self.message = message
        self.retryable = retryable


class AnswerCutError(GenerationError):
    """The server behind an engine broke off: it may have died, and be another when it is back."""

    def __init__(self, message: str) -> None:
        super().__init__("engine_error", message, retryable=True)


class LinkEndedError(ContainerError):
    """The link ends for good: trying again would not help."""


class CredentialRefusedError(LinkEndedError):
    """The router does not take the credential: unknown, revoked, expired or not allowed."""

    exit_code = 3


class ReplacedError(LinkEndedError):
    """Another container connected under the same name and took this one's place."""

    exit_code = 5


class ProtocolTooOldError(LinkEndedError):
    """The router no longer speaks the protocol this program speaks."""

    exit_code = 6
