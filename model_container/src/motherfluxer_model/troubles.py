"""What can go wrong on the way to the router, in words for the operator, and what to do about it.

No word comes from a proxy's address: it may hold a password.
"""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidURI,
    ProxyError,
)

# OpenSSL's numbers of what is wrong with a certificate (X509_V_ERR_… in x509_vfy.h).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_UNTRUSTED: Final = frozenset({18, 19, 20, 21})
_WRONG_HOST: Final = frozenset({62, 64})
MAX_QUOTE_BYTES: Final = 500
_PROXY_NEEDS_PASSWORD: Final = 407


def explain_trouble(error: Exception, url: str) -> str:
    """Say why there is no connection to `url`, and what to do."""
    for kind, words in _EXPLANATIONS.items():
        if isinstance(error, kind):
            return words(error, url)
    return str(error) or type(error).__name__


def quote_refusal(body: bytes | bytearray | None, secret: str) -> str:
    """Give what a router said when it refused, on one line and without the credential."""
    text = (body or b"")[:MAX_QUOTE_BYTES].decode(errors="replace")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        text = str(json.loads(text)["error"]["message"])
    text = "".join(char if char.isprintable() else " " for char in text)
    return text.replace(secret, "…").strip() or "no reason given"


def _untrusted(error: Any, url: str) -> str:
    code = error.verify_code
    host = urlsplit(url).hostname
    if code in _UNTRUSTED:
        return (
            f"the certificate of {host} is signed by nobody this machine trusts "
            f"({error.verify_message}): where the site or a proxy has a CA of its own, give it by "
            "--ca-file"
        )
    if code in (_EXPIRED, _NOT_YET_VALID):
        now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        return f"{error.verify_message}; is this machine's clock right? It says {now}"
    if code in _WRONG_HOST:
        return f"{error.verify_message}; is the router's address right?"
    return f"the certificate of {host} is not accepted: {error.verify_message}"


def _no_tls(error: Any, url: str) -> str:
    reason = str(error.reason or error).replace("_", " ").lower()
    if "wrong version number" in reason or "record layer failure" in reason:
        return f"{_place(url)} does not speak TLS; does its address begin with http:// ?"
    return f"no TLS with {_place(url)}: {reason}"


def _no_name(_error: Any, url: str) -> str:
    return (
        f"the name {urlsplit(url).hostname}, or that of the proxy, is not known; is the address "
        "right, and does this machine have a network and DNS?"
    )


def _refused(_error: Any, url: str) -> str:
    return f"nobody listens at {_place(url)}, or at the proxy; is the site running, the port right?"


def _broken_off(_error: Any, url: str) -> str:
    return f"{_place(url)}, or a proxy before it, broke the connection off; is the address right?"


def _no_answer(_error: Any, url: str) -> str:
    return f"no answer from {_place(url)} in time; does a firewall or a proxy stand between?"


def _proxy_refused(error: Any, _url: str) -> str:
    status = error.response.status_code
    if status == _PROXY_NEEDS_PASSWORD:
        return (
            "the proxy wants a name and password (407): HTTPS_PROXY=http://name:password@host:port"
        )
    return f"the proxy refused the way to the router ({status}); may it reach this host and port?"


def _bad_proxy(_error: Any, _url: str) -> str:
    return (
        "the proxy's address in the environment (HTTPS_PROXY) makes no sense: it should look like "
        "http://host:port or http://name:password@host:port, special characters as %XX"
    )


def _proxy_failed(_error: Any, _url: str) -> str:
    return "the proxy does not answer as a proxy does; is its address (HTTPS_PROXY) right?"


def _moved(error: Any, _url: str) -> str:
    place = urlsplit(error.uri)
    return f"the router is elsewhere: give --router {place.scheme}://{place.netloc}"


def _no_upgrade(error: Any, url: str) -> str:
    return (
        f"{_place(url)} answers, but not as a websocket ({error}); "
        "does a proxy between break websockets?"
    )


def _no_socks(_error: Any, _url: str) -> str:
    return "a SOCKS proxy is set; for that install python-socks[asyncio], or use an HTTP proxy"


def _place(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return f"{parts.hostname}:{port}"


# Looked through in this order: a kind before the kinds it is one of.
_EXPLANATIONS: Final[dict[type[Exception], Callable[[Any, str], str]]] = {
    ssl.SSLCertVerificationError: _untrusted,
    ssl.SSLError: _no_tls,
    socket.gaierror: _no_name,
    ConnectionRefusedError: _refused,
    ConnectionError: _broken_off,
    TimeoutError: _no_answer,
    InvalidProxy: _bad_proxy,
    InvalidProxyStatus: _proxy_refused,
    ProxyError: _proxy_failed,
    InvalidURI: _moved,
    InvalidHandshake: _no_upgrade,
    ImportError: _no_socks,
}
