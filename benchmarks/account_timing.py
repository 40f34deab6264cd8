"""Whether the time of an answer tells if an address is known: at sign-in, reset and sign-up.

A real server with the real password hash. Known and unknown addresses take turns in random order,
each from an address and in a browser of its own; the posts are timed, not the pages before. "told
by one" is how often a guess from a single answer's time is right: 50 % is a coin.

Run it as `python -m benchmarks.account_timing [--rounds 100]`.
"""

import argparse
import html
import random
import re
import statistics
import time
from collections.abc import Callable
from typing import Final

import httpx

from benchmarks.sites import running_site
from tests.sites import Site

WHICH: Final = ("known", "unknown")
PASSWORD: Final = "a long password, but a wrong one"  # noqa: S105  # nobody's
MAKE_USERS: Final = """
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password
from apps.accounts.models import User
hashed = make_password("the right one")
kinds = ("signin", "reset", "signup")
names = [f"known-{{kind}}-{{n}}@example.org" for kind in kinds for n in range({count})]
users = User.objects.bulk_create(User(email=name, password=hashed) for name in names)
EmailAddress.objects.bulk_create(
    EmailAddress(user=user, email=user.email, verified=True, primary=True) for user in users
)
"""

Form = Callable[[str], dict[str, str]]
PAGES: Final[dict[str, tuple[str, Form]]] = {
    "signin": ("/accounts/login/", lambda address: {"login": address, "password": PASSWORD}),
    "reset": ("/accounts/password/reset/", lambda address: {"email": address}),
    "signup": (
        "/accounts/signup/",
        lambda address: {"email": address, "password1": PASSWORD, "password2": PASSWORD},
    ),
}


def timed_post(site: Site, path: str, form: dict[str, str]) -> tuple[float, str]:
    """Send a form from a new browser; return how long it took and what came, in short."""
    somewhere = ".".join(str(random.randrange(1, 255)) for _ in range(4))  # noqa: S311
    headers = {"Host": f"{site.host('user')}:{site.port}", "X-Forwarded-For": somewhere}
    with httpx.Client(base_url=site.url, headers=headers, trust_env=False) as browser:
        page = browser.get(path).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        sent = {**form, "csrfmiddlewaretoken": html.unescape(token[1])}
        began = time.perf_counter()
        answer = browser.post(path, data=sent)
        took_s = time.perf_counter() - began
    return took_s, f"{answer.status_code} {answer.headers.get('location', '')}".strip()


def measure(site: Site, kind: str, rounds: int) -> dict[str, list[float]]:
    """Return the times by whether the address is known."""
    path, form = PAGES[kind]
    times: dict[str, list[float]] = {which: [] for which in WHICH}
    answers: set[str] = set()
    for number in range(rounds):
        for which in random.sample(WHICH, k=2):
            took_s, answer = timed_post(site, path, form(f"{which}-{kind}-{number}@example.org"))
            times[which].append(took_s)
            answers.add(answer)
    assert len(answers) == 1, answers
    return times


def told_by_one(times: dict[str, list[float]]) -> float:
    """Return how often the longer of two answers is the one that a guesser bets on, 0.5 to 1."""
    pairs = [(a > b) + (a == b) / 2 for a in times["known"] for b in times["unknown"]]
    return max(share := statistics.mean(pairs), 1 - share)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    with running_site(TRUSTED_PROXIES="127.0.0.1") as site:
        site.manage("shell", "-v", "0", "-c", MAKE_USERS.format(count=rounds))
        print(f"{'page':<8}{'known ms':>10}{'unknown ms':>12}{'ratio':>8}{'told by one':>13}")
        for kind in PAGES:
            times = measure(site, kind, rounds)
            known, unknown = (statistics.median(times[which]) * 1000 for which in WHICH)
            told = told_by_one(times)
            print(f"{kind:<8}{known:>10.1f}{unknown:>12.1f}{known / unknown:>8.3f}{told:>12.0%}")


if __name__ == "__main__":
    main()
