"""Finds the passages for a question: vectors and words searched side by side, fused by reciprocal rank."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict

from bot.articles.library import Library
from bot.articles.passages import Passage
from bot.articles.records import Headline
from bot.errors import VectorsError
from bot.retrieval.embeddings import Embedder
from bot.retrieval.vectors import VectorStore
from bot.retrieval.window import Filters
from bot.retrieval.words import WordIndex

if TYPE_CHECKING:
    import numpy as np
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from numpy.typing import NDArray

DEFAULT_K = 10
_POOL = 50  # candidates from each index; fewer miss passages that only the fusion lifts
_RRF_K = 60  # reciprocal rank fusion's constant (Cormack, Clarke and Büttcher, SIGIR 2009)


@dataclass(frozen=True, slots=True)
class Hit:
    """A found passage. `ranks` and `scores` are those it had in "vectors" (cosine) and "words" (BM25)."""

    passage: Passage
    headline: Headline
    score: float
    ranks: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float] = field(default_factory=dict)


class Retriever:
    """Searches both indexes and returns what the library confirms: a passage out of date is never a hit."""

    def __init__(self, library: Library, vectors: VectorStore, words: WordIndex, embedder: Embedder) -> None:
        self._library = library
        self._vectors = vectors
        self._words = words
        self.embedder = embedder

    def search(self, question: str, *, k: int = DEFAULT_K, filters: Filters | None = None) -> list[Hit]:
        """Return the k best passages for `question`, best first; none where nothing is ingested or fits."""
        location = self._location()
        if location is None:
            return []
        filters = filters or Filters()
        pool = max(_POOL, 2 * k)
        vector = self.embedder.encode([question])[0]
        rankings = {
            "vectors": self._near(location, vector, pool, filters),
            "words": self._words.search(question, pool, filters),
        }
        return self._hits(rankings, k)

    def _near(
        self, location: str, vector: NDArray[np.float32], pool: int, filters: Filters
    ) -> list[tuple[str, float]]:
        try:
            return self._vectors.search(location, vector, pool, filters)
        except VectorsError:
            # Another process may have published a newer collection and swept this one away.
            newer = self._location()
            if newer is None or newer == location:
                raise
            return self._vectors.search(newer, vector, pool, filters)

    def _location(self) -> str | None:
        """Return where the vectors stand, asked anew for each question; None while there are no articles."""
        if found := self._library.collection(self.embedder.fingerprint):
            return found.location
        if not self._library.totals().articles:
            return None
        others = ", ".join(other.model for other in self._library.collections()) or "another model"
        raise VectorsError(
            f"the articles are embedded with {others}, not with {self.embedder.model}: run `citewire reindex`"
        )

    def _hits(self, rankings: dict[str, list[tuple[str, float]]], k: int) -> list[Hit]:
        fused = reciprocal_rank_fusion([[key for key, _ in ranking] for ranking in rankings.values()])
        best = list(fused)[: 2 * k]  # some may have been replaced since: the library knows
        known = self._library.passages(best)
        ranks: dict[str, dict[str, int]] = defaultdict(dict)
        scores: dict[str, dict[str, float]] = defaultdict(dict)
        for name, ranking in rankings.items():
            for rank, (key, score) in enumerate(ranking, start=1):
                ranks[key][name], scores[key][name] = rank, score
        return [Hit(*known[key], fused[key], ranks[key], scores[key]) for key in best if key in known][:k]


def reciprocal_rank_fusion(rankings: Sequence[Sequence[str]]) -> dict[str, float]:
    """Fuse rankings of keys: each adds 1 / (60 + rank). Best first; equal scores are ordered by key."""
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1.0 / (_RRF_K + rank)
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


class PassageRetriever(BaseRetriever):
    """The retriever as LangChain knows one: a question to Documents, whose metadata name their article."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: int = DEFAULT_K
    filters: Filters = Filters()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [to_document(hit) for hit in self.retriever.search(query, k=self.k, filters=self.filters)]


def to_document(hit: Hit) -> Document:
    """Return a hit as a LangChain Document."""
    headline, passage = hit.headline, hit.passage
    return Document(
        id=passage.id,
        page_content=passage.text,
        metadata={
            "article_id": passage.article_id,
            "start": passage.start,
            "end": passage.end,
            "title": headline.title,
            "source": headline.source,
            "published": headline.published.isoformat() if headline.published else None,
            "url": headline.url,
            "score": hit.score,
        },
    )
