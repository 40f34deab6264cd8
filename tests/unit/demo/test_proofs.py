"""Proofs of work: solved by the page's own script, and refused in every other case."""

import base64
import json
import time
from typing import Any

import altcha
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.demo.conf import CONF
from apps.demo.proofs import challenge_make, proof_checked


def solve(challenge: dict[str, Any]) -> str:
    """Solve a challenge by the library's own solver."""
    read = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(read)
    assert solution is not None
    return altcha.Payload(read, solution).to_base64()


@pytest.fixture
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for few sums, so that the tests need not work."""
    monkeypatch.setattr("apps.demo.proofs.secrets.randbelow", lambda most: 7)


@pytest.mark.usefixtures("easy")
def test_a_solved_challenge_is_a_proof_until_it_ends() -> None:
    challenge = challenge_make()
    proof = proof_checked(solve(challenge))
    assert proof is not None
    assert proof.name == challenge["parameters"]["nonce"]
    assert 0 < proof.ends_at - time.time() <= CONF.proof_valid_s


@pytest.mark.usefixtures("easy")
def test_two_challenges_are_two_proofs() -> None:
    names = {getattr(proof_checked(solve(challenge_make())), "name", None) for _ in range(2)}
    assert len(names - {None}) == 2


@pytest.mark.usefixtures("easy")
def test_the_same_solution_written_otherwise_is_the_same_proof() -> None:
    payload = solve(challenge_make())
    read = json.loads(base64.b64decode(payload))
    read["solution"]["time"] = 5
    read["more"] = "x"
    other = base64.b64encode(json.dumps(read, indent=1).encode()).decode()
    assert other != payload
    assert proof_checked(other) == proof_checked(payload) is not None


@pytest.mark.usefixtures("easy")
def test_an_old_challenge_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = solve(challenge_make())
    later = time.time() + CONF.proof_valid_s + 2
    monkeypatch.setattr("altcha.v2.time.time", lambda: later)
    assert proof_checked(payload) is None


CHANGES: list[tuple[tuple[str, ...], Any]] = [
    (("challenge", "parameters", "expiresAt"), 2_000_000_000),
    (("challenge", "parameters", "expiresAt"), None),
    (("challenge", "parameters", "expiresAt"), "soon"),
    (("challenge", "parameters", "nonce"), "00" * 16),
    (("challenge", "parameters", "nonce"), None),
    (("challenge", "parameters", "keySignature"), None),
    (("challenge", "parameters", "keyPrefix"), "00"),
    (("challenge", "parameters", "cost"), 10**9),
    (("challenge", "parameters"), []),
    (("challenge", "parameters"), "SHA-256"),
    (("challenge", "signature"), "0" * 64),
    (("challenge", "signature"), None),
    (("challenge",), None),
    (("challenge",), [[]]),
    (("solution", "derivedKey"), "00" * 32),
    (("solution", "derivedKey"), 5),
    (("solution", "derivedKey"), "no hex"),
    (("solution",), None),
    (("solution",), "x"),
]


@pytest.mark.usefixtures("easy")
@pytest.mark.parametrize(("path", "value"), CHANGES)
def test_a_changed_solution_proves_nothing(path: tuple[str, ...], value: Any) -> None:
    read = json.loads(base64.b64decode(solve(challenge_make())))
    place = read
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert proof_checked(base64.b64encode(json.dumps(read).encode()).decode()) is None


def nested(depth: int) -> str:
    return base64.b64encode(b"[" * depth).decode()


@pytest.mark.parametrize(
    "payload", ["", "x", "e30=", "bnVsbA==", "é", "\x00", "A" * 10_000, nested(1400)]
)
def test_junk_proves_nothing(payload: str) -> None:
    assert proof_checked(payload) is None


NAMES = st.sampled_from(
    ["challenge", "solution", "parameters", "signature", "nonce", "salt", "algorithm", "cost",
     "keyPrefix", "keySignature", "counter", "derivedKey", "expiresAt", "data", "__proto__"]
)  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner),
    max_leaves=12,
)


@given(JSON)
def test_made_up_json_proves_nothing(made_up: Any) -> None:
    assert proof_checked(base64.b64encode(json.dumps(made_up).encode()).decode()) is None
