"""Chroma on a server: the calls of its HTTP API, version 2, that vectors need.

Collections are written in place: a server keeps what it has confirmed, and shows each reader what is there.
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

# A call: what Chroma Cloud allows (its pre-flight checks name more), and nearly as fast as 5,000.
_RECORDS = 300
_PAGE = 100  # collections listed at once


class ServerStore:
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
        """Return the ids of the k nearest passages, or of those `within`, with their cosines, best first.

        A server with a quota returns fewer.
        """
        asked: dict[str, object] = {
            "query_embeddings": [vector.tolist()],
            "n_results": k,
            "include": ["distances"],
        }
        if within is not None:
            asked["ids"] = within
        try:
            found = self._collections.ask(location, "query", asked)
        except VectorStoreRequestError:
            if k <= _RECORDS:
                raise
            found = self._collections.ask(location, "query", asked | {"n_results": _RECORDS})
        with self._collections.http.validate_response():
            pairs = zip(found["ids"][0], found["distances"][0], strict=True)
            return [(str(key), 1.0 - distance) for key, distance in pairs]

    def cosines(
        self, location: str, vector: NDArray[np.float32], passage_ids: Sequence[str]
    ) -> dict[str, float]:
        """Return the cosines of these passages; those that are not there are left out."""
        known: dict[str, float] = {}
        for ids in _batches(passage_ids, _RECORDS):
            found = self._collections.ask(location, "get", {"ids": ids, "include": ["embeddings"]})
            with self._collections.http.validate_response():
                known |= cosines(found["ids"], found["embeddings"], vector)
        return known

    def count(self, location: str) -> int:
        """Return how many vectors a collection holds."""
        counted = self._collections.ask(location, "count")
        with self._collections.http.validate_response():
            return int(counted)

    def open_writer(self, base: str | None, name: str) -> ServerStage:
        """Open `base`, or make a new collection."""
        location = base or f"{name}-{uuid.uuid4().hex[:8]}"
        if base:
            self._collections.look_up(base)  # refused before anything is embedded for it
        else:
            self._collections.create(location)
        return ServerStage(self._collections, location)

    def delete_unused(self, name: str, keep: set[str]) -> None:
        """Remove the collections that begin with `parse_id`, but those to keep."""
        for location in [found for found in self._collections.names() if found.startswith(name)]:
            if location not in keep:
                self._collections.delete(location)

    def close(self) -> None:
        """Give back the connections."""
        self._collections.http.close()


class ServerStage:
    """A collection on a server, open for writing."""

    def __init__(self, collections: _Collections, location: str) -> None:
        self._collections = collections
        self.location = location

    def upsert(self, passage_ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Write the vectors of these passages, a row each."""
        size = self._collections.most_records
        for at, ids in enumerate(_batches(passage_ids, size)):
            embeddings = self._collections.encoded(vectors[at * size : at * size + len(ids)])
            body = {"ids": ids, "embeddings": embeddings}
            self._collections.ask(self.location, "upsert", body, writing=True)

    def remove(self, passage_ids: Sequence[str]) -> None:
        """Remove these passages; ids that are not there are no error."""
        for ids in _batches(passage_ids, self._collections.most_records):
            self._collections.ask(self.location, "delete", {"ids": ids}, writing=True)

    def commit(self) -> None:
        """End writing: what the server has confirmed is on its disk."""


class _Collections:
    """The collections of one database on a server. They are named by us and called by ids that the server gives."""

    def __init__(self, http: ChromaClient, tenant: str, database: str) -> None:
        self.http = http
        place = f"/api/v2/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}"
        self._path = f"{place}/collections"
        # Names are never used twice, so that an id is good for as long as it works.
        self._ids: dict[str, str] = {}

    def ask(
        self,
        name: str,
        call: str,
        body: Mapping[str, object] | None = None,
        *,
        writing: bool = False,
    ) -> Any:
        """Make a call of a collection; an id that was kept and is not known any more is looked up again."""

        def of(key: str) -> Any:
            method = "GET" if body is None else "POST"
            return self.http.call(method, f"{self._path}/{key}/{call}", body, writing=writing)

        if known := self._ids.get(name):
            try:
                return of(known)
            except CollectionNotFoundError:
                self._ids.pop(name, None)
        return of(self.look_up(name))

    def look_up(self, name: str) -> str:
        """Return the id of a collection. Raises CollectionNotFoundError."""
        found = self.http.call("GET", f"{self._path}/{quote(name, safe='')}")
        return self._keep(name, found)

    def create(self, name: str) -> None:
        """Make a collection that compares by cosine."""
        body = {"name": name, "configuration": {"hnsw": {"space": "cosine"}}, "get_or_create": True}
        self._keep(name, self.http.call("POST", self._path, body, writing=True))

    def delete(self, name: str) -> None:
        """Remove a collection, if it is still there."""
        self._ids.pop(name, None)
        with contextlib.suppress(CollectionNotFoundError):
            self.http.call("DELETE", f"{self._path}/{quote(name, safe='')}", writing=True)

    def names(self) -> list[str]:
        """Return the names of all collections in the database, of other programs too."""
        names: list[str] = []
        while True:
            page = self.http.call("GET", f"{self._path}?limit={_PAGE}&offset={len(names)}")
            with self.http.validate_response():
                names += [str(found["name"]) for found in page]
            if len(page) < _PAGE:
                return names

    @property
    def most_records(self) -> int:
        """How many records one call may hold."""
        with self.http.validate_response():
            return min(_RECORDS, int(self._abilities["max_batch_size"]))

    def encoded(self, vectors: NDArray[np.float32]) -> list[str] | list[list[float]]:
        """Write vectors as the server reads them, where it can as the base64 of their bytes."""
        if self._abilities.get("supports_base64_encoding"):
            return [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
        return [vector.tolist() for vector in vectors]

    @cached_property
    def _abilities(self) -> dict[str, Any]:
        with self.http.validate_response():
            return dict(self.http.call("GET", "/api/v2/pre-flight-checks"))

    def _keep(self, name: str, found: Any) -> str:
        with self.http.validate_response():
            self._ids[name] = str(uuid.UUID(found["id"]))  # it becomes part of an address
            return self._ids[name]


def _batches(rows: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for at in range(0, len(rows), size):
        yield list(rows[at : at + size])
