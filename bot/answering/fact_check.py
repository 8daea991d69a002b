"""Check sentences against a given text or against the articles."""

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

_NO_MATCH = SupportResult("unsupported", 9.0, "no article comes near it")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The verdict on a sentence.

    Args:
        sentence: the sentence.
        verdict: verdict of the verifier.
        score: higher for less support.
        reason: reason for the verdict.
        citations: quotes from the articles that support the sentence.
    """

    sentence: str
    verdict: Verdict
    score: float
    reason: str
    citations: tuple[Citation, ...] = ()


def check_against_text(verifier: Verifier, sentence: str, source: str) -> CheckResult:
    """Check a sentence against one text."""
    return _build_result(sentence, verifier.check(sentence, [source]))


class FactChecker:
    """Checks sentences against retrieved passages of the articles that match `filters`."""

    def __init__(
        self,
        verifier: Verifier,
        retriever: Retriever,
        store: ArticleStore,
        *,
        filters: SearchFilters | None = None,
        signed_links: SignedLinks | None = None,
    ) -> None:
        self._verifier = verifier
        self._retriever = retriever
        self._store = store
        self._filters = filters
        self._signed_links = signed_links

    def check(self, sentence: str) -> CheckResult:
        """Check a sentence against each retrieved passage, and against those of the same article together."""
        hits = self._retriever.search(sentence, filters=self._filters)
        candidates = [(group, self._check_support(sentence, group)) for group in _candidate_groups(hits)]
        best, support = min(candidates, key=lambda pair: pair[1].score, default=((), _NO_MATCH))
        if support.verdict == "unsupported":
            return _build_result(sentence, support)
        builder = CitationBuilder(self._store, self._signed_links)
        hit = best[support.source or 0]
        span = support.span or Span(0, len(hit.passage.text))
        builder.cite(hit, Span(hit.passage.start + span.start, hit.passage.start + span.end))
        return _build_result(sentence, support, builder.citations)

    def _check_support(self, sentence: str, hits: Sequence[Hit]) -> SupportResult:
        texts = [hit.passage.text for hit in hits]
        return self._verifier.check(sentence, texts, context=hits[0].header)


def _candidate_groups(hits: Sequence[Hit]) -> Iterator[tuple[Hit, ...]]:
    """Yield each hit alone, then those of each article together: a sentence may summarize several passages."""
    by_article: dict[str, list[Hit]] = {}
    for hit in hits:
        yield (hit,)
        by_article.setdefault(hit.passage.article_id, []).append(hit)
    yield from (tuple(group) for group in by_article.values() if len(group) > 1)


def _build_result(sentence: str, support: SupportResult, citations: tuple[Citation, ...] = ()) -> CheckResult:
    return CheckResult(sentence, support.verdict, round(support.score, 4), support.reason, citations)
