"""What a server answers: a page, a redirect, a reason why there is none, and when to come back."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from bot.errors import FetchError, FetchRefusedError
from bot.sources.hosts import LONGEST_REST

_DEFAULT_REST = 300.0  # after "too many requests" that names no time


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What came: `url` is where it was in the end, `moved` where it is for good if it has moved."""

    url: str
    status: int
    body: bytes = b""
    moved: str = ""
    content_type: str = ""
    charset: str = ""
    etag: str = ""
    last_modified: str = ""
    max_age: float = 0.0

    @property
    def unchanged(self) -> bool:
        """Whether the server says that it is still what was fetched before."""
        return self.status == httpx.codes.NOT_MODIFIED


@dataclass(frozen=True)
class Reply:
    """A server's answer as it came; no body but where it has what was asked for."""

    status: int
    headers: httpx.Headers
    body: bytes


def normalised(url: str) -> str:
    """Return an address as it is asked for, without its fragment. Raises FetchRefusedError."""
    try:
        parsed = httpx.URL(url.strip())
        return str(parsed.copy_with(fragment=None))
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise FetchRefusedError(f"{url[:80]!r} is not a web address ({exc})") from exc


def redirect(here: str, reply: Reply) -> str:
    """Return where an answer sends its reader, or "". Raises FetchRefusedError for a step down from https."""
    location = reply.headers.get("location", "")
    if reply.status not in (301, 302, 303, 307, 308) or not location:
        return ""
    try:
        there = httpx.URL(here).join(location)
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise FetchRefusedError(f"it redirects to what is no address: {location[:80]!r}") from exc
    if here.startswith("https:") and there.scheme == "http":
        raise FetchRefusedError(
            f"it redirects from https to http, which anyone on the way could alter: {there}"
        )
    return normalised(str(there))


def fetched(url: str, reply: Reply, *, moved: str) -> Fetched:
    """Return what an answer has brought from `url`. Raises FetchError for one that brought nothing."""
    if reply.status not in (httpx.codes.OK, httpx.codes.NOT_MODIFIED):
        raise FetchError(status_text(reply.status), status=reply.status)
    kind, _, parameters = reply.headers.get("content-type", "").partition(";")
    charset = re.search(r"charset\s*=\s*[\"']?([\w-]+)", parameters, re.I)
    age = re.search(r"max-age\s*=\s*\"?(\d{1,9})", reply.headers.get("cache-control", ""), re.I)
    return Fetched(
        url=url,
        status=reply.status,
        body=reply.body,
        moved=moved,
        content_type=kind.strip().lower(),
        charset=charset[1].lower() if charset else "",
        etag=reply.headers.get("etag", "")[:1_000],
        last_modified=reply.headers.get("last-modified", "")[:100],
        max_age=float(age[1]) if age else 0.0,
    )


def retry_after(headers: httpx.Headers) -> float:
    """Return the seconds that Retry-After names, as a number or as a date."""
    value = headers.get("retry-after", "").strip()
    if value.isdigit():
        return min(float(value[:9]), LONGEST_REST)
    try:
        rest = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return _DEFAULT_REST
    return min(max(rest, 0.0), LONGEST_REST)


def status_text(status: int) -> str:
    """Say what a server has answered, with the status's name."""
    phrase = httpx.codes.get_reason_phrase(status)
    return f"the server answers {status}{f' ({phrase})' if phrase else ''}"
