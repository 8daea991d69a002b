"""The vector index: what every store of vectors does, and which one the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class VectorStore(Protocol):
    """Holds collections of vectors; a location names one of them."""

    in_place: bool  # whether readers see each change of a stage at once

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, *, within: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return the ids of the k nearest passages with their cosines, best first.

        Only those `within` are searched, if given. Raises VectorStoreError where one of them is not there.
        """

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosines of these passages; those that are not there are left out."""

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds, without importing chromadb."""

    def open_writer(self, base: str | None, name: str) -> CollectionWriter:
        """Begin to write: further into `base`, or into a new collection whose location begins with `parse_id`."""

    def delete_unused(self, name: str, keep: set[str]) -> None:
        """Remove the collections whose locations begin with `parse_id`, but those to keep."""

    def close(self) -> None:
        """Give back files and connections."""


class CollectionWriter(Protocol):
    """A collection open for writing."""

    location: str

    def upsert(self, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Write the vectors of these passages, a row each."""

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove these passages; ids that are not there are no error."""

    def commit(self) -> None:
        """End writing: all is on disk when this returns."""


def cosines(ids: Sequence[str], stored: Any, vector: NDArray[np.float32]) -> dict[str, float]:
    """Return the cosines of these stored vectors, all of length one."""
    import numpy as np

    matrix = np.asarray(stored, dtype=np.float32)
    return dict(zip(ids, (matrix @ vector).tolist(), strict=True)) if len(matrix) else {}
