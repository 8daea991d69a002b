"""Collections on a Chroma server, over its HTTP API v2.

Collections are written in place: a confirmed write is durable and visible to every reader.
"""

from __future__ import annotations

import base64
import contextlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bot.errors import CollectionNotFoundError, VectorStoreRequestError
from bot.indexing.chroma_client import ChromaClient
from bot.indexing.vector_store import cosines

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Per call: the quota of Chroma Cloud (its pre-flight checks report more), and nearly as fast as 5,000.
_MAX_RECORDS = 300
_PAGE_SIZE = 100  # collections per listing call


class ServerVectorStore:
    """Collections on a Chroma server, written in place."""

    in_place = True

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        tenant: str = "default_tenant",
        database: str = "default_database",
        ca_file: Path | None = None,
    ) -> None:
        http = ChromaClient(url, headers=headers or {}, ca_file=ca_file)
        self._collections = _Collections(http, tenant, database)

    def search(
        self, location: str, vector: NDArray[np.float32], k: int, *, within: Sequence[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return ids and cosine similarities of the `k` nearest passages, best first.

        Args:
            location: the collection.
            vector: of the question, shape (dimension,).
            k: maximum number of passages; a server with a quota returns fewer.
            within: ids to restrict the search to.

        Raises:
            VectorStoreError: if the request fails, or an id of `within` is missing in the collection.
        """
        body: dict[str, object] = {
            "query_embeddings": [vector.tolist()],
            "n_results": k,
            "include": ["distances"],
        }
        if within is not None:
            body["ids"] = within
        try:
            found = self._collections.request(location, "query", body)
        except VectorStoreRequestError:
            if k <= _MAX_RECORDS:
                raise
            found = self._collections.request(location, "query", body | {"n_results": _MAX_RECORDS})
        with self._collections.http.validate_response():
            pairs = zip(found["ids"][0], found["distances"][0], strict=True)
            return [(str(key), 1.0 - distance) for key, distance in pairs]

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosine similarities of the given passages; unknown ids are omitted."""
        known: dict[str, float] = {}
        for ids in _batches(passage_ids, _MAX_RECORDS):
            found = self._collections.request(location, "get", {"ids": ids, "include": ["embeddings"]})
            with self._collections.http.validate_response():
                known |= cosines(found["ids"], found["embeddings"], vector)
        return known

    def count(self, location: str) -> int:
        """Return the number of vectors in a collection."""
        total = self._collections.request(location, "count")
        with self._collections.http.validate_response():
            return int(total)

    def open_writer(self, base: str | None, name: str) -> ServerWriter:
        """Open the collection `base` for writing, or create one whose location starts with `name`."""
        location = base or f"{name}-{uuid.uuid4().hex[:8]}"
        if base:
            self._collections.look_up(base)  # fails before anything is embedded for it
        else:
            self._collections.create(location)
        return ServerWriter(self._collections, location)

    def delete_unused_collections(self, name: str, keep: set[str]) -> None:
        """Delete the collections whose location starts with `name`, except those in `keep`."""
        for location in [found for found in self._collections.names() if found.startswith(name)]:
            if location not in keep:
                self._collections.delete(location)

    def close(self) -> None:
        """Close all connections."""
        self._collections.http.close()


class ServerWriter:
    """Collection on a server, open for writing."""

    def __init__(self, collections: _Collections, location: str) -> None:
        self._collections = collections
        self.location = location

    def upsert(self, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Insert or replace the vectors of passages, shape (len(passage_ids), dimension)."""
        size = self._collections.max_records
        for at, ids in enumerate(_batches(passage_ids, size)):
            embeddings = self._collections.encode_vectors(vectors[at * size : at * size + len(ids)])
            body = {"ids": ids, "embeddings": embeddings}
            self._collections.request(self.location, "upsert", body, is_write=True)

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove passages; unknown ids are ignored."""
        for ids in _batches(passage_ids, self._collections.max_records):
            self._collections.request(self.location, "delete", {"ids": ids}, is_write=True)

    def commit(self) -> None:
        """Do nothing; confirmed writes are on the server's disk already."""


class _Collections:
    """Collections of one database on a server, addressed by the ids that the server assigns to their names."""

    def __init__(self, http: ChromaClient, tenant: str, database: str) -> None:
        self.http = http
        base_path = f"/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}"
        self._path = f"{base_path}/collections"
        # A name is never reused, so a cached id is correct for as long as the server accepts it.
        self._ids: dict[str, str] = {}

    def request(
        self,
        name: str,
        call: str,
        body: Mapping[str, object] | None = None,
        *,
        is_write: bool = False,
    ) -> Any:
        """Call an endpoint of a collection; if the server rejects the cached id, look it up again.

        Args:
            name: the collection.
            call: the last part of the path, such as "query".
            body: sent as JSON by POST; without it the method is GET.
            is_write: use the timeout for writes.
        """

        def call_by_id(key: str) -> Any:
            method = "GET" if body is None else "POST"
            return self.http.call(method, f"{self._path}/{key}/{call}", body, is_write=is_write)

        if known := self._ids.get(name):
            try:
                return call_by_id(known)
            except CollectionNotFoundError:
                self._ids.pop(name, None)
        return call_by_id(self.look_up(name))

    def look_up(self, name: str) -> str:
        """Return the id of a collection.

        Raises:
            CollectionNotFoundError: if the server has no collection of this name.
        """
        found = self.http.call("GET", f"{self._path}/{quote(name, safe='')}")
        return self._store_id(name, found)

    def create(self, name: str) -> None:
        """Create a collection with cosine distance."""
        body = {"name": name, "configuration": {"hnsw": {"space": "cosine"}}, "get_or_create": True}
        self._store_id(name, self.http.call("POST", self._path, body, is_write=True))

    def delete(self, name: str) -> None:
        """Delete a collection, if it exists."""
        self._ids.pop(name, None)
        with contextlib.suppress(CollectionNotFoundError):
            self.http.call("DELETE", f"{self._path}/{quote(name, safe='')}", is_write=True)

    def names(self) -> list[str]:
        """Return the names of all collections in the database, including those of other programs."""
        names: list[str] = []
        while True:
            page = self.http.call("GET", f"{self._path}?limit={_PAGE_SIZE}&offset={len(names)}")
            with self.http.validate_response():
                names += [str(found["name"]) for found in page]
            if len(page) < _PAGE_SIZE:
                return names

    @property
    def max_records(self) -> int:
        """Maximum number of records per call."""
        with self.http.validate_response():
            return min(_MAX_RECORDS, int(self._capabilities["max_batch_size"]))

    def encode_vectors(self, vectors: NDArray[np.float32]) -> list[str] | list[list[float]]:
        """Encode vectors for a request: as base64 of their bytes if the server supports it, otherwise as numbers."""
        if self._capabilities.get("supports_base64_encoding"):
            return [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
        return [vector.tolist() for vector in vectors]

    @cached_property
    def _capabilities(self) -> dict[str, Any]:
        with self.http.validate_response():
            return dict(self.http.call("GET", "/api/v2/pre-flight-checks"))

    def _store_id(self, name: str, found: Any) -> str:
        with self.http.validate_response():
            self._ids[name] = str(uuid.UUID(found["id"]))  # validated, because it becomes part of a URL
            return self._ids[name]


def _batches(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(rows), size):
        yield list(rows[at : at + size])
