"""The documentation on the public site."""

import re

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
        base = address.rpartition("/")[0] + "/"
        found = target if "//" in target else re.sub(r"/\./|[^/]+/\.\./", "/", base + target)
        if found.startswith("/"):
            assert client.get(found, headers={"host": "localhost"}).status_code == 200, target


@pytest.mark.parametrize("name", ["nothing", "../README", "errors.md", "decisions/../errors"])
def test_what_is_no_page_is_not_found(client: Client, name: str) -> None:
    assert client.get(f"/docs/{name}", headers={"host": "localhost"}).status_code == 404


def test_anchors_of_links_exist(client: Client) -> None:
    page = client.get("/docs/protocol", headers={"host": "localhost"}).content.decode()
    assert 'id="close-codes"' in page
