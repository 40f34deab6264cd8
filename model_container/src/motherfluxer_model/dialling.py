"""Opening the websocket to the router: with the credential, own CAs, a proxy where one is set.

`HTTPS_PROXY` and `NO_PROXY` are the library's; `SSL_CERT_FILE` is OpenSSL's.
"""

import asyncio
import ssl
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidProxy
from websockets.proxy import Proxy, get_proxy, parse_proxy
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from motherfluxer_model import __version__
from motherfluxer_model.credential import Credential
from motherfluxer_model.errors import UsageError
from motherfluxer_wire import limits

AGENT: Final = f"motherfluxer-model/{__version__}"
MAX_MESSAGE_BYTES: Final = 2 * limits.MAX_FRAME_BYTES
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 1.0  # the library's default of 10 s would hold up noticing a silent router


class Dialler:
    """Dials one router, as often as needed."""

    def __init__(self, url: str, credential: Credential, ca_file: Path | None = None) -> None:
        self.url = url
        self.credential = credential
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None

    async def dial(self) -> ClientConnection:
        """Connect and upgrade, with the credential that its file holds now.

        Raises what `troubles.explain_trouble` explains, and InvalidStatus where the router refuses.
        """
        await asyncio.to_thread(self.credential.reread)
        return await connect(
            self.url,
            subprotocols=[Subprotocol(limits.PROTOCOL)],
            additional_headers={"Authorization": f"Bearer {self.credential.text}"},
            user_agent_header=AGENT,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # `Connection` pings by itself and counts what stays silent
            **await self._tls_settings(),
        )

    async def _tls_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {}
        proxy = find_proxy(self.url)
        if self._tls is None:
            self._tls = await asyncio.to_thread(make_tls, self._ca_file)
        if self.url.startswith("wss:"):
            settings["ssl"] = self._tls
        if proxy is not None and proxy.scheme == "https":
            settings["proxy_ssl"] = self._tls
        return settings


def make_tls(ca_file: Path | None) -> ssl.SSLContext:
    """Trust whom the system trusts, and the CAs in a file besides. Blocks. Raises UsageError."""
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # what is wrong inside the file is an OSError too
            why = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise UsageError(f"--ca-file {ca_file} cannot be used: {why}") from error
    return context


def find_proxy(url: str) -> Proxy | None:
    """Give the environment's proxy for this address; it may hold a password.

    Raises InvalidProxy, without quoting the address.
    """
    address = get_proxy(parse_uri(url))
    if address is None:
        return None
    try:
        return parse_proxy(address)
    except (InvalidProxy, ValueError):
        raise InvalidProxy("(not shown)", "it makes no sense") from None


def show_proxy(url: str) -> str:
    """Name the proxy for this address, without its password, as the end of a sentence."""
    try:
        proxy = find_proxy(url)
    except InvalidProxy:
        return " through a proxy whose address makes no sense"
    return "" if proxy is None else f" through the proxy {proxy.host}:{proxy.port}"
