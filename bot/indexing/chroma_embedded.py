"""Chroma embedded in the data directory, copy-on-write.

Embedded Chroma must not be killed while it writes: a half-written HNSW file crashes the next process that opens it
(seen with 1.5.9: a segmentation fault), and a process that has it open does not see additions of other processes. So
an embedded collection is never changed in place. A writer works on a copy of its directory and commits it, then the
article store points readers to the copy. Readers always have a complete index, and the next writer deletes the
directory that a killed writer has left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bot.errors import VectorStoreError
from bot.indexing.vector_store import cosines

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray

_BATCH_SIZE = 5_000  # passages per call; Chroma rejects more than 5,461
_SQLITE_FILE = "chroma.sqlite3"
_COLLECTION_NAME = "passages"  # always the same, so that a copied directory needs no renaming
CONFIGURATION: CreateCollectionConfiguration = {"hnsw": {"space": "cosine"}}
_TENANT, _DATABASE = "default_tenant", "default_database"
_MAX_OPEN_INDEXES = 16  # each has five open files; an embedded directory contains one


class EmbeddedVectorStore:
    """Collections in subdirectories of `root`, one each, never changed after their commit."""

    in_place = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._collections: dict[str, CoreCollection] = {}
        self._lock = threading.Lock()

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
            VectorStoreError: if the collection cannot be used, or an id of `within` is missing in it.
        """
        collection = self._open_collection(location)
        with translate_errors():
            ids, distances = collection.query(vector, k, within)
        return [(key, 1.0 - distance) for key, distance in zip(ids, distances, strict=True)]

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosine similarities of the given passages; unknown ids are omitted."""
        if not passage_ids:
            return {}
        collection = self._open_collection(location)
        with translate_errors():
            ids, stored = collection.vectors(passage_ids)
        return cosines(ids, stored, vector)

    def count(self, location: str) -> int:
        """Return the number of vectors in a collection, read from Chroma's SQLite file."""
        path = self._root / location / _SQLITE_FILE
        query = "SELECT count(*) FROM embeddings JOIN segments ON segments.id = segment_id WHERE scope = 'METADATA'"
        try:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error as exc:
            raise VectorStoreError(f"{path}: {exc}; run `citewire reindex`") from exc

    def open_writer(self, base: str | None, name: str) -> EmbeddedWriter:
        """Open a copy of `base`, or a new collection, in a directory that readers do not use yet.

        Args:
            base: location of the collection to copy, or None for a new one.
            name: start of the new location.
        """
        location = f"{name}-{uuid.uuid4().hex[:8]}"
        folder = self._root / location
        with translate_errors():
            if base:
                _copy_collection(self._root / base, folder)
            else:
                folder.mkdir(parents=True)
            client = _create_client(folder)
            collection = client.get_or_create_collection(
                _COLLECTION_NAME, configuration=CONFIGURATION, embedding_function=None
            )
        return EmbeddedWriter(client, collection, location, folder=folder)

    def delete_unused_collections(self, name: str, keep: set[str]) -> None:
        """Delete the collections whose location starts with `name`, except those in `keep`."""
        for folder in self._root.glob(f"{name}*"):
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Close all open collections."""
        with self._lock:
            while self._collections:
                self._collections.popitem()[1].close()

    def _open_collection(self, location: str) -> CoreCollection:
        with self._lock, translate_errors():
            if location not in self._collections:
                if not (self._root / location).is_dir():
                    raise VectorStoreError(
                        f"{self._root / location}: the vectors are gone; run `citewire reindex`"
                    )
                self._collections[location] = CoreCollection(self._root / location, _COLLECTION_NAME)
                # Another thread may still be searching the previous collection, but none of the older ones.
                for old in list(self._collections)[:-2]:
                    self._collections.pop(old).close()
            return self._collections[location]


class EmbeddedWriter:
    """Collection open for writing."""

    def __init__(
        self, client: Client, collection: ChromaCollection, location: str, *, folder: Path | None
    ) -> None:
        """Wrap an open collection.

        Args:
            client: closed by `commit`.
            collection: the collection to write to.
            location: its location.
            folder: its directory, or None if it is not embedded.
        """
        self._client = client
        self._collection = collection
        self._folder = folder
        self.location = location

    def upsert(self, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Insert or replace the vectors of passages, shape (len(passage_ids), dimension)."""
        with translate_errors():
            for at in range(0, len(passage_ids), _BATCH_SIZE):
                ids = list(passage_ids[at : at + _BATCH_SIZE])
                self._collection.upsert(ids=ids, embeddings=vectors[at : at + _BATCH_SIZE])

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove passages; unknown ids are ignored."""
        with translate_errors():
            for at in range(0, len(passage_ids), _BATCH_SIZE):
                self._collection.delete(ids=list(passage_ids[at : at + _BATCH_SIZE]))

    def commit(self) -> None:
        """Finish writing; all data is on disk when this returns."""
        if self._folder is None:
            return
        with translate_errors():
            self._client.close()
        for path in self._folder.rglob("*"):
            if path.is_file():
                _fsync_file(path)


@contextlib.contextmanager
def translate_errors(place: str = "the vector index") -> Iterator[None]:
    """Convert exceptions of Chroma and its transport to a VectorStoreError."""
    try:
        yield
    except Exception as exc:
        if not isinstance(exc, _chroma_errors()):
            raise
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise VectorStoreError(
            f"Chroma ({place}) cannot be used: {reason}; `citewire doctor` says more"
        ) from exc


def _chroma_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of Chroma and its transport; imported only after an exception, because it takes long."""
    import httpx
    from chromadb.errors import ChromaError

    return ChromaError, httpx.HTTPError, sqlite3.Error, OSError, ValueError, RuntimeError


