"""A production site as it is seen from outside, through a proxy that ends TLS."""

import asyncio
import json
import re
import socket
import ssl
from collections.abc import Iterator
from http.cookies import SimpleCookie
from urllib.parse import urljoin

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.acceptance.behind_tls import SITES, TlsProxy, form_sent, production_env, tls_proxy
from tests.acceptance.conftest import Prepared, SiteFactory
from tests.acceptance.raw import Answer, raw_instance
from tests.acceptance.test_server import HELLO
from tests.acceptance.test_stopping import GUNICORN
from tests.sites import Site, http_request, wait_until

YEAR = "max-age=31536000"


@pytest.fixture(scope="module")
def site(_new_site: SiteFactory, prepared: Prepared) -> Iterator[Site]:
    made = _new_site(env=production_env(prepared.folder), command=GUNICORN)
    made.manage("collectstatic", "--no-input", "-v0")
    yield made.start()
    made.close()


@pytest.fixture(scope="module")
def proxy(site: Site) -> Iterator[TlsProxy]:
    with tls_proxy(site) as proxy:
        yield proxy


@pytest.mark.parametrize("name", SITES)
def test_every_page_has_the_headers_that_protect_it(proxy: TlsProxy, name: str) -> None:
    with proxy.client(name) as client:
        headers = client.get("/accounts/login/" if name else "/").headers
    hsts = headers["strict-transport-security"]
    assert int(hsts.split("max-age=")[1].split(";")[0]) >= 31_536_000
    assert "includeSubDomains" in hsts
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert not {"server", "x-powered-by"} & set(headers)


@pytest.mark.parametrize("name", SITES)
def test_plain_http_is_sent_to_tls(proxy: TlsProxy, site: Site, name: str) -> None:
    at_proxy = http_request(proxy.http_port, "GET", "/about?x=1", host=site.host(name))
    assert at_proxy.status == 308
    assert at_proxy.headers["location"].startswith(f"https://{site.host(name)}")
    at_site = site.get("/chat/?x=1", site=name)
    assert at_site.status == 301
    assert at_site.headers["location"] == f"https://{site.host(name)}:{site.port}/chat/?x=1"


def cookies_of(response: httpx.Response) -> SimpleCookie:
    """Return the cookies that one response sets."""
    found: SimpleCookie = SimpleCookie()
    for line in response.headers.get_list("set-cookie"):
        found.load(line)
    return found


@pytest.mark.parametrize(("name", "role"), [("admin", "operator"), ("superadmin", "superadmin")])
def test_cookies_are_secure_and_of_one_host(
    proxy: TlsProxy, site: Site, name: str, role: str
) -> None:
    form = {"login": f"{role}@{site.domain}", "password": site.password(role)}
    with proxy.client(name) as client:
        page = client.get("/accounts/login/")
        inside = form_sent(client, "/accounts/login/", form)
    assert inside.status_code == 302, inside.text
    found = {**cookies_of(page), **cookies_of(inside)}
    assert {f"__Host-mf-{name}-sessionid", f"__Host-mf-{name}-csrftoken"} <= set(found)
    for cookie in found.values():
        assert cookie["secure"]
        assert cookie["httponly"]
        assert cookie["samesite"] in ("Lax", "Strict")
        assert not cookie["domain"]
        assert cookie["path"] == "/"


def test_a_visitors_cookies_are_secure_too(proxy: TlsProxy) -> None:
    with proxy.client() as client:
        found = cookies_of(client.get("/"))
    assert found
    assert all(name.startswith("__Host-") for name in found)
    assert all(cookie["secure"] and cookie["httponly"] for cookie in found.values())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_versions_of_tls_are_refused(
    proxy: TlsProxy, site: Site, version: ssl.TLSVersion
) -> None:
    context = proxy.trust()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.protocol.version"):
        await asyncio.open_connection(
            "127.0.0.1", proxy.port, ssl=context, server_hostname=site.host()
        )


@pytest.mark.parametrize("host", ["evil.example", "evil.motherfluxer.localhost", "localhost"])
def test_an_unknown_host_is_refused(proxy: TlsProxy, site: Site, host: str) -> None:
    assert http_request(site.port, "GET", "/", host=host).status == 400
    with proxy.client() as client:
        response = client.get("/", headers={"Host": host})
    assert "csrfmiddlewaretoken" not in response.text


def test_health_is_told_inside_without_tls_whatever_the_name(site: Site) -> None:
    for host in (None, "10.0.0.7", "web"):
        assert http_request(site.port, "GET", "/healthz", host=host).status == 200
        assert http_request(site.port, "GET", "/readyz", host=host).status in (200, 503)


