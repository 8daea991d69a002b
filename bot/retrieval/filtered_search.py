"""The passages nearest to a question under conditions.

Chroma's own conditions take a third of a second among 100,000 passages: it reads all that fits from tables, and then
walks its graph past all that does not. The word index knows in microseconds how many passages fit, and which; by their
number one of three ways is quick, and each finds what the others would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.errors import VectorStoreError
from bot.indexing.bm25_index import Bm25Index
from bot.indexing.filters import SearchFilters
from bot.indexing.vector_store import VectorStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Near = list[tuple[str, float]]
_FEW = (
    1_000  # so many vectors are compared one by one: a graph of which next to nothing fits is walked in vain
)
_SPARE = 2  # how many times as many are looked at as have to be, because what fits is not spread evenly
_WORTH = 4  # passages that fit are listed in the time in which one more near passage is found and checked


def search_filtered(
    vectors: VectorStore,
    words: Bm25Index,
    location: str,
    vector: NDArray[np.float32],
    k: int,
    filters: SearchFilters,
) -> Near:
    """Return the ids of the k nearest passages that pass the filters with their cosines, best first."""
    if not filters.is_restrictive:
        return vectors.search(location, vector, k)
    fitting, everything = words.count(filters), words.count()
    if fitting <= _FEW:
        return _exact_search(vectors, location, vector, k, words.ids(filters))
    ahead = _SPARE * k * everything // fitting
    if _WORTH * ahead < fitting:
        found = vectors.search(location, vector, ahead)
        passing = words.filter_ids([key for key, _ in found], filters)
        if len(passing) >= k:
            return [(key, cosine) for key, cosine in found if key in passing][:k]
    within = words.ids(filters)
    try:
        return vectors.search(location, vector, k, within=within)
    except VectorStoreError:  # as when one of them has gone since the word index was read
        return _exact_search(vectors, location, vector, k, within)


def _exact_search(
    vectors: VectorStore, location: str, vector: NDArray[np.float32], k: int, within: Sequence[str]
) -> Near:
    cosines = vectors.cosines(location, vector, within)
    return sorted(cosines.items(), key=lambda found: (-found[1], found[0]))[:k]
