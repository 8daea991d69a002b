"""Names the outlet of a page: what it calls its publisher is a claim, and anybody's page can say "Reuters"."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

from bot.articles.article import clean_line

_LONGEST = 200  # characters of a name


def publisher_name(claimed: str, url: str) -> str:
    """Return the outlet's name as the page at `url` claims it, with its host where that does not bear this name."""
    claimed = clean_line(claimed)[:_LONGEST]
    host = (urlsplit(url).hostname or "").rstrip(".").removeprefix("www.")
    return (
        claimed if not claimed or not host or _domain_matches_name(host, claimed) else f"{claimed} ({host})"
    )


def _domain_matches_name(host: str, name: str) -> bool:
    """Say whether a host is one of its own domain, and that domain is the name: theguardian.com, gazette.co.uk."""
    said = _letters(name)
    domain = _registrable_domain(host)
    known = {_letters(host), _letters(domain), _letters(domain.partition(".")[0])}
    return bool(said) and not known.isdisjoint({said, said.removeprefix("the")})


def _registrable_domain(host: str) -> str:
    """Return what is registered of a host: of news.gazette.co.uk gazette.co.uk, of anybody.github.io github.io."""
    from tld import get_fld

    found = get_fld(f"https://{host}", fail_silently=True, search_private=False)
    return found or (".".join(host.split(".")[-2:]) if re.search(r"[^\d.:]", host) else host)


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in plain if char.isalnum())
