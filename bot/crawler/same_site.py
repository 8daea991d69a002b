"""Tells whether two addresses are of one site, so that no outlet speaks for another's articles."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

_USUAL_PORTS = (None, 80, 443)


def is_valid_canonical(claimed: str, fetched: str) -> bool:
    """Say whether a page that was fetched from one address may name itself by the other.

    Its host may be the same (without "www.") or a domain above it, at the same port; never a domain under which
    others have their own, such as co.uk or github.io. The site's front page is nobody's address but its own.
    """
    there, here = _split(claimed), _split(fetched)
    if not there or not here or _port(there) != _port(here):
        return False
    if there.path.strip("/") == "" and not there.query and here.path.strip("/"):
        return False
    return _is_subdomain(_host(there), _host(here))


def same_site(one: str, other: str) -> bool:
    """Say whether two addresses have the same host (without "www."), or one a domain above the other's."""
    first, second = _split(one), _split(other)
    if not first or not second or _port(first) != _port(second):
        return False
    return _is_subdomain(_host(first), _host(second)) or _is_subdomain(_host(second), _host(first))


def _is_subdomain(above: str, below: str) -> bool:
    if above == below:
        return True
    if not below.endswith(f".{above}") or "." not in above:
        return False
    from tld import is_tld

    return not is_tld(above, search_private=True)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".").removeprefix("www.")


def _port(parts: SplitResult) -> int | None:
    return None if parts.port in _USUAL_PORTS else parts.port
