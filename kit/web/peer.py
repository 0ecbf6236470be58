"""Who is on the other end of the connection, also behind proxies: WeChat Pay's H5 wants to know, and so do rate limits.

`X-Forwarded-For` is anybody's word. It counts only as far as it was written by proxies that are ours: read from the
right, the first address that is not one of theirs is the client.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

_HOPS = 16
"""So many entries are read at most."""
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]{1,5}|\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?")


class _Address(NamedTuple):
    """An address, with what is asked of it at each request."""

    itself: IPv4Address | IPv6Address
    network: str
    """It, or of IPv6 its /64."""
    on_the_internet: bool


class Peers:
    """Reads the client's address of a request."""

    def __init__(self, trusted: tuple[IPv4Network | IPv6Network, ...] = (), *, stand_in: str | None = None) -> None:
        """`trusted`: networks of our own proxies. `stand_in` is said in place of this very machine (development)."""
        self._trusted = trusted
        self._stand_in = stand_in

    def client(self, scope: Mapping[str, Any]) -> str | None:
        """The client's address, or `None`: it is not known, or it is this machine, which is nobody's address."""
        found = self._found(scope)
        if found is None or found.itself.is_loopback or found.itself.is_unspecified:
            return self._stand_in
        return str(found.itself)

    def network(self, scope: Mapping[str, Any]) -> str | None:
        """The client's address, or of IPv6 the /64 that one customer has whole: what failed sign-ins are counted by."""
        found = self._found(scope)
        return None if found is None else found.network

    def on_the_internet(self, scope: Mapping[str, Any]) -> str | None:
        """The same where it is somebody's on the internet. `None`: not known, or of this machine or a network of ours,
        which may be a proxy that nobody named, with everybody behind it.
        """
        found = self._found(scope)
        return found.network if found is not None and found.on_the_internet else None

    def _found(self, scope: Mapping[str, Any]) -> _Address | None:
        peer = _address(str((scope.get("client") or ("",))[0]))
        if peer is None or not self._is_ours(peer):
            return peer
        said = b",".join(value for name, value in scope["headers"] if name.lower() == b"x-forwarded-for")
        for entry in reversed(said.decode("latin-1").split(",")[-_HOPS:]):
            hop = _hop(entry.strip())
            if hop is None:
                return None  # a proxy of ours would have written an address
            peer = hop
            if not self._is_ours(hop):
                break
        return peer

    def _is_ours(self, address: _Address) -> bool:
        return any(address.itself in network for network in self._trusted)


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """`10.0.0.0/8, 192.168.1.7` as networks. Raises `ValueError` naming the one that is none."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _hop(text: str) -> _Address | None:
    """An entry of the header. Some proxies write the port too, `203.0.113.9:4711` or `[2001:db8::9]:4711`."""
    with_port = _WITH_PORT.fullmatch(text)
    return _address(with_port[1] or with_port[2]) if with_port else _address(text)


@lru_cache(maxsize=8192)
def _address(text: str) -> _Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    network = str(found if found.version == 4 else IPv6Network((found, 64), strict=False))
    return _Address(found, network, found.is_global)
