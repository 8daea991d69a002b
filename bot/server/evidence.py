"""`GET /articles/ID`: the whole article that a quote stands in, the quote marked; the link of articles without one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.answering.signed_links import SignedLinks
from bot.articles.chunking import Span
from bot.server.auth import Authenticator
from bot.server.errors import HttpError, prefers_html
from bot.server.pages import article_page
from bot.server.rate_limit import RateLimiter, client_key
from bot.storage.models import ArticleVersion

if TYPE_CHECKING:
    from bot.storage.article_store import ArticleStore

_SPAN = re.compile(r"(\d{1,9})-(\d{1,9})")
_VERSION = re.compile(r"[1-9]\d{0,8}")
_DAMAGED = "This link is damaged: open it again from the answer that it stands below."
_CLOSED = (
    "This page opens with the link that stands below an answer, or with a token of this service. The link was changed "
    "or cut short: open it again from the answer, or ask whoever runs this service for a token."
)
_WITHDRAWN = "This article was withdrawn, and is not shown any more."
_UNKNOWN = "There is no such article here."


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """What a link names: an article, its version, the quote in it, and the words in the quote that answer."""

    article_id: str
    version: int | None
    span: Span | None
    answer: Span | None


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What is shown: a version of an article with a quote, and what has become of it since."""

    edition: ArticleVersion
    span: Span | None
    stands: bool  # whether the quote is in the newest version too
    newest_link: str  # "" where this is it
    answer: Span | None = None  # the words in the quote that answer

    @property
    def quote(self) -> str:
        """The words that are marked."""
        return self.edition.article.text[self.span.start : self.span.end] if self.span else ""

    @property
    def status_note(self) -> str:
        """What has become of this version; "" where it is what readers see."""
        corrected = self.edition.corrected
        if corrected is None:
            return ""
        day = f"{corrected.day} {corrected:%B %Y}"
        fate = "still stands in it" if self.stands else "no longer stands in it"
        return f"This article was corrected on {day}" + (f"; the quote {fate}." if self.span else ".")


class EvidencePages:
    """Shows articles to who has a token, or a link that we made."""

    def __init__(
        self, library: ArticleStore, sealed: SignedLinks, access: Authenticator, rate: RateLimiter
    ) -> None:
        self._library = library
        self._sealed = sealed
        self._access = access
        self._rate = rate

    async def show(self, request: Request) -> Response:
        """Show one article."""
        place = _place(request)
        self._rate.check(await self._reader(request, place))
        evidence = await asyncio.to_thread(self._evidence, place)
        if prefers_html(request):
            return article_page(evidence)
        return JSONResponse(_fields(evidence))

    async def _reader(self, request: Request, place: EvidenceRef) -> str:
        """Return who reads. Raises HttpError where they may not."""
        if not self._access.needs_token or "authorization" in request.headers:
            return self._access.authenticate(request)
        seal, version = request.query_params.get("key", ""), place.version or 0
        named = (place.article_id, version, place.span, place.answer)
        if not await asyncio.to_thread(self._sealed.verify, seal, *named):
            raise HttpError(403, "token", _CLOSED)
        return client_key(request.client.host if request.client else "")

    def _evidence(self, place: EvidenceRef) -> EvidenceView:
        edition = self._library.article_version(place.article_id, place.version)
        if edition is None:
            if self._library.is_withdrawn(place.article_id):
                raise HttpError(410, "path", _WITHDRAWN)
            raise HttpError(404, "path", _UNKNOWN)
        if place.span and place.span.end > len(edition.article.text):
            raise HttpError(404, "path", _DAMAGED)
        return self._compare_with_current(edition, place.span, place.answer)

    def _compare_with_current(
        self, edition: ArticleVersion, span: Span | None, answer: Span | None
    ) -> EvidenceView:
        """Look for the quote in what readers see now."""
        newest = edition.newest
        if newest.version == edition.version:
            return EvidenceView(edition, span, stands=True, newest_link="", answer=answer)
        now = None
        if span:
            quote = edition.article.text[span.start : span.end]
            at = newest.article.text.find(quote)
            now = Span(at, at + len(quote)) if at >= 0 else None
        passage = next((p.id for p in newest.passages if now and p.start <= now.start < p.end), "")
        moved = _shift(answer, now.start - span.start) if now and span else None
        link = self._sealed.link(newest.article.id, newest.version, now, passage, answer=moved)
        return EvidenceView(edition, span, stands=bool(now), newest_link=link, answer=answer)


def _place(request: Request) -> EvidenceRef:
    """Read what a link names. Raises HttpError for one that nobody could have made."""
    version = request.query_params.get("v", "")
    span, answer = _span(request, "q"), _span(request, "a")
    numbered = version if _VERSION.fullmatch(version) else ""
    if numbered != version or not _is_within(answer, span):
        raise HttpError(400, "input", _DAMAGED)
    if "\0" in (article_id := request.path_params["article_id"]):  # which PostgreSQL does not even compare
        raise HttpError(404, "path", _UNKNOWN)
    return EvidenceRef(article_id, int(numbered) if numbered else None, span, answer)


def _span(request: Request, name: str) -> Span | None:
    """Read a span; None if the link has none. Raises HttpError for one that is none."""
    written = request.query_params.get(name, "")
    numbers = _SPAN.fullmatch(written)
    span = Span(int(numbers[1]), int(numbers[2])) if numbers else None
    if bool(written) != bool(span) or (span and span.start >= span.end):
        raise HttpError(400, "input", _DAMAGED)
    return span


def _is_within(answer: Span | None, quote: Span | None) -> bool:
    return answer is None or (quote is not None and quote.start <= answer.start and answer.end <= quote.end)


def _shift(span: Span | None, by: int) -> Span | None:
    return Span(span.start + by, span.end + by) if span else None


def _fields(evidence: EvidenceView) -> dict[str, object]:
    edition, span = evidence.edition, evidence.span
    article = edition.article
    return {
        "id": article.id,
        "version": edition.version,
        "title": article.title,
        "source": article.source,
        "published": article.published.isoformat() if article.published else None,
        "url": article.url,
        "text": article.text,
        "passages": [{"id": one.id, "start": one.start, "end": one.end} for one in edition.passages],
        "quote": {"start": span.start, "end": span.end, "text": evidence.quote} if span else None,
        "note": evidence.status_note,
        "newest": edition.newest.version,
    }
