"""The Article record, its content hash and URL canonicalization."""

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

_MAX_FIELD_CHARS = 2_000  # of an id, URL, title or source: a longer value is broken data

# Characters that do not belong in an article: C0 and C1 controls except tab and newline, lone surrogates,
# noncharacters, and the bidirectional overrides and isolates, which can reorder the text around a quote.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")  # a form feed separates pages

# Query parameters that record how a visitor reached the page and do not identify it.
_TRACKING = re.compile(
    r"^(utm_\w+|fbclid|gclid|dclid|msclkid|mc_cid|mc_eid|igshid|cmpid|ocid|ref_src|smid)$", re.I
)
# Schemes that a browser would execute, or resolve on the user's own machine: never used as a link.
_DANGEROUS_SCHEMES = frozenset({"javascript", "vbscript", "data", "file", "blob", "about"})
_RFC_2822 = re.compile(
    r"(\w{3}, )?\d{1,2} \w{3} [12]\d{3} \d{1,2}:\d\d(:\d\d)?( ([+-]\d{4}|GMT|UTC?|Z|[ECMP][SD]T))?$", re.A
)
_DATE_FORMATS = ("%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%Y/%m/%d", "%Y%m%d")


@dataclass(frozen=True, kw_only=True)
class Article:
    """One article as it was read.

    Attributes:
        text: cleaned by `clean_text`; all offsets and quotes refer to its characters.
        published: timezone-aware date of publication.
        author: one or several names, as in the byline.
        origin: file or page that the article was read from; not part of the content.
        pages: for printed documents, the offsets in `text` at which each page after the first starts.
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
        """SHA-256 of everything a user could see; an article with an unchanged hash is not ingested again."""
        published = self.published.isoformat() if self.published else None
        content: list[object] = [self.url, self.title, published, self.source, sorted(self.tags), self.text]
        # Left out if empty, so that articles without these fields keep the hash of earlier versions.
        content += [
            {name: value} for name, value in (("author", self.author), ("pages", self.pages)) if value
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def page_number(self, offset: int) -> int | None:
        """Return the number of the page, counted from 1, that contains an offset; None for an article without pages."""
        return bisect_right(self.pages, offset) + 1 if self.pages else None


def clean_text(text: str) -> str:
    """Return `text` with line ends as \\n and without characters that could mislead users or break an index."""
    return _UNWANTED.sub("", _NEWLINES.sub("\n", text))


def clean_line(text: str) -> str:
    """Return `text` cleaned and on one line, for titles, sources and questions."""
    return " ".join(clean_text(text).split())


def canonical_url(url: str) -> str:
    """Return the canonical form of `url`, which is equal for all URLs of the same page.

    The scheme, "www.", the default port, the fragment, tracking parameters and a trailing slash do not distinguish
    pages. A string that is not a web URL (such as "nq:640") is returned unchanged.
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
    """Return True if `url` is an http or https URL that may be shown as a link."""
    if not url or re.search(r"[\s<>\"\\|`]", url):
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def short_hash(text: str) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def article_from_record(
    record: Mapping[str, object], *, origin: str, key: str = "", source: str = ""
) -> Article:
    """Build an Article from the fields of a JSON object, or of front matter with `text` added.

    The id is that of the record, else the hash of its canonical URL, else the hash of `origin` and `key`.

    Args:
        record: fields of the article.
        origin: file or page that the record was read from.
        key: identity of the record within its file.
        source: source of a record that does not name one (default: the host of its URL).

    Raises:
        ParseError: if a field cannot be used; the message names it.
    """
    text = clean_text(_get_text(record, "text", limit=None)).strip()
    if not text:
        raise ParseError("the article has no text")
    url = clean_line(_get_text(record, "url")) or None
    if url:
        _check_url_scheme(url)
    own_id = clean_line(_get_text(record, "id"))
    identity = canonical_url(url) if url else f"{origin}\n{key}"
    host = (urlsplit(url).hostname or "").removeprefix("www.") if url and is_web_url(url) else ""
    return Article(
        id=own_id or short_hash(identity),
        text=text,
        title=clean_line(_get_text(record, "title")),
        url=url,
        published=parse_date(record.get("published")),
        source=clean_line(_get_text(record, "source")) or source or host,
        tags=_parse_tags(record.get("tags")),
        author=_parse_author(record.get("author")),
        origin=origin,
    )


def parse_date(value: object) -> datetime | None:
    """Parse a date or time into a timezone-aware datetime, in UTC if it does not name a zone.

    Accepts dates, ISO 8601, RFC 2822 ("Fri, 17 Jun 2022 08:00:00 GMT") and "June 17, 2022". Returns None for None
    and the empty string.

    Raises:
        ParseError: for any other value, because a guessed date would be a wrong citation.
    """
    if value is None or value == "":
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    moment = value if isinstance(value, datetime) else _parse_moment(str(value).strip())
    if moment is None or not 1 < moment.year < 9999:  # a time zone could move it out of the calendar
        raise ParseError(f"published: {str(value)[:60]!r} is not a date (write it as 2022-06-17)")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    for form in _DATE_FORMATS:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller sets the zone
        except ValueError:
            continue
    try:  # only if the format matches exactly: parsedate ignores what it does not understand, such as "pm"
        return parsedate_to_datetime(text) if _RFC_2822.match(text) else None
    except (ValueError, OverflowError):
        return None


def _get_text(record: Mapping[str, object], field: str, *, limit: int | None = _MAX_FIELD_CHARS) -> str:
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


def _parse_tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(tag, str | int | float) for tag in values):
        raise ParseError("tags: expected a list of words")
    return tuple(dict.fromkeys(tag for item in values if (tag := clean_line(str(item)))))


def _parse_author(value: object) -> str:
    """Return the byline; values that are not names are ignored rather than rejected with the article."""
    names = value if isinstance(value, list) else [value]
    return ", ".join(filter(None, (clean_line(name) for name in names if isinstance(name, str))))[
        :_MAX_FIELD_CHARS
    ]


def _check_url_scheme(url: str) -> None:
    scheme = re.sub(r"[\x00-\x20]", "", url).partition(":")[0].lower()
    if scheme in _DANGEROUS_SCHEMES:
        raise ParseError(f"url: {url[:60]!r} is not a web address")
