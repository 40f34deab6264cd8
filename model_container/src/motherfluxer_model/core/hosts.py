"""By which names a local server may be asked. Pure.

A page somewhere can make its own name lead to 127.0.0.1 and so have a visitor's browser read what
listens there (DNS rebinding); the `Host` header then still holds that page's name.
"""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is for this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return _is_localhost(host.lower())


def is_own_host(header: str | None, listening_on: str) -> bool:
    """Tell whether a request with this `Host` is meant for the server.

    One that listens to the network cannot know its names. Without a header it is no browser.
    """
    if header is None or not is_loopback(listening_on):
        return True
    name = _without_port(header.strip().lower())
    return is_loopback(name) or name == listening_on.lower()


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0].rstrip(".")


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")
