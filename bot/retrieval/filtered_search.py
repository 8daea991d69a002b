"""Filtered nearest-neighbor search: brute force, post-filter or pre-filter.

Chroma's own filters take a third of a second with 100,000 passages: it reads all matches from its tables, and then
walks its graph past all passages that do not match. The BM25 index counts and lists the matches in microseconds. The
number of matches decides which of three strategies is fast; all three return the same passages.
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

ScoredIds = list[tuple[str, float]]
# Up to this number of matches, all vectors are compared: walking a graph of which almost nothing matches is
# slow.
_MAX_EXACT = 1_000
_OVERSAMPLING = 2  # factor for post-filtering, because matches are not distributed evenly
_LISTING_SPEEDUP = 4  # matches listed in the time of finding and checking one more near passage


def search_with_filters(
    vectors: VectorStore,
    bm25: Bm25Index,
    location: str,
    vector: NDArray[np.float32],
    k: int,
    filters: SearchFilters,
) -> ScoredIds:
    """Return ids and cosine similarities of the `k` nearest passages that match the filters, best first.

    Args:
        vectors: the vector store.
        bm25: the BM25 index, which counts and lists the matches.
        location: the vector collection.
        vector: of the question, shape (dimension,).
        k: maximum number of passages.
        filters: conditions that the passages match.
    """
    if not filters.is_restrictive:
        return vectors.search(location, vector, k)
    matching, total = bm25.count(filters), bm25.count()
    if matching <= _MAX_EXACT:
        return _exact_search(vectors, location, vector, k, bm25.ids(filters))
    depth = _OVERSAMPLING * k * total // matching
    if _LISTING_SPEEDUP * depth < matching:
        found = vectors.search(location, vector, depth)
        matching_ids = bm25.filter_ids([key for key, _ in found], filters)
        if len(matching_ids) >= k:
            return [(key, cosine) for key, cosine in found if key in matching_ids][:k]
    within = bm25.ids(filters)
    try:
        return vectors.search(location, vector, k, within=within)
    except VectorStoreError:  # for example if a passage was deleted after the BM25 index was read
        return _exact_search(vectors, location, vector, k, within)


def _exact_search(
    vectors: VectorStore, location: str, vector: NDArray[np.float32], k: int, within: Sequence[str]
) -> ScoredIds:
    cosines = vectors.cosines(location, vector, within)
    return sorted(cosines.items(), key=lambda found: (-found[1], found[0]))[:k]
