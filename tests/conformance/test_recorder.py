"""The recorder misses no request, invents none and changes nothing."""

import http.client

import pytest

from tests.conformance.recorder import Recorder, RequestReader
from tests.sites import WAIT_S, Site

POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\n.."
GET = b"GET /b?c HTTP/1.1\r\nhost: y:1\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_requests_of_one_connection_are_told_apart_however_they_arrive(size: int) -> None:
    sent, reader = POST + GET + POST + GET, RequestReader()
    pieces = (sent[n : n + size] for n in range(0, len(sent), size))
    found = [asked for piece in pieces for asked in reader.feed(piece)]
    assert [(asked.method, asked.path) for asked in found] == [("POST", "/a"), ("GET", "/b?c")] * 2
    assert found[0].headers == {"host": "x", "content-length": "20"}
    assert found[1].headers == {"host": "y:1"}


def test_a_body_that_cannot_be_followed_is_refused() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(ValueError, match="content-length"):
        list(RequestReader().feed(head))


def test_it_counts_what_passes_and_changes_nothing(shared_site: Site, recorder: Recorder) -> None:
    address = recorder.url.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=WAIT_S)
    texts = []
    for _ in range(2):
        connection.request("GET", "/v1/models", headers={"x-own": "yes"})
        response = connection.getresponse()
        assert response.status == 401
        texts.append(response.read())
    connection.close()
    assert texts == [shared_site.get("/v1/models").body] * 2
    assert [(asked.path, asked.headers["x-own"]) for asked in recorder.asked] == [
        ("/v1/models", "yes")
    ] * 2
    assert len(recorder.gaps_s) == 1
