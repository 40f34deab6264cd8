"""What can go wrong with accounts and keys.

AccountError                base
|-- UserUnknownError        nobody has that address
|-- AddressInvalidError     that is no e-mail address
|-- ApiKeyNameError         the key's name cannot be used
|-- ApiKeyScopeError        what the key is to be good for makes no sense
|-- ApiKeyTooManyError      the user has as many live keys as one may have
|-- ApiKeyTooOftenError     the user has made as many keys today as one may
|-- ApiKeyUnknownError      the user has no such live key
|-- ApiKeyExpiredError      the key has expired
|-- ApiKeyRotatedError      the key's secret was rotated meanwhile
|-- LastSuperadminError     nobody would be left who may see and steer everything
|-- ApplicationOpenError    the user's application is waiting already
|-- ApplicationDecidedError the application was decided already
|-- AlreadyOperatorError    the user is an operator already
|-- InvitationInvalidError  the invitation is unknown, used or out of date
'-- InvitationForeignError  the invitation is for another address
"""


class AccountError(Exception):
    """Something about an account is not possible; its text is for the person who asked."""


class UserUnknownError(AccountError):
    """Nobody has that address."""

    def __init__(self, email: str) -> None:
        super().__init__(f"No user '{email}'. Create it with --create-user, or sign up first.")


class AddressInvalidError(AccountError):
    """That is no e-mail address."""

    def __init__(self, email: str) -> None:
        super().__init__(f"'{email}' is not an e-mail address.")


class ApiKeyNameError(AccountError):
    """The key's name cannot be used."""


class ApiKeyScopeError(AccountError):
    """What the key is to be good for makes no sense."""


class ApiKeyTooManyError(AccountError):
    """The user has as many live keys as one may have."""

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} keys already. Revoke one that is not used first.")


class ApiKeyTooOftenError(AccountError):
    """The user has made as many keys today as one may, revoked ones included."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} keys were made within a day. Make more tomorrow.")


class ApiKeyUnknownError(AccountError):
    """The user has no such live key."""

    def __init__(self) -> None:
        super().__init__("There is no such key, or it was revoked already.")


class ApiKeyExpiredError(AccountError):
    """The key has expired."""

    def __init__(self) -> None:
        super().__init__("The key has expired. Create a new one.")


class ApiKeyRotatedError(AccountError):
    """The key's secret was rotated meanwhile."""

    def __init__(self) -> None:
        super().__init__("The key has a new secret already. Look again before you rotate it.")


class LastSuperadminError(AccountError):
    """Nobody would be left who may see and steer everything."""

    def __init__(self) -> None:
        super().__init__(
            "You are the only superadmin. Make somebody else one first, then delete your account."
        )


class ApplicationOpenError(AccountError):
    """The user's application is waiting already."""

    def __init__(self) -> None:
        super().__init__("Your application is waiting already.")


class ApplicationDecidedError(AccountError):
    """The application was decided already."""

    def __init__(self) -> None:
        super().__init__("This application was decided already.")


class AlreadyOperatorError(AccountError):
    """The user is an operator already."""

    def __init__(self, email: str) -> None:
        super().__init__(f"{email} is an operator already.")


class InvitationInvalidError(AccountError):
    """The invitation is unknown, used or out of date."""

    def __init__(self) -> None:
        super().__init__(
            "This invitation is not valid any more: it was used, withdrawn, or is too old. "
            "Ask whoever invited you for a new one, or apply."
        )


class InvitationForeignError(AccountError):
    """The invitation is for another address."""

    def __init__(self) -> None:
        super().__init__(
            "This invitation is for another address. Sign in with the account that has that "
            "address, or add it to this account and verify it."
        )
