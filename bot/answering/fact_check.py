"""Checks sentences that somebody wrote: against a given text, or against what the articles say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.answering.answer import Citation
from bot.answering.citations import CitationBuilder
from bot.answering.signed_links import SignedLinks
from bot.articles.chunking import Span
from bot.indexing.filters import SearchFilters
from bot.retrieval.models import Hit
from bot.retrieval.retriever import Retriever
from bot.storage.article_store import ArticleStore
from bot.verification.verifier import SupportResult, Verdict, Verifier

_NOTHING = SupportResult("unsupported", 9.0, "no article comes near it")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict on a sentence; `score` is higher for less supported. `citations` are where the articles say it."""

    sentence: str
    verdict: Verdict
    score: float
    reason: str
    citations: tuple[Citation, ...] = ()


def check_against_text(verifier: Verifier, sentence: str, source: str) -> CheckResult:
    """Check a sentence against one text alone."""
    return _checked(sentence, verifier.check(sentence, [source]))


class FactChecker:
    """Checks sentences against the passages that are found for them, in the articles that pass `filters`."""

    def __init__(
        self,
        verifier: Verifier,
        retriever: Retriever,
        library: ArticleStore,
        *,
        filters: SearchFilters | None = None,
        sealed: SignedLinks | None = None,
    ) -> None:
        self._verifier = verifier
        self._retriever = retriever
        self._library = library
        self._filters = filters
        self._sealed = sealed

    def check(self, sentence: str) -> CheckResult:
        """Check a sentence against each passage found, and against the best of one article together."""
        hits = self._retriever.search(sentence, filters=self._filters)
        tried = [
            (hits_of_one, self._support(sentence, hits_of_one)) for hits_of_one in _candidate_groups(hits)
        ]
        best, support = min(tried, key=lambda pair: pair[1].score, default=((), _NOTHING))
        if support.verdict == "unsupported":
            return _checked(sentence, support)
        bibliography = CitationBuilder(self._library, self._sealed)
        hit = best[support.source or 0]
        span = support.span or Span(0, len(hit.passage.text))
        bibliography.cite(hit, Span(hit.passage.start + span.start, hit.passage.start + span.end))
        return _checked(sentence, support, bibliography.citations)

    def _support(self, sentence: str, hits: Sequence[Hit]) -> SupportResult:
        texts = [hit.passage.text for hit in hits]
        return self._verifier.check(sentence, texts, context=hits[0].header)


def _candidate_groups(hits: Sequence[Hit]) -> Iterator[tuple[Hit, ...]]:
    """Yield each hit alone, then those of each article together: a sentence may sum up more than one passage."""
    by_article: dict[str, list[Hit]] = {}
    for hit in hits:
        yield (hit,)
        by_article.setdefault(hit.passage.article_id, []).append(hit)
    yield from (tuple(found) for found in by_article.values() if len(found) > 1)


def _checked(sentence: str, support: SupportResult, citations: tuple[Citation, ...] = ()) -> CheckResult:
    return CheckResult(sentence, support.verdict, round(support.score, 4), support.reason, citations)
