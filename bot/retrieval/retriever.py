"""Finds the passages for a question: vectors and words searched side by side, their scores weighed together."""

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
from bot.retrieval.filtered_search import search_filtered
from bot.retrieval.models import Hit
from bot.retrieval.scoring import Found, apply_boosts, fuse_scores
from bot.storage.article_store import ArticleStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_K = 10
_T = TypeVar("_T")
_POOL = 50  # candidates from each index; 200 find nothing more
_RERANKED = 30
_COPY = 0.8  # share of stems from which two passages count as one text (wire copies differ in their bylines)


class Reranker(Protocol):
    """A slower judge of fewer passages."""

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers, 0..1."""


class Retriever:
    """Searches both indexes and returns what the library confirms: a passage out of date is never a hit."""

    def __init__(
        self,
        library: ArticleStore,
        vectors: VectorStore,
        words: Bm25Index,
        follower: Bm25Sync,
        embedder: Embedder,
        reranker: Reranker | None = None,
    ) -> None:
        self._library = library
        self._vectors = vectors
        self._words = words
        self._follower = follower
        self._reranker = reranker
        self._stories = StoryClusters(library)
        self.embedder = embedder
        self.vector = lru_cache(maxsize=256)(self._vector)  # the answerer needs the same one

    def search(
        self,
        question: str,
        *,
        k: int = DEFAULT_K,
        filters: SearchFilters | None = None,
        now: datetime | None = None,
        latest: bool = False,
    ) -> list[Hit]:
        """Return the k best passages for `question`, best first; none where nothing is ingested or fits.

        `now` is when it is asked (by default this moment): recent articles are a little better. They are
        not where the filters name a time that is over. With `latest` the newest that fit are better,
        however long ago that is.
        """
        location = self._collection_location()
        if location is None:
            return []
        self.follow()
        filters = filters or SearchFilters()
        pool = max(_POOL, 2 * k)
        with span("vectors"):
            near = self._vector_search(location, self.vector(question), pool, filters)
        with span("words"):
            worded = self._words.search(question, pool, filters)
        scores = self._complete_scores(location, question, dict(near), dict(worded))
        found = self._library.passages(list(scores["vectors"].keys() | scores["words"].keys()))
        fits = self._rerank(question, found, fuse_scores(scores["vectors"], scores["words"]))
        now = _newest(found) if latest else _recency_reference(filters, now or datetime.now(UTC))
        ranked = apply_boosts(found, fits, now)
        ranks = {"vectors": _places(near), "words": _places(worded)}
        hits = (Hit(*found[key], score, _of(ranks, key), _of(scores, key)) for key, score in ranked.items())
        return self._deduplicate(
            collapse_copies(question, list(hits), self._stories, self._library, filters), k
        )

    def follow(self) -> None:
        """Bring this machine's word index to what the library shows, wherever that was written."""
        self._follower.sync()

    def _vector(self, question: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = self.embedder.encode_query([question])[0]
        return vector

    def _vector_search(
        self, location: str, vector: NDArray[np.float32], pool: int, filters: SearchFilters
    ) -> list[tuple[str, float]]:
        try:
            return search_filtered(self._vectors, self._words, location, vector, pool, filters)
        except VectorStoreError:
            # Another process may have published a newer collection and swept this one away.
            newer = self._collection_location()
            if newer is None or newer == location:
                raise
            return search_filtered(self._vectors, self._words, newer, vector, pool, filters)

    def _collection_location(self) -> str | None:
        """Return where the vectors stand, asked anew for each question; None while there are no articles."""
        if found := self._library.collection(self.embedder.fingerprint):
            return found.location
        if not self._library.totals().articles:
            return None
        others = ", ".join(other.model for other in self._library.collections()) or "another model"
        raise VectorStoreError(
            f"the articles are embedded with {others}, not with {self.embedder.model}: run `citewire reindex`"
        )

    def _complete_scores(
        self, location: str, question: str, near: dict[str, float], worded: dict[str, float]
    ) -> dict[str, dict[str, float]]:
        """Give each candidate the score that only the other index's search did not reach down to."""
        cosines = self._vectors.cosines(location, self.vector(question), list(worded.keys() - near.keys()))
        bm25 = self._words.scores(question, list(near.keys() - worded.keys()))
        return {"vectors": near | cosines, "words": worded | bm25}

    def _rerank(self, question: str, found: Mapping[str, Found], fits: dict[str, float]) -> dict[str, float]:
        """Let the reranker, where there is one, judge those that fit best; the others stay behind them."""
        if self._reranker is None:
            return fits
        best = sorted((key for key in fits if key in found), key=lambda key: -fits[key])[:_RERANKED]
        texts = [f"{found[key][1].title}\n{found[key][0].text}" for key in best]
        judged = dict(zip(best, self._reranker.scores(question, texts), strict=True))
        return {key: 1 + judged[key] if key in judged else fits[key] for key in fits}

    def _deduplicate(self, ranked: Iterable[Hit], k: int) -> list[Hit]:
        """Return the first k hits with different texts; what repeats an earlier one is noted there."""
        kept: list[tuple[Hit, frozenset[str]]] = []
        for hit in ranked:
            stems = frozenset(self._words.analyze(hit.passage.text))
            place = next((n for n, (_, other) in enumerate(kept) if _alike(stems, other)), None)
            if place is not None:
                first, said = kept[place]
                kept[place] = (first.with_copies((hit.headline, *hit.copies)), said)
            elif len(kept) == k:
                break
            else:
                kept.append((hit, stems))
        return [hit for hit, _ in kept]


def _recency_reference(filters: SearchFilters, now: datetime) -> datetime | None:
    """Return what recent is measured from: nothing, where the question is about a time that is over."""
    window = filters.window
    return None if window and window.until and window.until < now else now


def _newest(found: Mapping[str, Found]) -> datetime | None:
    return max((headline.published for _, headline in found.values() if headline.published), default=None)


def _places(ranking: Sequence[tuple[str, float]]) -> dict[str, int]:
    return {key: place for place, (key, _) in enumerate(ranking, start=1)}


def _of(by_index: Mapping[str, Mapping[str, _T]], key: str) -> dict[str, _T]:
    return {name: values[key] for name, values in by_index.items() if key in values}


def _alike(a: frozenset[str], b: frozenset[str]) -> bool:
    """Say whether two passages are one text; where their numbers differ, they are not."""
    return a == b or (len(a & b) >= _COPY * len(a | b) and _numbers(a) == _numbers(b))


def _numbers(stems: frozenset[str]) -> set[str]:
    return {stem for stem in stems if any(map(str.isdigit, stem))}
