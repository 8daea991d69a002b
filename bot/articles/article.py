"""What an article is, and how one is made from the fields of a record."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from bot.errors import ParseError

_MAX_FIELD = 2_000  # characters in an id, url, title or source: longer ones are broken data

# Characters that no article means to show: C0 and C1 controls but tab and newline, lone surrogates,
# noncharacters, and the bidirectional overrides and isolates that can reorder what stands around a quote.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")  # a form feed parts pages

# Query parameters that say how a reader came to the page, never which page it is.
_TRACKING = re.compile(
    r"^(utm_\w+|fbclid|gclid|dclid|msclkid|mc_cid|mc_eid|igshid|cmpid|ocid|ref_src|smid)$", re.I
)
# What a browser would run or read from the reader's own machine must never become a link.
_DANGEROUS_SCHEMES = frozenset({"javascript", "vbscript", "data", "file", "blob", "about"})
_RFC_2822 = re.compile(
    r"(\w{3}, )?\d{1,2} \w{3} [12]\d{3} \d{1,2}:\d\d(:\d\d)?( ([+-]\d{4}|GMT|UTC?|Z|[ECMP][SD]T))?$", re.A
)
_WRITTEN_DATES = ("%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%Y/%m/%d", "%Y%m%d")


@dataclass(frozen=True, kw_only=True)
class Article:
    """One article as it was read.

    `text` is cleaned by `clean_text`; every offset and quote in Citewire counts its characters.
    `published` is timezone-aware; `author` is as a byline names one or several. `origin` is the file or page that it
    was read from; it is no part of the content. `pages` are, for what is printed, the offsets in `text` at which each
    page after the first begins.
    """

    id: str
    text: str
    title: str = ""
    url: str | None = None
    published: datetime | None = None
    source: str = ""
    tags: tuple[str, ...] = ()
    author: str = ""
    origin: str = ""
    pages: tuple[int, ...] = ()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all that a reader could see; equal hashes mean nothing to ingest."""
        published = self.published.isoformat() if self.published else None
        content: list[object] = [self.url, self.title, published, self.source, sorted(self.tags), self.text]
        # Most have none of these, and keep the hash that they always had.
        content += [
            {name: value} for name, value in (("author", self.author), ("pages", self.pages)) if value
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def page(self, offset: int) -> int | None:
        """Return the page, from 1, on which the character at this offset stands; None for what has no pages."""
        return bisect_right(self.pages, offset) + 1 if self.pages else None


def clean_text(text: str) -> str:
    """Return `text` with newlines as \\n and without characters that could mislead or break an index."""
    return _UNWANTED.sub("", _NEWLINES.sub("\n", text))


def clean_line(text: str) -> str:
    """Return `text` cleaned and on one line, for titles, outlets and questions."""
    return " ".join(clean_text(text).split())


def canonical_url(url: str) -> str:
    """Return the form of `url` in which two addresses of one page are equal.

    Scheme, "www.", default port, fragment, tracking parameters and a trailing slash do not tell pages
    apart. What is not a web address (such as "nq:640") is returned as it stands.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return url
    if parts.scheme.lower() not in ("http", "https") or not host:
        return url
    while host.startswith("www."):
        host = host.removeprefix("www.")
    host = (f"[{host}]" if ":" in host else host) + (f":{port}" if port not in (None, 80, 443) else "")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode(sorted(pair for pair in pairs if not _TRACKING.match(pair[0])), errors="replace")
    return urlunsplit(("https", host, parts.path.rstrip("/ "), query, ""))


def is_web_url(url: str | None) -> bool:
    """Say whether `url` is an http or https address that may be shown as a link."""
    if not url or re.search(r"[\s<>\"\\|`]", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def short_hash(text: str) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def article_from_record(
    record: Mapping[str, object], *, origin: str, place: str = "", source: str = ""
) -> Article:
    """Make an Article from the fields of a JSON object or of front matter with `text` added.

    The id is the record's own, else the hash of its canonical URL, else the hash of `origin` and `place`
    (where in the file it stands). `source` names the outlet of records that name none; failing that, the
    URL's host does. Raises ParseError naming the field that cannot be used.
    """
    text = clean_text(_string(record, "text", limit=None)).strip()
    if not text:
        raise ParseError("the article has no text")
    url = clean_line(_string(record, "url")) or None
    if url:
        _check_url_scheme(url)
    own_id = clean_line(_string(record, "id"))
    key = canonical_url(url) if url else f"{origin}\n{place}"
    host = (urlsplit(url).hostname or "").removeprefix("www.") if url and is_web_url(url) else ""
    return Article(
        id=own_id or short_hash(key),
        text=text,
        title=clean_line(_string(record, "title")),
        url=url,
        published=parse_date(record.get("published")),
        source=clean_line(_string(record, "source")) or source or host,
        tags=_tags(record.get("tags")),
        author=_author(record.get("author")),
        origin=origin,
    )


def parse_date(value: object) -> datetime | None:
    """Return the date or time that `value` says, aware and in UTC where it names no zone.

    Reads dates, ISO 8601, RFC 2822 ("Fri, 17 Jun 2022 08:00:00 GMT") and "June 17, 2022"; None and ""
    are no date. Raises ParseError for anything else: a guessed date would be a wrong citation.
    """
    if value is None or value == "":
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    moment = value if isinstance(value, datetime) else _parse_moment(str(value).strip())
    if moment is None or not 1 < moment.year < 9999:  # at the ends of the calendar a zone leads out of it
        raise ParseError(f"published: {str(value)[:60]!r} is not a date (write it as 2022-06-17)")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _WRITTEN_DATES:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller sets the zone
        except ValueError:
            continue
    try:  # only what is written exactly so: parsedate leaves out what it does not understand, such as "pm"
        return parsedate_to_datetime(text) if _RFC_2822.match(text) else None
    except (ValueError, OverflowError):
        return None


def _string(record: Mapping[str, object], field: str, *, limit: int | None = _MAX_FIELD) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if field == "id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ParseError(f"{field}: expected text, found {type(value).__name__}")
    if limit and len(value) > limit:
        raise ParseError(f"{field}: longer than {limit:,} characters")
    return value


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(tag, str | int | float) for tag in values):
        raise ParseError("tags: expected a list of words")
    return tuple(dict.fromkeys(tag for item in values if (tag := clean_line(str(item)))))


def _author(value: object) -> str:
    """Return a byline; what is written in another form than names does not make an article unreadable."""
    names = value if isinstance(value, list) else [value]
    return ", ".join(filter(None, (clean_line(name) for name in names if isinstance(name, str))))[:_MAX_FIELD]


def _check_url_scheme(url: str) -> None:
    scheme = re.sub(r"[\x00-\x20]", "", url).partition(":")[0].lower()
    if scheme in _DANGEROUS_SCHEMES:
        raise ParseError(f"url: {url[:60]!r} is not a web address")
