"""The vector index in Chroma, embedded in the data folder or on a server.

Embedded Chroma must not be killed while it writes: a half-written HNSW file makes the next process that
opens it crash (seen with 1.5.9: a segmentation fault), and a process that has it open does not see what
another one adds. So an embedded collection is never changed in place. A writer works on a copy of its
folder, seals it, and the library then names the copy as the one to read: readers keep a whole index at
every moment, and a killed writer leaves a folder that the next one throws away.
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
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from bot.errors import VectorsError
from bot.retrieval.chroma_core import CoreCollection
from bot.retrieval.filters import Filters, label_key

if TYPE_CHECKING:
    import numpy as np
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from numpy.typing import NDArray

    from bot.articles.records import Draft

_BATCH = 5_000  # Chroma refuses more than 5,461 at once
_SQLITE = "chroma.sqlite3"
_INSIDE = "passages"  # an embedded folder holds one collection, so that a copy needs no renaming
_CONFIGURATION: CreateCollectionConfiguration = {"hnsw": {"space": "cosine"}}


class VectorStore(Protocol):
    """Holds collections of vectors; a location names one of them."""

    in_place: bool  # whether readers see each change of a stage at once

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, filters: Filters
    ) -> list[tuple[str, float]]:
        """Return the ids of the k nearest passages with their cosines, best first."""

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosines of these passages; those that are not there are left out."""

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds, without importing chromadb."""

    def stage(self, base: str | None, name: str) -> Stage:
        """Begin to write: further into `base`, or into a new collection whose location begins with `name`."""

    def sweep(self, name: str, keep: set[str]) -> None:
        """Remove the collections whose locations begin with `name`, but those to keep."""

    def close(self) -> None:
        """Give back files and connections."""


class Stage:
    """A collection open for writing; `folder` is the one of its own that an embedded collection has."""

    def __init__(
        self, client: Client, collection: ChromaCollection, location: str, *, folder: Path | None
    ) -> None:
        self._client = client
        self._collection = collection
        self._folder = folder
        self.location = location

    def upsert(self, drafts: Sequence[Draft], vectors: NDArray[np.float32]) -> None:
        """Write the vectors of all passages of these drafts, row by row in their order."""
        rows = [(passage.id, _metadata(draft)) for draft in drafts for passage in draft.passages]
        with translated():
            for at in range(0, len(rows), _BATCH):
                ids, metadatas = zip(*rows[at : at + _BATCH], strict=True)
                batch = vectors[at : at + _BATCH]
                self._collection.upsert(ids=list(ids), embeddings=batch, metadatas=list(metadatas))

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove these passages; ids that are not there are no error."""
        with translated():
            for at in range(0, len(passage_ids), _BATCH):
                self._collection.delete(ids=list(passage_ids[at : at + _BATCH]))

    def seal(self) -> None:
        """End writing: all is on disk when this returns."""
        if self._folder is None:
            return
        with translated():
            self._client.close()
        for path in self._folder.rglob("*"):
            if path.is_file():
                _flush(path)


class EmbeddedStore:
    """Collections in folders below `root`, one each, never changed once sealed."""

    in_place = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, CoreCollection] = {}
        self._lock = threading.Lock()

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, filters: Filters
    ) -> list[tuple[str, float]]:
        """Return the ids of the k nearest passages with their cosines, best first."""
        collection = self._reader(location)
        with translated():
            ids, distances = collection.query(vector, k, _where(filters))
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
        return _cosines(ids, stored, vector)

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds, read from Chroma's own SQLite file."""
        path = self._root / location / _SQLITE
        query = "SELECT count(*) FROM embeddings JOIN segments ON segments.id = segment_id WHERE scope = 'METADATA'"
        try:
            with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                return int(connection.execute(query).fetchone()[0])
        except sqlite3.Error as exc:
            raise VectorsError(f"{path}: {exc}; run `citewire reindex`") from exc

    def stage(self, base: str | None, name: str) -> Stage:
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
                _INSIDE, configuration=_CONFIGURATION, embedding_function=None
            )
        return Stage(client, collection, location, folder=folder)

    def sweep(self, name: str, keep: set[str]) -> None:
        """Remove the folders that begin with `name`, but those to keep."""
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
                    raise VectorsError(
                        f"{self._root / location}: the vectors are gone; run `citewire reindex`"
                    )
                self._open[location] = CoreCollection(self._root / location, _INSIDE)
                # The one before may still be answering another thread; older ones are not.
                for old in list(self._open)[:-2]:
                    self._open.pop(old).close()
            return self._open[location]


