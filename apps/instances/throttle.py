"""Counts wrong credentials by address. Pure: time is an argument."""

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

from apps.instances.conf import InstancesConf


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: float


class FailureCounter:
    """Says how long an address that shows wrong credentials should wait.

    Failures are forgotten by time alone. A right credential neither clears them (whoever owns one
    could then guess on for ever) nor is it ever refused because of them: behind one NAT, many
    operators share an address, and a neighbour's misconfigured instance must not lock them out.
    With 256 bits of secret nothing can be guessed anyhow; the wait keeps noise away.
    """

    def __init__(self, conf: InstancesConf) -> None:
        self._conf = conf
        self._by_network: OrderedDict[str, _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._by_network)

    def failed(self, address: str, *, now: float) -> int | None:
        """Count a failure; return the seconds to wait, or None for the first few."""
        network = _network(address)
        known = self._by_network.pop(network, None)
        is_fresh = known and now - known.last_at < self._conf.failures_forgotten_after_s
        failures = known if known and is_fresh else _Failures(0, now)
        failures.count += 1
        failures.last_at = now
        self._by_network[network] = failures
        if len(self._by_network) > self._conf.remembered_addresses_count:
            self._by_network.popitem(last=False)
        return self._wait_s(failures.count)

    def _wait_s(self, count: int) -> int | None:
        beyond = count - self._conf.failures_before_wait_count
        if beyond < 0:
            return None
        # Bounded before the power is taken: the count has no bound.
        doublings = min(beyond, self._conf.longest_wait_s.bit_length())
        return min(self._conf.longest_wait_s, self._conf.first_wait_s << doublings)


def _network(address: str) -> str:
    """Return what one holder of an address can vary freely: of IPv6 a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped  # as a server that listens on both kinds sees IPv4
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