def by_ipv6(site: Site, path: str, **headers: str) -> httpx.Response:
    """Ask the site itself, as somebody who is no trusted proxy."""
    host = {"Host": site.host(), **headers}
    return httpx.get(f"http://[::1]:{site.port}{path}", headers=host, trust_env=False)


def last_address_of(site: Site) -> str:
    """Tell from where the newest key was last used."""
    code = (
        "from apps.accounts.keys.models import ApiKey; "
        "print('at', ApiKey.objects.latest('id').last_used_address)"
    )
    return site.manage("shell", "-v0", "-c", code).split()[-1]


def test_only_the_proxy_is_believed(proxy: TlsProxy, site: Site) -> None:
    lie = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    assert by_ipv6(site, "/", **lie).status_code == 301
    key = {"Authorization": f"Bearer {site.api_key()}"}
    assert by_ipv6(site, "/v1/models", **lie, **key).status_code == 200
    wait_until(lambda: last_address_of(site) != "at", "the use of the key is written")
    assert last_address_of(site) == "::1"
    with proxy.client(**lie, Authorization=f"Bearer {site.api_key('b@example.org')}") as client:
        assert client.get("/v1/models").status_code == 200
    wait_until(lambda: last_address_of(site) != "at", "the use of the key is written")
    assert last_address_of(site) == "127.0.0.1"


async def test_an_instance_connects_through_the_proxy(proxy: TlsProxy, site: Site) -> None:
    credential = await asyncio.to_thread(site.issue_credential, "outside")
    async with connect(
        f"wss://{proxy.authority()}/ws/instances/",
        host="127.0.0.1",
        ssl=proxy.trust(),
        additional_headers={"Authorization": f"Bearer {credential}"},
        subprotocols=["motherfluxer.v1"],  # type: ignore[list-item]
        proxy=None,
    ) as link:
        await link.send(json.dumps(HELLO))
        assert json.loads(await link.recv())["type"] == "welcome"


async def test_a_stream_comes_through_the_proxy_as_it_is_made(proxy: TlsProxy, site: Site) -> None:
    credential = await asyncio.to_thread(site.issue_credential, "streamed")
    key = await asyncio.to_thread(site.api_key)
    body = {"model": "raw", "stream": True, "messages": [{"role": "user", "content": "Hello?"}]}
    async with (
        raw_instance(site.port, credential, "streamed") as instance,
        proxy.async_client(Authorization=f"Bearer {key}") as client,
    ):
        answer = Answer(client, body)
        job = await instance.next_job()
        await instance.chunk(job, 0, "first")
        await answer.has("first")
        await instance.chunk(job, 1, " and last")
        await instance.done(job, 2)
        assert await answer.whole() == "first and last"


def test_a_body_without_end_is_refused(proxy: TlsProxy) -> None:
    with proxy.client() as client:
        assert client.post("/accounts/login/", content=b"x" * 3_000_000).status_code == 413
        pieces = (b"x" * 65536 for _ in range(60))
        assert client.post("/accounts/login/", content=pieces).status_code == 413


NAMED = re.compile(
    r"""(?:from|import|URL\()\s*\(?["'](?P<script>[^"']+)["']|url\(["']?(?P<style>[^"')]+)"""
)


def files_of(client: httpx.Client, page: str) -> set[str]:
    """Return every static file of a page, and of the styles and scripts that it names."""
    due = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))
    found: set[str] = set()
    while due:
        address = due.pop()
        found.add(address)
        text = client.get(address).text if address.endswith((".js", ".css")) else ""
        due |= {urljoin(address, one[1] or one[2]) for one in NAMED.finditer(text)} - found
    return found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_breaks_takes_no_web_process_from_others(
    proxy: TlsProxy, site: Site, method: str
) -> None:
    head = f"{method} / HTTP/1.1\r\nHost: {proxy.authority()}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=30) as plain,
        proxy.trust().wrap_socket(plain, server_hostname=site.host("")) as hostile,
    ):
        hostile.sendall(f"{head}5\r\nhello\r\nno size\r\n".encode())
        assert hostile.recv(4096).startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    with proxy.client() as client:
        assert client.get("/").status_code == 200


def test_static_files_may_be_kept_for_ever(proxy: TlsProxy) -> None:
    with proxy.client() as client:
        files = files_of(client, client.get("/").text)
        names = {re.sub(r"\.[0-9a-f]{12}\.", ".", one) for one in files}
        assert {
            f"/static/js/{one}.js" for one in ("chat", "stream", "proof", "proof-worker")
        } <= names
        for address in files:
            response = client.get(address, headers={"Accept-Encoding": "br"})
            assert response.status_code == 200, address
            assert YEAR in response.headers["cache-control"], address
            assert "immutable" in response.headers["cache-control"], address
            if address.endswith((".js", ".css")) and int(response.headers["content-length"]) > 300:
                assert response.headers["content-encoding"] == "br", address
