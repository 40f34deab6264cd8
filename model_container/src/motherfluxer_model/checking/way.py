"""Looking at the way to the router, without disturbing an instance that runs under this name.

The upgrade is asked for with the credential and the connection closed before any `hello`: the
router then knows that the credential is good, and nothing of an instance.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, WebSocketException

from motherfluxer_model.core.findings import Finding, Grade
from motherfluxer_model.core.hosts import is_loopback
from motherfluxer_model.credential import Credential
from motherfluxer_model.dialling import Dialler, find_proxy
from motherfluxer_model.errors import CredentialRefusedError, ProtocolTooOldError
from motherfluxer_model.options import Options
from motherfluxer_model.troubles import explain_trouble, quote_refusal
from motherfluxer_wire.tokens import API_KEY_PREFIX, INSTANCE_PREFIX, parse_token

REACH_S: Final = 10.0
PINGS_COUNT: Final = 3
PING_S: Final = 5.0
CLOCK_OFF_S: Final = 60.0
CERTIFICATE_SOON_S: Final = 14 * 86_400.0


async def check_way(options: Options) -> AsyncIterator[Finding]:
    """Look at the credential, then at each step towards the router."""
    form = check_credential_form(options.credential)
    yield form
    async for finding in _check_reach(options.router_url):
        yield finding
        if finding.grade is Grade.FAILED:
            return
    if form.grade is Grade.FAILED:
        yield Finding("router", Grade.FAILED, "not asked: it counts wrong credentials", 3)
        return
    async for finding in _check_upgrade(options):
        yield finding


def check_credential_form(text: str) -> Finding:
    """Tell a mistyped credential, or something else in its place, without asking anybody."""
    if parse_token(INSTANCE_PREFIX, text) is not None:
        return Finding("credential", Grade.OK, "well formed")
    if parse_token(API_KEY_PREFIX, text) is not None:
        words = "this is an API key (mf_…); an instance needs a credential (mfi_…)"
    elif text.startswith(f"{INSTANCE_PREFIX}_"):
        words = "mistyped or cut off: its checksum does not fit; copy it whole"
    else:
        words = "this is none: it begins with mfi_; the operators' site shows it once"
    return Finding("credential", Grade.FAILED, words, CredentialRefusedError.exit_code)


async def _check_reach(url: str) -> AsyncIterator[Finding]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    what = "router"
    try:
        proxy = find_proxy(url)
        if proxy is not None:
            what, host, port = "proxy", proxy.host, proxy.port
        async with asyncio.timeout(REACH_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
            started_s = time.monotonic()
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, InvalidProxy) as error:
        yield Finding("network", Grade.FAILED, explain_trouble(error, url))
        return
    writer.close()
    took_ms = (time.monotonic() - started_s) * 1000
    words = f"the {what} {host}:{port} ({found[0][4][0]}) answers in {took_ms:.0f} ms"
    yield Finding("network", Grade.OK, words)


async def _check_upgrade(options: Options) -> AsyncIterator[Finding]:
    url = options.router_url
    credential = Credential(options.credential, options.credential_file)
    started_s = time.monotonic()
    try:
        websocket = await Dialler(url, credential, options.ca_file).dial()
    except InvalidStatus as error:
        yield _judge_refusal(error, options.credential)
        return
    except (OSError, WebSocketException, ValueError, ImportError) as error:
        yield Finding("router", Grade.FAILED, explain_trouble(error, url))
        return
    took_ms = (time.monotonic() - started_s) * 1000
    yield _check_tls(websocket, url)
    yield Finding("router", Grade.OK, f"takes the credential, in {took_ms:.0f} ms")
    yield await _check_pings(websocket)
    told = websocket.response.headers.get("Date") if websocket.response else None
    yield judge_clock(told, time.time())
    await websocket.close()


def _judge_refusal(error: InvalidStatus, secret: str) -> Finding:
    status = error.response.status_code
    said = quote_refusal(error.response.body, secret)
    if status in (401, 403):
        words, code = f"refuses the credential ({status}): {said}", CredentialRefusedError.exit_code
    elif status == 426:
        words, code = f"speaks another protocol: {said}", ProtocolTooOldError.exit_code
    elif status == 404:
        words, code = "there is no router at this address (404); is it right?", 1
    else:
        words, code = f"answers {status}: {said}", 1
    return Finding("router", Grade.FAILED, words, code)


def _check_tls(websocket: ClientConnection, url: str) -> Finding:
    if url.startswith("ws:"):
        if is_loopback(urlsplit(url).hostname or ""):
            return Finding("encryption", Grade.OK, "none, and none is needed on this machine")
        words = "none: credential and conversations can be read on the way; give --router https://…"
        return Finding("encryption", Grade.WARNING, words)
    session: Any = websocket.transport.get_extra_info("ssl_object")
    ends_s = ssl.cert_time_to_seconds(str(session.getpeercert()["notAfter"]))
    until = time.strftime("%Y-%m-%d", time.gmtime(ends_s))
    words = f"{session.version()}, certificate valid until {until}"
    is_soon = ends_s - time.time() < CERTIFICATE_SOON_S
    return Finding("encryption", Grade.WARNING if is_soon else Grade.OK, words)


async def _check_pings(websocket: ClientConnection) -> Finding:
    took_s: list[float] = []
    try:
        for _ in range(PINGS_COUNT):
            async with asyncio.timeout(PING_S):
                took_s.append(await (await websocket.ping()))
    except TimeoutError:
        words = f"no answer within {PING_S:g} s; does a proxy between swallow them?"
        return Finding("pings", Grade.FAILED, words)
    except ConnectionClosed as error:
        return Finding("pings", Grade.FAILED, f"the connection ended: {error}")
    return Finding("pings", Grade.OK, f"answered in {median(took_s) * 1000:.1f} ms")


def judge_clock(told: str | None, now_s: float) -> Finding:
    """Compare a `Date` header of the router with this machine's time."""
    try:
        off_s = now_s - parsedate_to_datetime(told or "").timestamp()
    except ValueError:
        return Finding("clock", Grade.OK, "the router tells no time to compare with")
    if abs(off_s) < CLOCK_OFF_S:
        return Finding("clock", Grade.OK, "as the router's")
    words = (
        f"{abs(off_s):.0f} s {'ahead of' if off_s > 0 else 'behind'} the router's: set it by NTP"
    )
    return Finding("clock", Grade.WARNING, words)


def check_ca_bundle(path: str | None) -> Finding | None:
    """Tell of a bundle that the environment names and that is not there: OpenSSL says nothing."""
    if path is None or Path(path).is_file():
        return None
    return Finding("encryption", Grade.WARNING, f"SSL_CERT_FILE={path} is no file")
