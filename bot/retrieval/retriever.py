"""Hybrid retrieval: vector and BM25 candidates, fused, reranked and deduplicated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar

from bot.errors import VectorStoreError
from bot.indexing.bm25_index import Bm25Index
from bot.indexing.bm25_sync import Bm25Sync
from bot.indexing.embeddings import Embedder
from bot.indexing.filters import SearchFilters
from bot.indexing.story_clusters import StoryClusters
from bot.indexing.vector_store import VectorStore
from bot.observability.tracing import span
from bot.retrieval.deduplication import collapse_copies
from bot.retrieval.filtered_search import search_with_filters
from bot.retrieval.models import Hit
from bot.retrieval.scoring import Found, apply_boosts, fuse_scores
from bot.storage.article_store import ArticleStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_K = 10
_T = TypeVar("_T")
_POOL_SIZE = 50  # candidates from each index; 200 do not improve the results
_RERANK_SIZE = 30
_COPY_THRESHOLD = 0.8  # shared stems of two copies of one text (syndicated copies differ in their bylines)


class Reranker(Protocol):
    """Relevance model for a small number of passages."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return the relevance of each text to the question, 0 to 1."""


class Retriever:
    """Search in both indexes; only passages that are visible in the article store are returned."""

    def __init__(
        self,
        articles: ArticleStore,
        vectors: VectorStore,
        bm25: Bm25Index,
        bm25_sync: Bm25Sync,
        embedder: Embedder,
        reranker: Reranker | None = None,
    ) -> None:
        self._articles = articles
        self._vectors = vectors
        self._bm25 = bm25
        self._bm25_sync = bm25_sync
        self._reranker = reranker
        self._story_clusters = StoryClusters(articles)
        self.embedder = embedder
        self.vector = lru_cache(maxsize=256)(self._encode_question)  # answering uses the same vector

    def search(
        self,
        question: str,
        *,
        k: int = DEFAULT_K,
        filters: SearchFilters | None = None,
        now: datetime | None = None,
        latest: bool = False,
    ) -> list[Hit]:
        """Return the top `k` passages, best first.

        Args:
            question: the standalone question.
            k: maximum number of passages.
            filters: conditions that the passages match.
            now: reference time for the recency boost (default: current time; ignored if the filters end in the past).
            latest: boost the newest matches regardless of `now`.

        Returns:
            Hits with different texts; empty if there are no articles or none match.
        """
        location = self._collection_location()
        if location is None:
            return []
        self.sync_bm25()
        filters = filters or SearchFilters()
        pool = max(_POOL_SIZE, 2 * k)
        with span("vectors"):
            vector_hits = self._vector_search(location, self.vector(question), pool, filters)
        with span("words"):
            bm25_hits = self._bm25.search(question, pool, filters)
        scores = self._complete_scores(location, question, dict(vector_hits), dict(bm25_hits))
        found = self._articles.passages(list(scores["vectors"].keys() | scores["words"].keys()))
        relevance = self._rerank(question, found, fuse_scores(scores["vectors"], scores["words"]))
        now = _newest_date(found) if latest else _recency_reference(filters, now or datetime.now(UTC))
        ranked = apply_boosts(found, relevance, now)
        ranks = {"vectors": _rank_positions(vector_hits), "words": _rank_positions(bm25_hits)}
        hits = (
            Hit(*found[key], score, _select(ranks, key), _select(scores, key))
            for key, score in ranked.items()
        )
        return self._deduplicate(
            collapse_copies(question, list(hits), self._story_clusters, self._articles, filters), k
        )

    def sync_bm25(self) -> None:
        """Sync the BM25 index of this machine with the article store."""
        self._bm25_sync.sync()

    def _encode_question(self, question: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embedder.encode_query([question])[0]
        return vector

    def _vector_search(
        self, location: str, vector: NDArray[np.float32], pool: int, filters: SearchFilters
    ) -> list[tuple[str, float]]:
        try:
            return search_with_filters(self._vectors, self._bm25, location, vector, pool, filters)
        except VectorStoreError:
            # Another process may have published a newer collection and deleted this one.
            newer = self._collection_location()
            if newer is None or newer == location:
                raise
            return search_with_filters(self._vectors, self._bm25, newer, vector, pool, filters)

    def _collection_location(self) -> str | None:
        """Return the location of the vector collection, or None if there are no articles; read for each question.

        Raises:
            VectorStoreError: if the articles are embedded with another model.
        """
        if found := self._articles.collection(self.embedder.fingerprint):
            return found.location
        if not self._articles.totals().articles:
            return None
        others = ", ".join(other.model for other in self._articles.collections()) or "another model"
        raise VectorStoreError(
            f"the articles are embedded with {others}, not with {self.embedder.model}: run `citewire reindex`"
        )

    def _complete_scores(
        self, location: str, question: str, vector_hits: dict[str, float], bm25_hits: dict[str, float]
    ) -> dict[str, dict[str, float]]:
        """Add the scores of candidates that were found in the other index only."""
        cosines = self._vectors.cosines(
            location, self.vector(question), list(bm25_hits.keys() - vector_hits.keys())
        )
        bm25 = self._bm25.scores(question, list(vector_hits.keys() - bm25_hits.keys()))
        return {"vectors": vector_hits | cosines, "words": bm25_hits | bm25}

    def _rerank(
        self, question: str, found: Mapping[str, Found], relevance: dict[str, float]
    ) -> dict[str, float]:
        """Score the most relevant passages with the reranker, if there is one; all others are ranked after them."""
        if self._reranker is None:
            return relevance
        ranked = sorted((key for key in relevance if key in found), key=lambda key: -relevance[key])
        best = ranked[:_RERANK_SIZE]
        texts = [f"{found[key][1].title}\n{found[key][0].text}" for key in best]
        rerank_scores = dict(zip(best, self._reranker.scores(question, texts), strict=True))
        return {key: 1 + rerank_scores[key] if key in rerank_scores else relevance[key] for key in relevance}

    def _deduplicate(self, ranked: Iterable[Hit], k: int) -> list[Hit]:
        """Return the first `k` hits with different texts; duplicates are added to the copies of the first hit."""
        unique: list[tuple[Hit, frozenset[str]]] = []
        for hit in ranked:
            stems = frozenset(self._bm25.analyze(hit.passage.text))
            index = next((n for n, (_, other) in enumerate(unique) if _is_same_text(stems, other)), None)
            if index is not None:
                first, said = unique[index]
                unique[index] = (first.with_copies((hit.headline, *hit.copies)), said)
            elif len(unique) == k:
                break
            else:
                unique.append((hit, stems))
        return [hit for hit, _ in unique]


def _recency_reference(filters: SearchFilters, now: datetime) -> datetime | None:
    """Return the reference time for the recency boost, or None if the window ends in the past."""
    window = filters.window
    return None if window and window.until and window.until < now else now


def _newest_date(found: Mapping[str, Found]) -> datetime | None:
    return max((headline.published for _, headline in found.values() if headline.published), default=None)


def _rank_positions(ranking: Sequence[tuple[str, float]]) -> dict[str, int]:
    return {key: index for index, (key, _) in enumerate(ranking, start=1)}


def _select(by_index: Mapping[str, Mapping[str, _T]], key: str) -> dict[str, _T]:
    return {name: values[key] for name, values in by_index.items() if key in values}


def _is_same_text(a: frozenset[str], b: frozenset[str]) -> bool:
    """Return True if two passages have nearly the same stems and exactly the same numbers."""
    return a == b or (len(a & b) >= _COPY_THRESHOLD * len(a | b) and _numbers(a) == _numbers(b))


def _numbers(stems: frozenset[str]) -> set[str]:
    return {stem for stem in stems if any(map(str.isdigit, stem))}
