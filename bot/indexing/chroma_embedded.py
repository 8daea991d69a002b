"""Chroma embedded in the data folder.

It must not be killed while it writes: a half-written HNSW file makes the next process that opens it crash
(seen with 1.5.9: a segmentation fault), and a process that has it open does not see what another one adds.
So an embedded collection is never changed in place. A writer works on a copy of its folder, seals it, and
the library then names the copy as the one to read: readers keep a whole index at every moment, and a killed
writer leaves a folder that the next one throws away.
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

_BATCH = 5_000  # Chroma refuses more than 5,461 at once
_SQLITE = "chroma.sqlite3"
_INSIDE = "passages"  # an embedded folder holds one collection, so that a copy needs no renaming
CONFIGURATION: CreateCollectionConfiguration = {"hnsw": {"space": "cosine"}}
_TENANT, _DATABASE = "default_tenant", "default_database"
_OPEN_INDEXES = 16  # of which each has five files; an embedded folder holds one


class EmbeddedVectorStore:
    """Collections in folders below `root`, one each, never changed once sealed."""

    in_place = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, CoreCollection] = {}
        self._lock = threading.Lock()

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, *, within: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return the ids of the k nearest passages, or of those `within`, with their cosines, best first."""
        collection = self._reader(location)
        with translated():
            ids, distances = collection.query(vector, k, within)
        return [(key, 1.0 - distance) for key, distance in zip(ids, distances, strict=True)]

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosines of these passages; those that are not there are left out."""
        if not passage_ids:
            return {}
        collection = self._reader(location)
        with translated():
            ids, stored = collection.vectors(passage_ids)
        return cosines(ids, stored, vector)

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds, read from Chroma's own SQLite file."""
        path = self._root / location / _SQLITE
        query = "SELECT count(*) FROM embeddings JOIN segments ON segments.id = segment_id WHERE scope = 'METADATA'"
        try:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error as exc:
            raise VectorStoreError(f"{path}: {exc}; run `citewire reindex`") from exc

    def open_writer(self, base: str | None, name: str) -> EmbeddedWriter:
        """Copy `base`, or begin anew, in a folder that no reader knows of."""
        location = f"{name}-{uuid.uuid4().hex[:8]}"
        folder = self._root / location
        with translated():
            if base:
                _copy(self._root / base, folder)
            else:
                folder.mkdir(parents=True)
            client = _embedded_client(folder)
            collection = client.get_or_create_collection(
                _INSIDE, configuration=CONFIGURATION, embedding_function=None
            )
        return EmbeddedWriter(client, collection, location, folder=folder)

    def delete_unused(self, name: str, keep: set[str]) -> None:
        """Remove the folders that begin with `parse_id`, but those to keep."""
        for folder in self._root.glob(f"{name}*"):
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Give back the open folders."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _reader(self, location: str) -> CoreCollection:
        with self._lock, translated():
            if location not in self._open:
                if not (self._root / location).is_dir():
                    raise VectorStoreError(
                        f"{self._root / location}: the vectors are gone; run `citewire reindex`"
                    )
                self._open[location] = CoreCollection(self._root / location, _INSIDE)
                # The one before may still be answering another thread; older ones are not.
                for old in list(self._open)[:-2]:
                    self._open.pop(old).close()
            return self._open[location]


class EmbeddedWriter:
    """A collection open for writing; `folder` is the one of its own that an embedded collection has."""

    def __init__(
        self, client: Client, collection: ChromaCollection, location: str, *, folder: Path | None
    ) -> None:
        self._client = client
        self._collection = collection
        self._folder = folder
        self.location = location

    def upsert(self, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Write the vectors of these passages, a row each."""
        with translated():
            for at in range(0, len(passage_ids), _BATCH):
                ids = list(passage_ids[at : at + _BATCH])
                self._collection.upsert(ids=ids, embeddings=vectors[at : at + _BATCH])

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove these passages; ids that are not there are no error."""
        with translated():
            for at in range(0, len(passage_ids), _BATCH):
                self._collection.delete(ids=list(passage_ids[at : at + _BATCH]))

    def commit(self) -> None:
        """End writing: all is on disk when this returns."""
        if self._folder is None:
            return
        with translated():
            self._client.close()
        for path in self._folder.rglob("*"):
            if path.is_file():
                _flush(path)


@contextlib.contextmanager
def translated(place: str = "the vector index") -> Iterator[None]:
    """Turn what Chroma and its transport raise into a VectorStoreError."""
    try:
        yield
    except Exception as exc:
        if not isinstance(exc, _foreign_errors()):
            raise
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise VectorStoreError(
            f"Chroma ({place}) cannot be used: {reason}; `citewire doctor` says more"
        ) from exc


def _foreign_errors() -> tuple[type[Exception], ...]:
    """Return what Chroma and its transport raise; chromadb is imported only where something was raised."""
    import httpx
    from chromadb.errors import ChromaError

    return ChromaError, httpx.HTTPError, sqlite3.Error, OSError, ValueError, RuntimeError


def _embedded_client(folder: Path) -> Client:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    return cast("Client", client)  # declared as its interface, which leaves out close()


def _copy(base: Path, folder: Path) -> None:
    """Copy a sealed folder; a reader that opens it meanwhile notes that in its SQLite file."""
    shutil.copytree(
        base, folder, ignore=lambda _, names: [name for name in names if name.startswith(_SQLITE)]
    )
    with (
        contextlib.closing(sqlite3.connect(base / _SQLITE)) as source,
        contextlib.closing(sqlite3.connect(folder / _SQLITE)) as target,
    ):
        source.backup(target)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


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
