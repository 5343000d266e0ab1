"""Who a request is from when a proxy brought it: believed only where the proxy is trusted.

Behind a proxy all requests come from one address, and fairness between clients would see one
client. ``X-Forwarded-For`` says more, but anybody can send it; so it is read only on connections
from the addresses that the setting ``trusted_proxies`` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import final

from torchyard.core.errors import BadUsage

_LONGEST = 1024  # bytes of the header that are looked at, from its end


@final
class Proxies:
    """The addresses whose ``X-Forwarded-For`` is believed.

    Args:
        networks: addresses or networks, for example ``10.0.0.0/8`` or ``::1``.

    Raises:
        BadUsage: one of them is neither.

    Example:
        >>> proxies = Proxies(["10.0.0.0/8"])
        >>> proxies.trusts("10.1.2.3"), proxies.trusts("192.0.2.7")
        (True, False)
        >>> proxies.client({b"x-forwarded-for": b"6.6.6.6, 192.0.2.7, 10.0.0.9"}, "10.1.2.3")
        '192.0.2.7'
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = tuple(_network(text) for text in networks)
        self._last = lru_cache(maxsize=4096)(self._last_hop)

    def trusts(self, address: str) -> bool:
        """Whether what a connection from there says about its clients is believed."""
        if not self._networks:
            return False
        found = _address(address)
        return found is not None and any(found in network for network in self._networks)

    def client(self, headers: Mapping[bytes, bytes], proxy: str) -> str:
        """The last address in ``X-Forwarded-For`` that is no trusted proxy's, else the proxy's.

        Args:
            headers: names in lower case.
            proxy: whose connection it is.
        """
        text = headers.get(b"x-forwarded-for")
        return proxy if text is None else self._last(text[-_LONGEST:]) or proxy

    def _last_hop(self, text: bytes) -> str:
        for hop in reversed(text.decode("latin-1").split(",")):
            found = _address(hop.strip())
            if found is None:
                return ""  # whoever wrote it is no proxy of ours: nothing before it is believed
            if not any(found in network for network in self._networks):
                return str(found)
        return ""


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise BadUsage(
            where="serve setting trusted_proxies",
            found=repr(text),
            expected="an address or a network, such as 10.0.0.0/8",
            remedy="Name the addresses from which your proxies connect.",
        ) from error


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
