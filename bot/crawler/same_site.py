"""Same-site checks for URLs, so that no site can change the articles of another one."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

_DEFAULT_PORTS = (None, 80, 443)


def is_valid_canonical(claimed: str, fetched: str) -> bool:
    """Return True if a page fetched from one URL may claim the other as its canonical URL.

    The host must be the same (without "www.") or a parent domain, at the same port, but not a public suffix such as
    co.uk or github.io. No other page may claim the URL of the front page.
    """
    there, here = _split(claimed), _split(fetched)
    if not there or not here or _port(there) != _port(here):
        return False
    if there.path.strip("/") == "" and not there.query and here.path.strip("/"):
        return False
    return _is_subdomain(_host(there), _host(here))


def is_same_site(one: str, other: str) -> bool:
    """Return True if the hosts of two URLs are the same (without "www."), or one is a parent domain of the other."""
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
    return None if parts.port in _DEFAULT_PORTS else parts.port
