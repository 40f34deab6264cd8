"""What can go wrong with accounts and keys.

AccountError                base
|-- UserUnknownError        nobody has that address
|-- AddressInvalidError     that is no e-mail address
|-- ApiKeyNameError         the key's name cannot be used
|-- ApiKeyScopeError        what the key is to be good for makes no sense
|-- ApiKeyTooManyError      the user has as many live keys as one may have
|-- ApiKeyUnknownError      the user has no such live key
|-- ApiKeyExpiredError      the key has expired
'-- ApiKeyRenewedError      the key's secret was renewed meanwhile
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


class ApiKeyUnknownError(AccountError):
    """The user has no such live key."""

    def __init__(self) -> None:
        super().__init__("There is no such key, or it was revoked already.")


class ApiKeyExpiredError(AccountError):
    """The key has expired."""

    def __init__(self) -> None:
        super().__init__("The key has expired. Create a new one.")


class ApiKeyRenewedError(AccountError):
    """The key's secret was renewed meanwhile."""

    def __init__(self) -> None:
        super().__init__("The key has a new secret already. Look again before you renew it.")