class ServerStore:
    """Collections on a Chroma server, written in place."""

    in_place = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._client_or_none: Client | None = None
        self._lock = threading.Lock()

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, filters: Filters
    ) -> list[tuple[str, float]]:
        """Return the ids of the k nearest passages with their cosines, best first."""
        collection = self._collection(location)
        with translated(self._url):
            found = collection.query(
                query_embeddings=vector.reshape(1, -1),
                n_results=k,
                where=_where(filters),
                include=["distances"],
            )
        distances = found["distances"] or [[]]
        return [(key, 1.0 - distance) for key, distance in zip(found["ids"][0], distances[0], strict=True)]

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosines of these passages; those that are not there are left out."""
        if not passage_ids:
            return {}
        collection = self._collection(location)
        with translated(self._url):
            found = collection.get(ids=list(passage_ids), include=["embeddings"])
        return _cosines(found["ids"], found["embeddings"], vector)

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds, asked over HTTP."""
        import httpx

        base = f"{self._url.rstrip('/')}/api/v2/tenants/default_tenant/databases/default_database/collections"
        try:
            with httpx.Client(timeout=10) as client:
                collection = client.get(f"{base}/{location}").raise_for_status().json()
                return int(client.get(f"{base}/{collection['id']}/count").raise_for_status().json())
        except (httpx.HTTPError, ValueError, KeyError) as exc:
            raise VectorsError(
                f"Chroma at {self._url} does not answer: {exc}; start it, or check CITEWIRE_CHROMA_URL"
            ) from exc

    def stage(self, base: str | None, name: str) -> Stage:
        """Open `base`, or make a new collection."""
        if base:
            return Stage(self._client, self._collection(base), base, folder=None)
        location = f"{name}-{uuid.uuid4().hex[:8]}"
        with translated(self._url):
            collection = self._client.create_collection(
                location, configuration=_CONFIGURATION, embedding_function=None
            )
        return Stage(self._client, collection, location, folder=None)

    def sweep(self, name: str, keep: set[str]) -> None:
        """Remove the collections that begin with `name`, but those to keep."""
        with translated(self._url):
            for collection in self._client.list_collections(limit=1_000):
                if collection.name.startswith(name) and collection.name not in keep:
                    self._client.delete_collection(collection.name)

    def close(self) -> None:
        """Give back the connection."""
        with self._lock:
            if self._client_or_none:
                self._client_or_none.close()
            self._client_or_none = None

    def _collection(self, location: str) -> ChromaCollection:
        with translated(self._url):
            return self._client.get_collection(location, embedding_function=None)

    @property
    def _client(self) -> Client:
        with self._lock, translated(self._url):
            if self._client_or_none is None:
                self._client_or_none = _server_client(self._url)
            return self._client_or_none


def open_store(data_dir: Path, chroma_url: str) -> VectorStore:
    """Return the store the settings name; nothing heavy is imported before it is used."""
    return ServerStore(chroma_url) if chroma_url else EmbeddedStore(data_dir / "chroma")


@contextlib.contextmanager
def translated(place: str = "the vector index") -> Iterator[None]:
    """Turn what Chroma and its transport raise into a VectorsError."""
    try:
        yield
    except Exception as exc:
        if not isinstance(exc, _foreign_errors()):
            raise
        reason = (str(exc).strip() or type(exc).__name__).splitlines()[0]
        raise VectorsError(f"Chroma ({place}) cannot be used: {reason}; `citewire doctor` says more") from exc


def _foreign_errors() -> tuple[type[Exception], ...]:
    """Return what Chroma and its transport raise; chromadb is imported only where something was raised."""
    import httpx
    from chromadb.errors import ChromaError

    return ChromaError, httpx.HTTPError, sqlite3.Error, OSError, ValueError, RuntimeError


def _cosines(ids: Sequence[str], stored: Any, vector: NDArray[np.float32]) -> dict[str, float]:
    import numpy as np

    matrix = np.asarray(stored, dtype=np.float32)
    return dict(zip(ids, (matrix @ vector).tolist(), strict=True)) if len(matrix) else {}


def _where(filters: Filters) -> Any:
    """Write the filters as Chroma's conditions; the values stand in them as values."""
    conditions: list[dict[str, object]] = []
    if filters.window and filters.window.since:
        conditions.append({"published": {"$gte": int(filters.window.since.timestamp())}})
    if filters.window and filters.window.until:
        conditions.append({"published": {"$lt": int(filters.window.until.timestamp())}})
    if filters.sources:
        conditions.append({"source": {"$in": list(map(label_key, filters.sources))}})
    if filters.tags:
        tagged: list[dict[str, object]] = [{_tag_field(tag): True} for tag in filters.tags]
        conditions.append({"$or": tagged} if len(tagged) > 1 else tagged[0])
    return {"$and": conditions} if len(conditions) > 1 else next(iter(conditions), None)


def _metadata(draft: Draft) -> dict[str, str | int]:
    article = draft.article
    fields: dict[str, str | int] = {"article": article.id, "source": label_key(article.source)}
    if article.published:
        fields["published"] = int(article.published.timestamp())
    return fields | {_tag_field(tag): True for tag in article.tags}


def _tag_field(tag: str) -> str:
    return f"tag:{label_key(tag)}"  # never one of the fields above, nor an operator, which begins with $


def _embedded_client(folder: Path) -> Client:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
    return cast("Client", client)  # declared as its interface, which leaves out close()


def _server_client(url: str) -> Client:
    import chromadb
    from chromadb.config import Settings

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise VectorsError(f"CITEWIRE_CHROMA_URL: {url!r} is not an address such as http://localhost:8000")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 8000)
    client = chromadb.HttpClient(
        parts.hostname, port, ssl=secure, settings=Settings(anonymized_telemetry=False)
    )
    return cast("Client", client)


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
