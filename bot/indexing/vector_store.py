"""Protocol of a vector store, implemented by embedded Chroma and by a Chroma server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VectorStore(Protocol):
    """Store of vector collections, each identified by its location."""

    in_place: bool  # True if readers see each change of a writer immediately

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, *, within: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return ids and cosine similarities of the `k` nearest passages, best first.

        Args:
            location: the collection.
            vector: of the question, shape (dimension,).
            k: maximum number of passages.
            within: ids to restrict the search to.

        Raises:
            VectorStoreError: if the store cannot be used, or an id of `within` is missing in the collection.
        """

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosine similarities of the given passages; unknown ids are omitted."""

    def count(self, location: str) -> int:
        """Return the number of vectors in a collection, without importing chromadb."""

    def open_writer(self, base: str | None, name: str) -> CollectionWriter:
        """Open a collection for writing.

        Args:
            base: location of the collection to extend, or None for a new one.
            name: start of the location of a new collection.
        """

    def delete_unused_collections(self, name: str, keep: set[str]) -> None:
        """Delete the collections whose location starts with `name`, except those in `keep`."""

    def close(self) -> None:
        """Close files and connections."""


class CollectionWriter(Protocol):
    """Collection open for writing."""

    location: str

    def upsert(self, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Insert or replace the vectors of passages, shape (len(passage_ids), dimension)."""

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove passages; unknown ids are ignored."""

    def commit(self) -> None:
        """Finish writing; all data is on disk when this returns."""


def cosines(ids: Sequence[str], stored: Any, vector: NDArray[np.float32]) -> dict[str, float]:
    """Return the cosine similarities of stored vectors to `vector`; all are unit vectors."""
    import numpy as np

    matrix = np.asarray(stored, dtype=np.float32)
    return dict(zip(ids, (matrix @ vector).tolist(), strict=True)) if len(matrix) else {}
