"""Which network an address belongs to, which is what every limit by address counts. Pure."""

import ipaddress
from typing import Final

# A household's or a company's own part of an IPv6 address begins behind the first 64 bits: who has
# one address of it has all of them.
_OWN_IPV6_BITS: Final = 64
UNKNOWN: Final = "unknown"


def network_of(address: str) -> str:
    """Return an IPv4 address itself, an IPv6 address's /64; whatever is neither shares one name."""
    try:
        found = ipaddress.ip_address(address.strip())
    except ValueError:
        return UNKNOWN
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), _OWN_IPV6_BITS), strict=False))
