"""The documentation on the public site."""

import re
from urllib.parse import urljoin

import pytest
from django.test import Client

from motherfluxer.docs_pages import pages

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", pages())
def test_every_page_shows_and_its_links_lead_on(client: Client, name: str) -> None:
    address = f"/docs/{name}"
    response = client.get(address, headers={"host": "localhost"})
    assert response.status_code == 200
    article = response.content.decode().split("<article", 1)[1].split("</article>")[0]
    assert "<h1 " in article
    for target in re.findall(r'href="([^"#]+)', article):
        found = urljoin(address, target)
        if found.startswith("/"):
            assert client.get(found, headers={"host": "localhost"}).status_code == 200, target


@pytest.mark.parametrize("name", ["nothing", "../README", "errors.md", "decisions/../errors"])
def test_what_is_no_page_is_not_found(client: Client, name: str) -> None:
    assert client.get(f"/docs/{name}", headers={"host": "localhost"}).status_code == 404


def test_anchors_of_links_exist(client: Client) -> None:
    page = client.get("/docs/protocol", headers={"host": "localhost"}).content.decode()
    assert 'id="close-codes"' in page


@pytest.mark.parametrize("name", pages())
def test_every_picture_shows_and_says_what_it_shows(client: Client, name: str) -> None:
    article = client.get(f"/docs/{name}", headers={"host": "localhost"}).content.decode()
    article = article.split("<article", 1)[1].split("</article>")[0]
    assert "&lt;!--" not in article
    for picture in re.findall(r"<img[^>]*>", article):
        [source], [words] = (re.findall(f'{key}="([^"]+)"', picture) for key in ("src", "alt"))
        found = client.get(urljoin(f"/docs/{name}", source), headers={"host": "localhost"})
        assert found.status_code == 200, source
        assert found.headers["content-type"] == "image/svg+xml"
        assert b"<svg" in b"".join(found.streaming_content)  # type: ignore[attr-defined]
        assert len(words) > 20


@pytest.mark.parametrize("name", ["nothing.svg", "../README.md", "..%2FREADME.md"])
def test_what_is_no_picture_is_not_found(client: Client, name: str) -> None:
    assert client.get(f"/docs/img/{name}", headers={"host": "localhost"}).status_code == 404
