"""Reads an embedded Chroma collection through Chroma's own core, without the Python package around it.

`import chromadb` takes a second or more, and a question needs two calls of it. The core (a module of its own that
chromadb brings and calls itself) takes 30 ms. Only what is read goes this way; all writing goes through chromadb.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TENANT, _DATABASE = "default_tenant", "default_database"
_OPEN_INDEXES = 16  # of which each has five files; an embedded folder holds one


class CoreCollection:
    """A collection in a folder, open for reading; the calls are those of chromadb's Collection."""

    def __init__(self, folder: Path, name: str) -> None:
        """Open it. Raises what chromadb raises."""
        import chromadb_rust_bindings as core

        # As chromadb's settings have it.
        database = core.SqliteDBConfig(
            hash_type=core.MigrationHash.MD5,
            migration_mode=core.MigrationMode.Apply,
            url=str(folder / "chroma.sqlite3"),
        )
        self._core: Any = core.Bindings(
            allow_reset=False,
            sqlite_db_config=database,
            persist_path=str(folder),
            hnsw_cache_size=_OPEN_INDEXES,
        )
        self._id = str(self._core.get_collection(name, _TENANT, _DATABASE).id)

    def query(
        self, vector: NDArray[np.float32], k: int, within: Sequence[str] | None = None
    ) -> tuple[list[str], list[float]]:
        """Return the ids of the k nearest, or of those `within`, and their distances."""
        ids = list(within) if within is not None else None
        found = self._core.query(
            self._id, ids, [vector.tolist()], k, None, None, ["distances"], _TENANT, _DATABASE
        )
        return found.ids[0], found.distances[0]

    def vectors(self, ids: Sequence[str]) -> tuple[list[str], list[list[float]]]:
        """Return those of these ids that are there, with their vectors."""
        found = self._core.get(self._id, list(ids), None, None, 0, None, ["embeddings"], _TENANT, _DATABASE)
        return found.ids, found.embeddings

    def close(self) -> None:
        """Give back the files."""
        self._core = None
