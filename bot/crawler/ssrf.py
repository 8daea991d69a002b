"""SSRF protection: which network addresses may be fetched.

A page must not make Citewire send requests into the network that it runs in.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from bot.errors import FetchError, FetchForbiddenError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # all addresses assigned to the public internet
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address in its last four bytes
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Resolved target of a URL: host, port and the IP addresses that may be connected to."""

    host: str
    port: int
    addresses: tuple[str, ...]
    allowlisted: bool  # permitted although private: the user's own machine or network


@dataclass(frozen=True)
class AddressPolicy:
    """Permitted addresses: public ones, and the hosts and networks of an allowlist."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()

    @classmethod
    def from_allowlist(cls, allowed: Iterable[str]) -> AddressPolicy:
        """Create a policy from the host names, addresses and networks of CITEWIRE_FETCH_ALLOW.

        Raises:
            ValueError: if an item is not valid.
        """
        hosts, networks = set[str](), []
        for one in allowed:
            network = _parse_network(one)
            if network:
                networks.append(network)
            else:
                hosts.add(one.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def resolve_url(self, url: str) -> Target:
        """Resolve the host of a URL.

        Raises:
            FetchForbiddenError: if the URL must not be fetched.
            FetchError: if the host is unknown.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        except ValueError as exc:
            raise FetchForbiddenError(f"{_format_url(url)} is not a web address ({exc})") from exc
        if not port or parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise FetchForbiddenError(f"{_format_url(url)} is not an http or https address")
        if parts.username is not None or parts.password is not None:
            raise FetchForbiddenError(
                f"an address with a user or password in it is not fetched: {parts.hostname}"
            )
        return self.resolve(parts.hostname, port)

    def resolve(self, host: str, port: int) -> Target:
        """Resolve a host to the addresses that may be connected to.

        Raises:
            FetchForbiddenError: if none of its addresses is permitted.
            FetchError: if the host is unknown.
        """
        name = host.lower().rstrip(".")
        found = [(text, _parse_address(text)) for text in _look_up(name, port)]
        if name in self.hosts:
            return Target(name, port, tuple(text for text, _ in found), allowlisted=True)
        own = tuple(text for text, address in found if self._is_allowed(address))
        public = tuple(text for text, address in found if is_public(address))
        if not own and not public:
            raise FetchForbiddenError(_describe_private(name, found[0][0]))
        return Target(name, port, own or public, allowlisted=bool(own))

    def _is_allowed(self, address: _Address) -> bool:
        embedded = _embedded_ipv4(address)
        return any(one in network for network in self.networks for one in (address, *embedded))


def is_public(address: _Address) -> bool:
    """Return True if an address is public, and so is every IPv4 address embedded in it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if embedded := _embedded_ipv4(address):
        return all(is_public(one) for one in embedded)
    return address in _PUBLIC_IPV6 and address.is_global


def _embedded_ipv4(address: _Address) -> tuple[_Address, ...]:
    """Return the IPv4 addresses that traffic to an IPv6 address can reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    found = address.ipv4_mapped or address.sixtofour
    return (found,) if found else (address.teredo or ())


def _look_up(host: str, port: int) -> list[str]:
    """Resolve a host name with the system's resolver; like browsers, it accepts decimal, octal and hex addresses."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise FetchError(f"the host {host} is not known ({getattr(exc, 'strerror', None) or exc})") from exc
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def _parse_address(text: str) -> _Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _parse_network(text: str) -> _Network | None:
    """Parse a network or a single address; return None for a host name.

    Raises:
        ValueError: if the text contains a slash and is not a network.
    """
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        if "/" in text:
            raise
        return None


def _describe_private(host: str, address: str) -> str:
    led = f"{address} is" if host == address else f"{host} leads to {address},"
    return f"{led} a private address: allow it with CITEWIRE_FETCH_ALLOW={host}"


def _format_url(url: str) -> str:
    return repr(url[:80])
