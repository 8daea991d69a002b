"""Publisher name of a page, qualified by the domain if it is only claimed: any page can claim "Reuters"."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from bot.articles.article import clean_line

_MAX_NAME_CHARS = 200


def publisher_name(claimed: str, url: str) -> str:
    """Return the claimed publisher name, followed by the host of `url` if its domain does not match the name."""
    claimed = clean_line(claimed)[:_MAX_NAME_CHARS]
    host = (urlsplit(url).hostname or "").rstrip(".").removeprefix("www.")
    return (
        claimed if not claimed or not host or _domain_matches_name(host, claimed) else f"{claimed} ({host})"
    )


def _domain_matches_name(host: str, name: str) -> bool:
    """Return True if the registrable domain of a host matches the name: theguardian.com, gazette.co.uk."""
    wanted = _letters(name)
    domain = _registrable_domain(host)
    known = {_letters(host), _letters(domain), _letters(domain.partition(".")[0])}
    return bool(wanted) and not known.isdisjoint({wanted, wanted.removeprefix("the")})


def _registrable_domain(host: str) -> str:
    """Return the registrable domain: gazette.co.uk for news.gazette.co.uk, github.io for anybody.github.io."""
    from tld import get_fld

    found = get_fld(f"https://{host}", fail_silently=True, search_private=False)
    return found or (".".join(host.split(".")[-2:]) if re.search(r"[^\d.:]", host) else host)


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if char.isalnum())
