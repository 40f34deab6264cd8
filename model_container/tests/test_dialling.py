"""The way to the router: own CAs, proxies, rotated credentials, and words for what goes wrong."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from motherfluxer_model.credential import Credential
from motherfluxer_model.dialling import Dialler, show_proxy
from motherfluxer_model.testing.certificates import sign
from motherfluxer_model.testing.proxy import ConnectProxy
from motherfluxer_model.testing.router import ScriptedRouter
from motherfluxer_model.troubles import explain_trouble, quote_refusal

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WS_PROXY", "WSS_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def router() -> AsyncIterator[ScriptedRouter]:
    async with ScriptedRouter() as router:
        yield router


async def dial(url: str, ca_file: Path | None = None) -> None:
    """Connect and leave again."""
    websocket = await Dialler(url, Credential("mfi_secret"), ca_file).dial()
    await websocket.close()


async def trouble(url: str, ca_file: Path | None = None) -> str:
    """Connect in vain; give the words for the operator."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  every kind there is, by its words
        await dial(url, ca_file)
    return explain_trouble(caught.value, url)


async def test_own_ca_is_trusted_when_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = sign(tmp_path)
    async with ScriptedRouter(signed.server) as router:
        assert "--ca-file" in await trouble(router.url)
        await dial(router.url, signed.ca_file)
        monkeypatch.setenv("SSL_CERT_FILE", str(signed.ca_file))
        await dial(router.url)


@pytest.mark.parametrize(
    ("host", "days", "words"), [("localhost", -1, "clock"), ("elsewhere.test", 1, "address right")]
)
async def test_certificate_that_does_not_fit_is_explained(
    tmp_path: Path, host: str, days: int, words: str
) -> None:
    signed = sign(tmp_path, host=host, days=days)
    async with ScriptedRouter(signed.server) as router:
        assert words in await trouble(router.url, signed.ca_file)


@contextlib.asynccontextmanager
async def talker(words: bytes) -> AsyncIterator[int]:
    """Give the port of a server that says the same words to everybody and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await writer.drain()
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("scheme", "said", "words"),
    [
        ("wss", b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS"),
        ("ws", b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", "break websockets"),
        ("ws", b"220 mail.example ESMTP\r\n\r\n", "break websockets"),
    ],
)
async def test_server_that_is_no_router_is_explained(scheme: str, said: bytes, words: str) -> None:
    async with talker(said) as port:
        assert words in await trouble(f"{scheme}://127.0.0.1:{port}/ws/instances/")


async def test_connection_that_is_broken_off_is_explained(router: ScriptedRouter) -> None:
    assert "broke the connection off" in await trouble(router.url.replace("ws:", "wss:"))


async def test_way_leads_through_the_proxy_with_its_password_and_past_it_by_no_proxy(
    router: ScriptedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ConnectProxy(login="me:geheim") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url("me:geheim"))
        await dial(router.url)
        assert len(proxy.targets) == 1
        assert show_proxy(router.url) == f" through the proxy 127.0.0.1:{proxy.port}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        await dial(router.url)
        assert len(proxy.targets) == 1
        assert show_proxy(router.url) == ""


async def test_tls_goes_through_the_proxy_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = sign(tmp_path)
    async with ScriptedRouter(signed.server) as router, ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        await dial(router.url, signed.ca_file)
        assert proxy.targets == [router.url.removeprefix("wss://").partition("/")[0]]


async def test_proxy_itself_may_speak_tls(
    router: ScriptedRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed = sign(tmp_path)
    async with ConnectProxy(tls=signed.server) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        assert "--ca-file" in await trouble(router.url)
        await dial(router.url, signed.ca_file)
        assert len(proxy.targets) == 1


@pytest.mark.parametrize(
    ("status", "login", "words"),
    [(None, "me:wrong", "name and password"), (403, None, "refused the way")],
)
async def test_proxy_that_refuses_is_explained_without_its_password(
    router: ScriptedRouter,
    monkeypatch: pytest.MonkeyPatch,
    status: int | None,
    login: str | None,
    words: str,
) -> None:
    async with ConnectProxy(login="me:geheim", refuse_with=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(login))
        said = await trouble(router.url)
    assert words in said
    assert "wrong" not in said


@pytest.mark.parametrize(
    "address", ["me:geheim@h:1", "ftp://me:geheim@h", "http://me:ge/heim@h:1", "http://geheim@h"]
)
async def test_senseless_proxy_address_is_not_quoted(
    router: ScriptedRouter, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", address)
    said = await trouble(router.url)
    assert "HTTPS_PROXY" in said
    assert "geheim" not in said + show_proxy(router.url)
    assert "heim@h" not in said


async def test_proxy_that_is_none_is_explained(
    router: ScriptedRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talker(b"220 mail.example ESMTP\r\n\r\n") as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        assert "does not answer as a proxy" in await trouble(router.url)


async def test_router_that_is_not_there_is_explained() -> None:
    assert "nobody listens at 127.0.0.1:9" in await trouble("ws://127.0.0.1:9/ws/instances/")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name box.test"),
        (TimeoutError(), "no answer from box.test:443 in time"),
        (ImportError("python-socks"), "python-socks"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (ValueError(), "ValueError"),
    ],
)
def test_every_other_trouble_has_words(error: Exception, words: str) -> None:
    assert words in explain_trouble(error, "wss://box.test/ws/instances/")


async def test_router_that_moved_is_named() -> None:
    async with ScriptedRouter() as router:
        router.refuse_with = (301, {"Location": "https://motherfluxer.test/ws/instances/"})
        assert "--router https://motherfluxer.test" in await trouble(router.url)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"code": "x", "message": "Not valid.\\nmfi_secret"}}', "Not valid. …"),
        (b"<h1>Gateway</h1>\r\n\x1b[31m", "<h1>Gateway</h1>   [31m"),
        (b'{"error": "plain"}', '{"error": "plain"}'),
        (None, "no reason given"),
    ],
)
def test_refusal_is_quoted_on_one_line_without_the_credential(
    body: bytes | None, said: str
) -> None:
    assert quote_refusal(body, "mfi_secret") == said


async def test_rotated_credential_file_is_taken_at_the_next_connection(
    router: ScriptedRouter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "credential"
    dialler = Dialler(router.url, Credential("mfi_old", file))
    for content, wanted in (("mfi_new\n", "mfi_new"), ("", "mfi_new"), ("mfi_newer", "mfi_newer")):
        file.write_text(content)
        websocket = await dialler.dial()
        assert websocket.request is not None
        assert websocket.request.headers["Authorization"] == f"Bearer {wanted}"
        await websocket.close()
    assert "mfi_new" not in repr(dialler.credential)
    assert "mfi_" not in "".join(r.getMessage() for r in caplog.records if "motherfluxer" in r.name)
