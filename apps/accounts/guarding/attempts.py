"""One try to sign in, and whom it is counted for."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest

from apps.accounts.guarding import ladder
from apps.accounts.guarding.counters import shared_counters
from apps.accounts.guarding.devices import account_digest, device_of
from apps.accounts.guarding.guard import Guard, Scope
from apps.networks import network_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A guess at something of one account's. `other` are scopes that it counts for as well."""

    own: Scope
    others: tuple[Scope, ...] = ()

    def admit(self) -> int:
        """Take it; 0: look at the guess, else how many seconds to wait."""
        return guard().admit((*self.others, self.own))

    def was_right(self) -> None:
        """Take it out of the others' count; the account's begins anew when the sign-in is finished.

        Not before: the password may be right and the sign-in lead nowhere, and who guesses must
        not learn from the count which it is.
        """
        for scope in self.others:
            guard().give_back(scope)

    def was_owners(self) -> None:
        """Begin anew with the account too: its owner has proved it."""
        self.was_right()
        guard().forget(self.own)

    def is_news(self) -> bool:
        """Whether the account is locked, which nobody has heard of yet."""
        return guard().is_news(self.own)


def guard() -> Guard:
    """Return the guard over the counters that the processes share."""
    return Guard(shared_counters())


def password_attempt(request: HttpRequest, address: str) -> Attempt:
    """Return a guess at the password of whoever has an e-mail address, if anybody has it."""
    digest = account_digest(address)
    device = device_of(request, digest)
    if device is not None:
        return Attempt(own=Scope(f"device:{digest}:{device}", ladder.DEVICE))
    network = network_of(request.META.get("REMOTE_ADDR") or "")
    return Attempt(
        own=account_scope(address), others=(Scope(f"network:{network}", ladder.NETWORK),)
    )


def second_step_attempt(request: HttpRequest, *, user_id: int, address: str) -> Attempt:
    """Return a guess at a code of the second step, by somebody who knows the password."""
    device = device_of(request, account_digest(address)) or "any"
    return Attempt(own=Scope(f"step:{user_id}:{device}", ladder.SECOND_STEP))


def account_scope(address: str) -> Scope:
    """Return what counts the guesses at one account, from wherever they come."""
    return Scope(f"account:{account_digest(address)}", ladder.ACCOUNT)


def guesses_forget(request: HttpRequest, *, user_id: int, addresses: Iterable[str]) -> None:
    """Begin anew with an account whose owner has come in, from this browser."""
    for address in addresses:
        guard().forget(account_scope(address))
        guard().forget(password_attempt(request, address).own)
        guard().forget(second_step_attempt(request, user_id=user_id, address=address).own)
