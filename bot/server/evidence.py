"""`GET /articles/ID`: evidence page with the whole article and its quote highlighted.

It is also the link of articles that have no URL.
"""

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
from bot.server.pages import EvidenceView, article_page
from bot.server.rate_limit import RateLimiter, client_key
from bot.storage.models import ArticleVersion

if TYPE_CHECKING:
    from bot.storage.article_store import ArticleStore

_SPAN = re.compile(r"(\d{1,9})-(\d{1,9})")
_VERSION = re.compile(r"[1-9]\d{0,8}")
_DAMAGED = "This link is damaged: open it again from the answer that it stands below."
_FORBIDDEN = (
    "This page opens with the link that stands below an answer, or with a token of this service. The link was changed "
    "or cut short: open it again from the answer, or ask whoever runs this service for a token."
)
_GONE = "This article was withdrawn, and is not shown any more."
_NOT_FOUND = "There is no such article here."


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """Target of an evidence link.

    Attributes:
        version: version of the article, or None for the newest.
        span: the quote, in offsets of the article's text, or None for the whole article.
        answer: the words in the quote that answer the question, in offsets of the article's text.
    """

    article_id: str
    version: int | None
    span: Span | None
    answer: Span | None


class EvidencePages:
    """Evidence pages, for clients with a token or a signed link."""

    def __init__(
        self,
        articles: ArticleStore,
        signed_links: SignedLinks,
        authenticator: Authenticator,
        rate_limiter: RateLimiter,
    ) -> None:
        self._articles = articles
        self._signed_links = signed_links
        self._authenticator = authenticator
        self._rate_limiter = rate_limiter

    async def show(self, request: Request) -> Response:
        """Show one article, as HTML or JSON."""
        ref = _parse_ref(request)
        self._rate_limiter.check(await self._identify_client(request, ref))
        evidence = await asyncio.to_thread(self._load_evidence, ref)
        if prefers_html(request):
            return article_page(evidence)
        return JSONResponse(_build_json(evidence))

    async def _identify_client(self, request: Request, ref: EvidenceRef) -> str:
        """Return an identifier of the client.

        Raises:
            HttpError: if the client has neither a valid token nor a validly signed link.
        """
        if not self._authenticator.needs_token or "authorization" in request.headers:
            return self._authenticator.authenticate(request)
        signature, version = request.query_params.get("key", ""), ref.version or 0
        signed_fields = (ref.article_id, version, ref.span, ref.answer)
        if not await asyncio.to_thread(self._signed_links.verify, signature, *signed_fields):
            raise HttpError(403, "token", _FORBIDDEN)
        return client_key(request.client.host if request.client else "")

    def _load_evidence(self, ref: EvidenceRef) -> EvidenceView:
        article_version = self._articles.article_version(ref.article_id, ref.version)
        if article_version is None:
            if self._articles.is_withdrawn(ref.article_id):
                raise HttpError(410, "path", _GONE)
            raise HttpError(404, "path", _NOT_FOUND)
        if ref.span and ref.span.end > len(article_version.article.text):
            raise HttpError(404, "path", _DAMAGED)
        return self._compare_with_current(article_version, ref.span, ref.answer)

    def _compare_with_current(
        self, article_version: ArticleVersion, span: Span | None, answer: Span | None
    ) -> EvidenceView:
        """Search the newest version of the article for the quote."""
        newest = article_version.newest
        if newest.version == article_version.version:
            return EvidenceView(article_version, span, is_quote_current=True, newest_link="", answer=answer)
        current = None
        if span:
            quote = article_version.article.text[span.start : span.end]
            start = newest.article.text.find(quote)
            current = Span(start, start + len(quote)) if start >= 0 else None
        passage = next((p.id for p in newest.passages if current and p.start <= current.start < p.end), "")
        current_answer = _shift_span(answer, current.start - span.start) if current and span else None
        link = self._signed_links.link(
            newest.article.id, newest.version, current, passage, answer=current_answer
        )
        return EvidenceView(
            article_version, span, is_quote_current=bool(current), newest_link=link, answer=answer
        )


def _parse_ref(request: Request) -> EvidenceRef:
    """Parse the target of a link.

    Raises:
        HttpError: if the link is not one that the service creates.
    """
    version = request.query_params.get("v", "")
    span, answer = _parse_span(request, "q"), _parse_span(request, "a")
    numbered = version if _VERSION.fullmatch(version) else ""
    if numbered != version or not _is_within(answer, span):
        raise HttpError(400, "input", _DAMAGED)
    if "\0" in (article_id := request.path_params["article_id"]):  # PostgreSQL raises an error for it
        raise HttpError(404, "path", _NOT_FOUND)
    return EvidenceRef(article_id, int(numbered) if numbered else None, span, answer)


def _parse_span(request: Request, name: str) -> Span | None:
    """Parse a span parameter; return None if the link does not have it.

    Raises:
        HttpError: if the span is invalid.
    """
    value = request.query_params.get(name, "")
    numbers = _SPAN.fullmatch(value)
    span = Span(int(numbers[1]), int(numbers[2])) if numbers else None
    if bool(value) != bool(span) or (span and span.start >= span.end):
        raise HttpError(400, "input", _DAMAGED)
    return span


def _is_within(answer: Span | None, quote: Span | None) -> bool:
    return answer is None or (quote is not None and quote.start <= answer.start and answer.end <= quote.end)


def _shift_span(span: Span | None, by: int) -> Span | None:
    return Span(span.start + by, span.end + by) if span else None


def _build_json(evidence: EvidenceView) -> dict[str, object]:
    article_version, span = evidence.article_version, evidence.span
    article = article_version.article
    return {
        "id": article.id,
        "version": article_version.version,
        "title": article.title,
        "source": article.source,
        "published": article.published.isoformat() if article.published else None,
        "url": article.url,
        "text": article.text,
        "passages": [{"id": one.id, "start": one.start, "end": one.end} for one in article_version.passages],
        "quote": {"start": span.start, "end": span.end, "text": evidence.quote} if span else None,
        "note": evidence.status_note,
        "newest": article_version.newest.version,
    }
