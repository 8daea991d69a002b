"""Says which addresses may be asked: a page must not lead Citewire into the network that it runs in."""

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

_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")  # all that is assigned to the public internet
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # an IPv4 address in its last four bytes
_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """Where a URL leads to: the host's name, its port, and the addresses that may be connected to."""

    host: str
    port: int
    addresses: tuple[str, ...]
    allowlisted: bool  # allowed although it is private: the user's own machine or network


@dataclass(frozen=True)
class AddressPolicy:
    """What may be connected to: public addresses, and these hosts and networks whatever they are."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[_Network, ...] = ()

    @classmethod
    def allowing(cls, allowed: Iterable[str]) -> AddressPolicy:
        """Make one from the names, addresses and networks of CITEWIRE_FETCH_ALLOW. Raises ValueError."""
        hosts, networks = set[str](), []
        for one in allowed:
            network = _network(one)
            if network:
                networks.append(network)
            else:
                hosts.add(one.lower().rstrip("."))
        return cls(frozenset(hosts), tuple(networks))

    def target(self, url: str) -> Target:
        """Return where `url` leads to now. Raises FetchForbiddenError, and FetchError for an unknown host."""
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme)
        except ValueError as exc:
            raise FetchForbiddenError(f"{_shown(url)} is not a web address ({exc})") from exc
        if not port or parts.scheme not in _PORTS or not parts.hostname:
            raise FetchForbiddenError(f"{_shown(url)} is not an http or https address")
        if parts.username is not None or parts.password is not None:
            raise FetchForbiddenError(
                f"an address with a user or password in it is not fetched: {parts.hostname}"
            )
        return self.resolve(parts.hostname, port)

    def resolve(self, host: str, port: int) -> Target:
        """Return the addresses of a host that may be connected to. Raises FetchForbiddenError, FetchError."""
        name = host.lower().rstrip(".")
        found = [(text, _address(text)) for text in _look_up(name, port)]
        if name in self.hosts:
            return Target(name, port, tuple(text for text, _ in found), allowlisted=True)
        own = tuple(text for text, address in found if self._is_allowed(address))
        public = tuple(text for text, address in found if is_public(address))
        if not own and not public:
            raise FetchForbiddenError(_private(name, found[0][0]))
        return Target(name, port, own or public, allowlisted=bool(own))

    def _is_allowed(self, address: _Address) -> bool:
        embedded = _embedded(address)
        return any(one in network for network in self.networks for one in (address, *embedded))


def is_public(address: _Address) -> bool:
    """Say whether an address is on the public internet, and so is each IPv4 address that it stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not address.is_reserved
    if embedded := _embedded(address):
        return all(is_public(one) for one in embedded)
    return address in _PUBLIC_IPV6 and address.is_global


def _embedded(address: _Address) -> tuple[_Address, ...]:
    """Return the IPv4 addresses that traffic to an IPv6 address can end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    found = address.ipv4_mapped or address.sixtofour
    return (found,) if found else (address.teredo or ())


def _look_up(host: str, port: int) -> list[str]:
    """Ask the system, which also reads what a browser would: decimal, octal and hexadecimal addresses."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise FetchError(f"the host {host} is not known ({getattr(exc, 'strerror', None) or exc})") from exc
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


def _address(text: str) -> _Address:
    return ipaddress.ip_address(text.partition("%")[0])


def _network(text: str) -> _Network | None:
    """Return the network or single address that is written here; None for a name. Raises ValueError."""
    try:
        return ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        if "/" in text:
            raise
        return None


def _private(host: str, address: str) -> str:
    led = f"{address} is" if host == address else f"{host} leads to {address},"
    return f"{led} a private address: allow it with CITEWIRE_FETCH_ALLOW={host}"


def _shown(url: str) -> str:
    return repr(url[:80])
