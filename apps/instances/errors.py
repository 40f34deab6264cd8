"""What can go wrong with a credential.

CredentialError             base
|-- OperatorUnknownError    nobody has that address or number
|-- NotAnOperatorError      the user may not have credentials
|-- NameInvalidError        the name cannot be used
|-- NameTakenError          the operator has a live credential of that name
|-- CredentialUnknownError  nothing goes by that name or prefix
|-- CredentialAmbiguousError  several do
'-- CredentialRevokedError  it was revoked before
"""

from collections.abc import Sequence


class CredentialError(Exception):
    """Something about a credential is not possible; its text is for the person who asked."""


class OperatorUnknownError(CredentialError):
    """Nobody has that address."""

    def __init__(self, who: object) -> None:
        super().__init__(
            f"No user '{who}'. Create the account first: sign up on the user site, "
            "or add the user on the superadmin site."
        )


class NotAnOperatorError(CredentialError):
    """The user may not have credentials."""

    def __init__(self, email: str) -> None:
        super().__init__(
            f"{email} is not an active operator. Add the user to the group 'operators' "
            "on the superadmin site first."
        )


class NameInvalidError(CredentialError):
    """The name cannot be used."""


class NameTakenError(CredentialError):
    """The operator has a live credential of that name."""

    def __init__(self, name: str, email: str) -> None:
        super().__init__(
            f"{email} already has a credential named '{name}'. Choose another name, "
            f"or revoke that one first: manage.py revoke_credential '{name}'"
        )
        self.name = name


class CredentialUnknownError(CredentialError):
    """Nothing goes by that name or prefix."""

    def __init__(self, wanted: str) -> None:
        super().__init__(
            f"No credential is named '{wanted}' and none begins so. "
            "Give its name, or its beginning such as mfi_a1B2c3D4e5F6."
        )


class CredentialAmbiguousError(CredentialError):
    """Several credentials go by that name or prefix."""

    def __init__(self, wanted: str, candidates: Sequence[str]) -> None:
        listed = "\n".join(f"  {line}" for line in candidates)
        super().__init__(f"'{wanted}' could be any of these; give the beginning:\n{listed}")


class CredentialRevokedError(CredentialError):
    """The credential was revoked before."""

    def __init__(self, name: str, prefix: str) -> None:
        super().__init__(f"{name} ({prefix}) was already revoked.")
