"""A canary on a running site: an alias's shares move while people ask."""

import json
from collections import Counter

from tests.sites import Response, Site, wait_until

NEW = "echo-next"


def ask(site: Site, key: str, model: str) -> Response:
    messages = [{"role": "user", "content": "hello"}]
    body = json.dumps({"model": model, "messages": messages})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return site.request("POST", "/v1/chat/completions", headers=headers, body=body)


def answered_by(site: Site, key: str, model: str) -> str | None:
    """Ask and return the name of the model that answered; None when there is no such model."""
    reply = ask(site, key, model)
    if reply.status == 404:
        assert reply.json()["error"]["code"] == "model_not_found"
        return None
    assert reply.status == 200, reply.text
    return str(reply.json()["model"])


def listed(site: Site, key: str) -> list[str]:
    data = site.get("/v1/models", Authorization=f"Bearer {key}").json()["data"]
    return [model["id"] for model in data]


def test_requests_move_from_one_model_to_the_next(site: Site) -> None:
    key = site.api_key()
    site.start_instance(name="old").wait_connected()
    site.start_instance(name="new", options=(f"--model-name={NEW}",)).wait_connected()
    assert answered_by(site, key, "chat") is None

    assert site.manage("set_alias", "chat", "echo=1") == "chat: echo 100 %\n"
    wait_until(lambda: answered_by(site, key, "chat") == "echo", "the alias is known")
    assert listed(site, key) == ["chat", "echo", NEW]

    told = site.manage("set_alias", "chat", "echo=3", f"{NEW}=1")
    assert told == f"chat: echo 75 %, {NEW} 25 %\n"
    wait_until(lambda: answered_by(site, key, "chat") == NEW, "the canary gets a request")
    went = Counter(answered_by(site, key, "chat") for _ in range(200))
    # The draws are the router's own seeded stream: 50 expected, and far off is a fault.
    assert went.keys() == {"echo", NEW}
    assert 25 <= went[NEW] <= 75

    site.manage("set_alias", "chat", f"{NEW}=1")
    wait_until(
        lambda: {answered_by(site, key, "chat") for _ in range(20)} == {NEW}, "all have moved"
    )
    assert answered_by(site, key, "echo") == "echo"

    site.manage("set_alias", "chat", "--delete")
    wait_until(lambda: answered_by(site, key, "chat") is None, "the alias is gone")
    assert listed(site, key) == ["echo", NEW]
