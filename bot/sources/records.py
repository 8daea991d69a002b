"""What is remembered of feeds and pages: small frozen shapes, a row each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BRINGING = ("ok", "entry", "missing", "failing")  # the states of a page that readers have an article from


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRecord:
    """A feed that is polled; times are seconds since 1970."""

    url: str
    title: str = ""
    source: str = ""
    state: str = "ok"
    etag: str = ""
    last_modified: str = ""
    added: float = 0.0
    polled: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    failures: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRecord:
    """A page that was fetched.

    Its state is "ok" (an article came from it), "entry" (its feed held the article, the page did not), "empty" (there
    was none), "copy" (another page brings the same article), "missing" or "failing" (it will be tried again),
    "gone" (retracted), or "forgotten" (the user removed the article, and it does not come back by itself).
    """

    key: str
    url: str
    found: str = ""
    feed: str = ""
    entry: str = ""
    entry_hash: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    state: str = "new"
    article_id: str = ""
    etag: str = ""
    last_modified: str = ""
    first_seen: float = 0.0
    checked: float = 0.0
    due: float | None = None
    misses: int = 0
    missed: float = 0.0