def _create_client(folder: Path) -> Client:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    return cast("Client", client)  # declared as its interface, which lacks close()


def _copy_collection(base: Path, folder: Path) -> None:
    """Copy a committed directory; its SQLite file by backup, because a reader that opens it writes to that file."""
    shutil.copytree(
        base, folder, ignore=lambda _, names: [name for name in names if name.startswith(_SQLITE_FILE)]
    )
    with (
        contextlib.closing(sqlite3.connect(base / _SQLITE_FILE)) as source,
        contextlib.closing(sqlite3.connect(folder / _SQLITE_FILE)) as target,
    ):
        source.backup(target)


def _fsync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


class CoreCollection:
    """Collection in a directory, open for reading through the same calls as chromadb's Collection."""

    def __init__(self, folder: Path, name: str) -> None:
        """Open a collection.

        Raises:
            Exception: of any type that chromadb raises; see `translate_errors`.
        """
        import chromadb_rust_bindings as core

        # As in chromadb's default settings.
        database = core.SqliteDBConfig(
            hash_type=core.MigrationHash.MD5,
            migration_mode=core.MigrationMode.Apply,
            url=str(folder / "chroma.sqlite3"),
        )
        self._core: Any = core.Bindings(
            allow_reset=False,
            sqlite_db_config=database,
            persist_path=str(folder),
            hnsw_cache_size=_MAX_OPEN_INDEXES,
        )
        self._id = str(self._core.get_collection(name, _TENANT, _DATABASE).id)

    def query(
        self, vector: NDArray[np.float32], k: int, within: Sequence[str] | None = None
    ) -> tuple[list[str], list[float]]:
        """Return ids and cosine distances of the `k` nearest vectors, of all or of those with an id in `within`."""
        ids = list(within) if within is not None else None
        found = self._core.query(
            self._id, ids, [vector.tolist()], k, None, None, ["distances"], _TENANT, _DATABASE
        )
        return found.ids[0], found.distances[0]

    def vectors(self, ids: Sequence[str]) -> tuple[list[str], list[list[float]]]:
        """Return the ids that exist in the collection, and their vectors."""
        found = self._core.get(self._id, list(ids), None, None, 0, None, ["embeddings"], _TENANT, _DATABASE)
        return found.ids, found.embeddings

    def close(self) -> None:
        """Close the files."""
        self._core = None
